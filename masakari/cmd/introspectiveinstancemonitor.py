"""masakari-introspectiveinstancemonitor: reports guests that have ceased to answer."""

import functools

from masakari import contacts
from masakari.cmd import local_monitors
from masakari.metrics import Program
from masakari.monitors import instancemonitor


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return local_monitors.main(
        Program.INTROSPECTIVEMONITOR,
        functools.partial(instancemonitor.build, name=instancemonitor.GUESTS),
        __doc__,
        "asking the guests of this host",
        uses=(contacts.LIBVIRT,),
    )
