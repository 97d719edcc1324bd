"""masakari-processmonitor: brings up the processes of this host that die, or reports them."""

from masakari.cmd import local_monitors
from masakari.metrics import Program
from masakari.monitors import processmonitor


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return local_monitors.main(
        Program.PROCESSMONITOR,
        processmonitor.build,
        __doc__,
        "watching the processes of this host",
    )
