"""A simulated host on which systemd is process 1, with our programs as its services.

The network is the machine's, so that servers on 127.0.0.1 are reached; or it is plugged in a LAN.
"""

import importlib.metadata
import json
import pathlib
import sys

from masakari.tests.functional import scan
from masakari.tests.functional.world import host
from masakari.tests.functional.world.host import TREE

__all__ = ["TREE", "Host", "missing"]


def missing() -> str | None:
    """Why there can be no such host on this machine, or None."""
    return host.missing(systemd=True)


class Host(host.Host):
    """Switched on by `start`; `remove` leaves nothing behind."""

    def __init__(self, directory: pathlib.Path, **plugged_in: str) -> None:
        """Keep what it writes in *directory*."""
        super().__init__(directory, systemd=True, **plugged_in)
        self._since: list[str] = []

    def write(self, path, text, mode="640", group="masakari"):
        """The file is there, readable by the service."""
        super().write(path, text, mode, group=group)

    def install(self) -> None:
        """The programs are in /opt/masakari, user and units are there, no configuration is."""
        self.run("python3", "-m", "venv", "--without-pip", "/opt/masakari")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = f"/opt/masakari/lib/{version}/site-packages"
        self.write(f"{packages}/tree.pth", "/opt/tree\n/opt/libraries\n", "644", "root")
        for entry in importlib.metadata.entry_points(group="console_scripts"):
            if entry.dist is not None and entry.dist.name in ("masakari", "pyuwsgi"):
                script = (
                    "#!/opt/masakari/bin/python\nimport sys\n"
                    f"from {entry.module} import {entry.attr}\nsys.exit({entry.attr}())\n"
                )
                self.write(f"/opt/masakari/bin/{entry.name}", script, "755", "root")
        for kind in ("sysusers.d", "tmpfiles.d"):
            self.run("install", "-D", "-t", f"/etc/{kind}", f"/opt/tree/etc/{kind}/masakari.conf")
        self.run("systemd-sysusers", "masakari.conf")
        self.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/masakari.conf")
        self.run("sh", "-c", "install -m 644 -t /etc/systemd/system /opt/tree/etc/systemd/*")
        self.run("systemctl", "daemon-reload")

    def remove(self) -> None:
        """It has never been; what our programs have told was read, and so looked at for secrets."""
        try:
            if self.is_on:
                self.run("journalctl", "--no-pager", "-o", "cat", "-u", "masakari-*", check=False)
                self.run("sh", "-c", f"cat {scan.LOG_DIR}/*", check=False)
        finally:
            super().remove()

    def systemctl(self, *argv, check=True):
        return self.run("systemctl", *argv, check=check)

    def drop_in(self, unit, text):
        """The unit is changed as `systemctl edit` does."""
        self.write(f"/etc/systemd/system/{unit}.service.d/test.conf", text, "644", "root")
        self.systemctl("daemon-reload")

    def show(self, unit, name):
        """A property of the unit."""
        return self.run("systemctl", "show", "-P", name, unit).strip()

    def forget_journal(self):
        """`journal` tells what is written from now on."""
        self.run("journalctl", "--sync")
        last = self.run("journalctl", "--no-pager", "-n", "1", "-o", "json")
        # not after its cursor: where the unit has no such entry, one too many is left out
        next_us = int(json.loads(last)["__REALTIME_TIMESTAMP"]) + 1
        self._since = [f"--since=@{next_us / 1e6:.6f}"]

    def journal(self, unit):
        return self.run("journalctl", "-u", unit, "--no-pager", "-o", "cat", *self._since)
