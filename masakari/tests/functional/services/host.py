"""A simulated host on which systemd is process 1: namespaces of its own, private /etc, /opt, /var.

The network is the machine's, so that servers on 127.0.0.1 are reached.
"""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import signal
import subprocess
import sys
import sysconfig

from masakari.clock import SystemClock, wait_until

HERE = pathlib.Path(__file__).parent
TREE = HERE.parents[3]
SYSTEMD = pathlib.Path("/lib/systemd/systemd")
PROGRAMS = ("api", "engine", "hostmonitor", "standalone", "manage", "status")
PATH = "/opt/bin:/opt/python/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLOCK = SystemClock()


def missing() -> str | None:
    """Why there can be no such host on this machine, or None."""
    if os.geteuid() != 0:
        return "only root can make a host of namespaces"
    if not SYSTEMD.exists():
        return "systemd is not installed; as root on Debian, make test installs it"
    if not (TREE / "etc/systemd").exists():
        return "these tests read the source tree"
    if cgroups() is None:
        return "control groups of version 2 are not mounted"
    return None


def cgroups() -> pathlib.Path | None:
    """Where control groups of version 2 are mounted."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(where)
    return None


class Host:
    """Switched on by `start`, off by `stop`, which leaves nothing behind."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Keep what it writes in *directory*."""
        self._root = directory / "root"
        self._root.mkdir()
        self.console = directory / "console"
        self._process: subprocess.Popen | None = None
        self._pid = 0
        self._since: list[str] = []
        self._cgroup = (cgroups() or pathlib.Path("/")) / f"masakari-{os.getpid()}-{id(self)}"

    def start(self) -> None:
        """Return when systemd has started everything."""
        self._cgroup.mkdir()
        env = {
            "PATH": PATH,
            "ROOT": str(self._root),
            "PYTHON": sys.base_prefix,
            "LIBRARIES": sysconfig.get_paths()["purelib"],
            "TREE": str(TREE),
        }
        join = f"echo $$ > {self._cgroup}/cgroup.procs; exec unshare --fork --kill-child --pid "
        join += f"--mount --uts --ipc --cgroup --propagation private bash {HERE / 'init.sh'}"
        with self.console.open("wb") as console:
            self._process = subprocess.Popen(
                ["bash", "-c", join],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=env,
                start_new_session=True,
            )
        self.wait("systemd runs", self._is_up, 30)

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self.console.read_text()
        children = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        with contextlib.suppress(OSError, ValueError):
            self._pid = int(pathlib.Path(children).read_text())
            return self.run("systemctl", "is-system-running", check=False).strip() == "running"
        return False

    def stop(self) -> None:
        """As if its power were cut."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        for directory in sorted(self._cgroup.rglob("*/"), reverse=True):
            wait_until(CLOCK, lambda d=directory: _has_gone(d), 10, 0.05)
        wait_until(CLOCK, lambda: _has_gone(self._cgroup), 10, 0.05)

    def wait(self, what, predicate, timeout_s):
        """Return when *predicate* is true."""
        assert wait_until(CLOCK, predicate, timeout_s, 0.1), (
            f"timed out after {timeout_s} s: {what}\n{self.console.read_text()[-2000:]}\n"
            + (self.run("journalctl", "--no-pager", "-n", "60", check=False) if self._pid else "")
        )

    def popen(self, *argv, **options):
        """Start a command there."""
        enter = ["nsenter", "-t", str(self._pid), "-m", "-u", "-i", "-p", "-C", "--"]
        enter += ["env", "-i", f"PATH={PATH}", "LANG=C.UTF-8"]
        return subprocess.Popen(
            [*enter, *map(str, argv)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def run(self, *argv, check=True, text=None):
        """What a command there prints, given *text* to read."""
        stdin = subprocess.DEVNULL if text is None else subprocess.PIPE
        process = self.popen(*argv, stdin=stdin)
        said, _ = process.communicate(text, timeout=300)
        assert not check or process.returncode == 0, f"{argv}: {process.returncode}\n{said}"
        return said

    def write(self, path, text, mode="640", group="masakari"):
        """The file is there, readable by the service."""
        self.run("install", "-D", "-m", mode, "-g", group, "/dev/stdin", path, text=text)

    # ---- services

    def install(self) -> None:
        """The programs are in /opt/masakari, user and units are there, no configuration is."""
        self.run("python3", "-m", "venv", "--without-pip", "/opt/masakari")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = f"/opt/masakari/lib/{version}/site-packages"
        self.write(f"{packages}/tree.pth", "/opt/tree\n/opt/libraries\n", "644", "root")
        for entry in importlib.metadata.entry_points(group="console_scripts"):
            if entry.dist is not None and entry.dist.name == "masakari":
                script = (
                    f"#!/opt/masakari/bin/python\nimport sys\nfrom {entry.module} import main\n"
                )
                script += "sys.exit(main())\n"
                self.write(f"/opt/masakari/bin/{entry.name}", script, "755", "root")
        for kind in ("sysusers.d", "tmpfiles.d"):
            self.run("install", "-D", "-t", f"/etc/{kind}", f"/opt/tree/etc/{kind}/masakari.conf")
        self.run("systemd-sysusers", "masakari.conf")
        self.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/masakari.conf")
        self.run("sh", "-c", "install -m 644 -t /etc/systemd/system /opt/tree/etc/systemd/*")
        self.run("systemctl", "daemon-reload")

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


def _has_gone(cgroup: pathlib.Path) -> bool:
    try:
        cgroup.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
