"""masakari-hostmonitor: looks after the compute hosts and reports those that die or return."""

import threading

from oslo_config import cfg

import masakari.conf
from masakari.clock import SystemClock
from masakari.cmd import common
from masakari.monitors import hostmonitor
from masakari.pulse import Pulse


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run(
        "masakari-hostmonitor",
        serve,
        project="masakarimonitors",
        register=masakari.conf.register_monitors,
        description=__doc__,
    )


def serve(conf: cfg.ConfigOpts) -> None:
    """Watch until a signal ends it; the round that is under way is finished without retries."""
    common.hold_signals()
    clock = SystemClock()
    pulse = Pulse(clock)
    monitor = hostmonitor.build(conf, clock, pulse=pulse)
    stop = clock.event()
    thread = threading.Thread(target=monitor.run, args=(stop,), name="hostmonitor")
    thread.start()
    common.wait_for_signal(conf)
    stop.set()
    clock.interrupt()
    thread.join()
