"""What the monitors of a compute host have in common when they are put together."""

import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oslo_config import cfg

from masakari import clock as clock_
from masakari import errors
from masakari.metrics import Meter
from masakari.monitors import report, spool

Loop = Callable[[clock_.Event], None]
"""Runs until the event is set."""


@dataclass(frozen=True, slots=True)
class Loops:
    """A monitor: what runs in threads of its own, and what ends their pauses."""

    loops: Sequence[tuple[str, Loop]]
    """(name, loop), in the order in which they end: who tells is the last"""
    wake: Callable[[], None]


def outbox(
    conf: cfg.ConfigOpts,
    clock: clock_.Clock,
    masakari: report.Masakari,
    name: str,
    *,
    retry_interval_s: float,
    retry_alarm: int,
    meter: Meter,
) -> spool.Spool:
    """Where the reports of the monitor *name* wait.  Raises Unusable."""
    path = pathlib.Path(conf.state_path, f"{name}.reports.sqlite")
    try:
        return spool.Spool(
            path,
            masakari,
            clock,
            retry_interval_s=retry_interval_s,
            retry_alarm=retry_alarm,
            ask_again_s=conf.host.maintenance_retry_interval,
            meter=meter,
        )
    except OSError as e:
        raise errors.Unusable(
            group="DEFAULT", option="state_path", problem=f"{path} cannot be used: {e}"
        ) from None
