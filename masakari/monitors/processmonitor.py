"""The process monitor, put together."""

import pathlib
import shlex

from oslo_config import cfg

from masakari import alarms, errors
from masakari import clock as clock_
from masakari import contacts as contacts_
from masakari import pulse as pulse_
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import memory, report, silence, teller
from masakari.monitors.loops import Loops, outbox
from masakari.monitors.processes import commands, judge, process_list, units
from masakari.monitors.processes.monitor import ProcessMonitor

NAME = "processmonitor"


def build(
    conf: cfg.ConfigOpts,
    clock: clock_.Clock,
    masakari: report.Masakari | None = None,
    *,
    pulse: pulse_.Pulse | None = None,
    contacts: contacts_.Contacts | None = None,
    meter: Meter = UNMETERED,
) -> Loops:
    """The process monitor that *conf* describes.  Raises ConfigInvalid, Unusable."""
    pulse = pulse or pulse_.Pulse(clock)
    contacts = contacts or contacts_.Contacts(clock)
    listed = process_list.ProcessList(conf.process.process_list_path)
    box = outbox(
        conf,
        clock,
        report.Noted(masakari or report.connect(conf), contacts),
        NAME,
        retry_interval_s=conf.process.api_retry_interval,
        retry_alarm=conf.process.api_retry_max,
        meter=meter,
    )
    wake = clock.event()
    silent = silence.Silence(alarms.SYSTEMD, clock, after_s=conf.alarms.silent_age, meter=meter)
    watched = units.Units(clock, wake.set, silent)
    voice = teller.Teller(box, clock, pulse, meter=meter)
    monitor = ProcessMonitor(
        listed,
        watched,
        commands.Runner(timeout_s=conf.process.command_timeout, as_root=_root_command(conf)),
        voice,
        memory=memory.Memory(pathlib.Path(conf.state_path, f"{NAME}.json")),
        clock=clock,
        hostname=conf.hostname,
        limits=judge.Limits(
            attempts=conf.process.restart_retries + 1,
            pause_s=conf.process.restart_interval,
            stable_s=conf.process.stable_after,
            between_s=conf.process.between_max,
        ),
        interval_s=conf.process.check_interval,
        pulse=pulse,
        wake=wake,
        meter=meter,
    )

    def wake_all() -> None:
        wake.set()
        voice.wake()

    loops = [("processes", monitor.run), ("units", watched.run), ("reports", voice.run)]
    return Loops(loops, wake_all)


def _root_command(conf: cfg.ConfigOpts) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(conf.process.root_command))
    except ValueError as e:
        raise errors.ConfigInvalid(
            group="process", option="root_command", problem=str(e).lower()
        ) from None
