"""What the monitors that run on compute hosts do at start and stop."""

import threading
from typing import Protocol

from oslo_config import cfg

import masakari.conf
from masakari import contacts, pulse
from masakari.clock import SystemClock
from masakari.cmd import common, health
from masakari.cmd.systemd import Systemd
from masakari.metrics import Meter, Program
from masakari.monitors.loops import Loops


class Build(Protocol):
    """Who makes a monitor."""

    def __call__(
        self,
        conf: cfg.ConfigOpts,
        clock: SystemClock,
        *,
        pulse: pulse.Pulse,
        contacts: contacts.Contacts,
        meter: Meter,
    ) -> Loops:
        """The monitor that *conf* describes.  Raises ConfigInvalid, Unusable."""


def main(
    program: Program,
    build: Build,
    description: str | None,
    sentence: str,
    *,
    uses: tuple[str, ...] = (),
) -> int:
    """Run what *build* gives until SIGTERM or SIGINT; what was found by then is kept.

    *description* is for the command line; *sentence*: what is done meanwhile; *uses*: whom, of
    `contacts`, it needs besides Masakari.
    """

    def serve(conf: cfg.ConfigOpts, systemd: Systemd) -> None:
        common.hold_signals()
        clock = SystemClock()
        vitals = health.Vitals(clock, needs=uses, uses=(contacts.MASAKARI, contacts.KEYSTONE))
        watched = health.Watched(conf, vitals, f"masakari-{program}", (program,), f"{program}_port")
        monitor = build(
            conf, clock, pulse=vitals.pulse, contacts=vitals.contacts, meter=vitals.meter
        )
        # one after the other at the end: who tells keeps what the others have found
        running = []
        for name, loop in monitor.loops:
            stop = clock.event()
            thread = threading.Thread(target=loop, args=(stop,), name=name)
            thread.start()
            running.append((thread, stop))
        systemd.watch(vitals.pulse.stalled)
        common.wait_for_signal(conf, systemd, sentence, reload=monitor.wake)
        clock.interrupt()
        for thread, stop in running:
            stop.set()
            monitor.wake()
            thread.join()
        watched.close()

    return common.run(
        f"masakari-{program}",
        serve,
        project="masakarimonitors",
        register=masakari.conf.register_monitors,
        description=description,
    )
