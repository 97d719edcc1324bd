"""What the monitors that run on compute hosts do at start and stop."""

import threading
from collections.abc import Callable

from oslo_config import cfg

from masakari import contacts
from masakari.clock import SystemClock
from masakari.cmd import common, health
from masakari.cmd.systemd import Systemd
from masakari.metrics import Program
from masakari.monitors.loops import Loops


def serve(
    conf: cfg.ConfigOpts,
    systemd: Systemd,
    program: Program,
    build: Callable[[SystemClock, health.Vitals], Loops],
    sentence: str,
    *,
    uses: tuple[str, ...] = (),
) -> None:
    """Run what *build* gives until a signal ends it; what was found by then is kept.

    *sentence*: what is done meanwhile; *uses*: whom, of `contacts`, it needs besides Masakari.
    """
    common.hold_signals()
    clock = SystemClock()
    vitals = health.Vitals(clock, needs=uses, uses=(contacts.MASAKARI, contacts.KEYSTONE))
    watched = health.Watched(conf, vitals, f"masakari-{program}", (program,), f"{program}_port")
    monitor = build(clock, vitals)
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
