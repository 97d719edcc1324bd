"""masakari-heartbeat: says for this compute host that it lives."""

import threading

from oslo_config import cfg

import masakari.conf
from masakari import contacts
from masakari.clock import SystemClock
from masakari.cmd import common, health
from masakari.cmd.systemd import Systemd
from masakari.metrics import Program
from masakari.monitors import groups, heartbeat


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run(
        "masakari-heartbeat",
        serve,
        project="masakarimonitors",
        register=masakari.conf.register_monitors,
        description=__doc__,
    )


def serve(conf: cfg.ConfigOpts, systemd: Systemd) -> None:
    """Beat until a signal ends it; then the host leaves the group."""
    common.hold_signals()
    clock = SystemClock()
    vitals = health.Vitals(clock, needs=(contacts.COORDINATION,))
    watched = health.Watched(
        conf, vitals, "masakari-heartbeat", (Program.HEARTBEAT,), "heartbeat_port"
    )
    group = groups.connect(conf, conf.hostname)
    stop = clock.event()
    thread = threading.Thread(
        target=heartbeat.run,
        args=(group, clock, vitals.pulse, stop, conf.heartbeat.interval),
        kwargs={"contacts": vitals.contacts, "meter": vitals.meter},
        name="heartbeat",
    )
    thread.start()
    systemd.watch(vitals.pulse.stalled)
    common.wait_for_signal(conf, systemd, "saying that this host lives")
    stop.set()
    thread.join()
    watched.close()
