"""masakari-instancemonitor: reports the VMs of this host that fail."""

from oslo_config import cfg

import masakari.conf
from masakari import contacts
from masakari.clock import SystemClock
from masakari.cmd import common, local_monitors
from masakari.cmd.health import Vitals
from masakari.cmd.systemd import Systemd
from masakari.metrics import Program
from masakari.monitors import instancemonitor
from masakari.monitors.loops import Loops


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run(
        "masakari-instancemonitor",
        serve,
        project="masakarimonitors",
        register=masakari.conf.register_monitors,
        description=__doc__,
    )


def serve(conf: cfg.ConfigOpts, systemd: Systemd) -> None:
    """Watch until a signal ends it."""

    def build(clock: SystemClock, vitals: Vitals) -> Loops:
        return instancemonitor.build(
            conf,
            clock,
            pulse=vitals.pulse,
            contacts=vitals.contacts,
            meter=vitals.meter,
            name=instancemonitor.INSTANCES,
        )

    local_monitors.serve(
        conf,
        systemd,
        Program.INSTANCEMONITOR,
        build,
        "hearing of the VMs of this host",
        uses=(contacts.LIBVIRT,),
    )
