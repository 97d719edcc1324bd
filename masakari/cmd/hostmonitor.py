"""masakari-hostmonitor: looks after the compute hosts and reports those that die or return."""

import threading

from oslo_config import cfg

import masakari.conf
from masakari import contacts
from masakari.clock import SystemClock
from masakari.cmd import common, health
from masakari.cmd.systemd import Systemd
from masakari.metrics import Program
from masakari.monitors import hostmonitor


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run(
        "masakari-hostmonitor",
        serve,
        project="masakarimonitors",
        register=masakari.conf.register_monitors,
        description=__doc__,
    )


def serve(conf: cfg.ConfigOpts, systemd: Systemd) -> None:
    """Watch until a signal ends it; the round that is under way is finished without retries."""
    common.hold_signals()
    clock = SystemClock()
    vitals = health.Vitals(
        clock, needs=(contacts.MASAKARI,), uses=(contacts.KEYSTONE, contacts.NOVA)
    )
    watched = health.Watched(
        conf, vitals, "masakari-hostmonitor", (Program.HOSTMONITOR,), "hostmonitor_port"
    )
    monitor = hostmonitor.build(
        conf, clock, pulse=vitals.pulse, contacts=vitals.contacts, meter=vitals.meter
    )
    stop = clock.event()
    thread = threading.Thread(target=monitor.run, args=(stop,), name="hostmonitor")
    thread.start()
    systemd.watch(vitals.pulse.stalled)
    common.wait_for_signal(conf, systemd, "watching the hosts")
    stop.set()
    clock.interrupt()
    thread.join()
    watched.close()
