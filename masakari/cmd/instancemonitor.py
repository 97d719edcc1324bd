"""masakari-instancemonitor: reports the VMs of this host that fail."""

from masakari import contacts
from masakari.cmd import local_monitors
from masakari.metrics import Program
from masakari.monitors import instancemonitor


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return local_monitors.main(
        Program.INSTANCEMONITOR,
        instancemonitor.build,
        __doc__,
        "hearing of the VMs of this host",
        uses=(contacts.LIBVIRT,),
    )
