"""How many monitors must have seen a host die before anything is done about it."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from oslo_config import cfg

from masakari import db
from masakari.db.models import Notification
from masakari.engine.world import World
from masakari.states import Event, NotificationType

NAMED = 3
"""So many of them are named."""


@dataclass(frozen=True, slots=True)
class TooFew:
    """Not as many as the operator asks for have seen the host die."""

    seen_by: Sequence[str]
    """who has, the first one first"""
    needed: int
    until: datetime.datetime | None
    """others are waited for until then; later ones tell of another failure"""

    def __str__(self) -> str:
        """Seen by 1 of 2 monitors (masakari-hostmonitor@controller1)."""
        named, more = self.seen_by[:NAMED], len(self.seen_by) - NAMED
        names = ", ".join(named) + (f" and {more} more" if more > 0 else "")
        return f"Seen by {len(self.seen_by)} of {self.needed} monitors ({names or 'no name'})."


def are_needed(conf: cfg.ConfigOpts) -> bool:
    """Whether the first monitor is not enough."""
    return bool(conf.host_failure.witnesses_needed > 1)


def too_few(world: World, n: Notification) -> TooFew | None:
    """Who has seen the host die of which *n* tells, if more are needed; None: it is enough.

    Nobody is needed for a VM, a process or a host that has started; and no other for an operator
    who has it tried again.
    """
    if not are_needed(world.conf) or n.type != NotificationType.COMPUTE_HOST:
        return None
    if n.payload.get("event") != Event.STOPPED or n.retried_at is not None:
        return None
    _, witnesses = db.notifications.with_witnesses(world.database, n.notification_uuid)
    # MySQL takes names for equal that differ in case
    seen_by = list({w.reported_by.casefold(): w.reported_by for w in witnesses}.values())
    needed = world.conf.host_failure.witnesses_needed
    if len(seen_by) >= needed:
        return None
    window = datetime.timedelta(seconds=_window_s(world.conf))
    return TooFew(seen_by, needed, n.created_at + window if n.created_at else None)


def _window_s(conf: cfg.ConfigOpts) -> float:
    """So long the API takes a report for one of the same failure, in seconds."""
    equal_s: float = conf.duplicate_notification_detection_interval
    alike_s: float | None = conf.notification_correlation_interval
    return equal_s if alike_s is None else max(equal_s, alike_s)
