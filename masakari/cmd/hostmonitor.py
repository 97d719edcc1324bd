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
from masakari.monitors.core import Monitor


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
        conf,
        clock,
        pulse=vitals.pulse,
        contacts=vitals.contacts,
        kept=hostmonitor.state_file(conf),
        meter=vitals.meter,
    )
    vitals.tell = lambda: [hosts_check(monitor), memory_check(monitor)]
    sources = hostmonitor.push_sources(conf, clock, monitor.push)
    stop = clock.event()
    thread = threading.Thread(target=monitor.run, args=(stop,), name="hostmonitor")
    thread.start()
    for source in sources:
        source.start()
    systemd.watch(vitals.pulse.stalled)
    common.wait_for_signal(conf, systemd, "watching the hosts")
    for source in sources:
        source.stop()
    monitor.end(stop)
    clock.interrupt()
    thread.join()
    watched.close()


def hosts_check(monitor: Monitor) -> health.Check:
    """Whether hosts are judged."""
    return health.Check("hosts", monitor.trouble is None, monitor.trouble or "judged")


def memory_check(monitor: Monitor) -> health.Check:
    """Whether a restart would forget something."""
    trouble = monitor.memory.trouble if monitor.memory else "nothing is kept"
    return health.Check("memory", trouble is None, trouble or "kept", is_needed=False)
