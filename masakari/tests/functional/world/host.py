"""Simulated hosts: namespaces of their own, so each has its processes, its network and its disk.

A `Lan` is a bridge; `Lan.add` plugs a host in, which can lose its power (every process dies at
once), its cable, or some of its packets.  The machine that runs the tests is plugged in as well, at
`Lan.gateway`: servers of a test are reached there.  A host without a LAN shares the machine's
network.  /etc, /opt and /var are copies of the machine's, and survive a power cycle.

What a host is lies in its directory, so another process can switch it too, as a BMC does::

    python -m masakari.tests.functional.world.host DIRECTORY on|off|state
"""

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

from masakari.clock import SystemClock, wait_until

HERE = pathlib.Path(__file__).parent
TREE = HERE.parents[3]
SYSTEMD = pathlib.Path("/lib/systemd/systemd")
PATH = "/opt/bin:/opt/python/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NUMBERS = itertools.count()
CLOCK = SystemClock()


def missing(*programs: str, systemd: bool = False) -> str | None:
    """Why there can be no such hosts, or *programs* on them, on this machine; or None."""
    if os.geteuid() != 0:
        return "only root can make a host of namespaces"
    if not (TREE / "etc/systemd").exists():
        return "these tests read the source tree"
    if cgroups() is None:
        return "control groups of version 2 are not mounted"
    needed = ("ip", "nsenter", "unshare", *([str(SYSTEMD)] if systemd else []), *programs)
    if absent := [name for name in needed if shutil.which(name, path=PATH) is None]:
        return f"not installed: {', '.join(absent)}; as root on Debian, make test installs them"
    forbidden = sh("unshare", "--net", "--pid", "--fork", "--mount", "true", check=False)
    return f"this machine allows no namespaces: {forbidden}" if forbidden else None


def cgroups() -> pathlib.Path | None:
    """Where control groups of version 2 are mounted."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(where)
    return None


def sh(*argv, check=True, text=None) -> str:
    """What a command prints."""
    done = subprocess.run(
        list(map(str, argv)),
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert not check or done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}"
    return done.stdout


class Lan:
    """A bridge with hosts; `down` leaves nothing behind."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Keep what hosts write in *directory*; the machine is plugged in at `gateway`."""
        self._directory = directory
        self._tag = f"mk{os.getpid() % 1000000:x}{next(NUMBERS):x}"
        """Short, as names of interfaces are; no other LAN of this machine has it."""
        self._bridge = f"{self._tag}-lan"
        self.hosts: list[Host] = []
        self._network = self._up()
        self.gateway = self.address(254)

    def address(self, number: int) -> str:
        """An IP address of the LAN; *number* is from 1 to 254, the gateway's."""
        return f"{self._network}.{number}"

    def add(self, name: str, number: int, kind: "type[Host] | None" = None, **options) -> "Host":
        """A host that is plugged in and switched off; `Host.address` has the *number*."""
        directory = self._directory / name
        directory.mkdir()
        netns = f"{self._tag}-{number}"
        port = f"p{number}"
        sh("ip", "netns", "add", netns)
        sh(
            *("ip", "-n", netns, "link", "add", "eth0", "type", "veth"),
            *("peer", "name", port, "netns", self._bridge),
        )
        sh("ip", "-n", self._bridge, "link", "set", port, "master", "br0", "up")
        sh("ip", "-n", netns, "link", "set", "lo", "up")
        sh("ip", "-n", netns, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        host = (kind or Host)(
            directory,
            name=name,
            netns=netns,
            bridge=self._bridge,
            port=port,
            address=self.address(number),
            **options,
        )
        self.hosts.append(host)
        return host

    def down(self) -> None:
        """Every host is gone, and the network too."""
        for host in self.hosts:
            host.remove()
            sh("ip", "netns", "del", host.netns, check=False)
        sh("ip", "link", "del", self._tag, check=False)
        sh("ip", "netns", "del", self._bridge, check=False)

    def _up(self) -> str:
        """The bridge, its cable to this machine; the network, of which there is one per LAN."""
        sh("ip", "netns", "add", self._bridge)
        sh("ip", "-n", self._bridge, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", self._bridge, "link", "set", "br0", "up")
        sh(
            *("ip", "link", "add", self._tag, "type", "veth"),
            *("peer", "name", "machine", "netns", self._bridge),
        )
        sh("ip", "-n", self._bridge, "link", "set", "machine", "master", "br0", "up")
        sh("ip", "link", "set", self._tag, "up")
        with pathlib.Path("/tmp/masakari-lans").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = sh("ip", "-4", "addr", "show")
            number = next(n for n in range(1, 250) if f"10.77.{n}." not in known)
            sh("ip", "addr", "add", f"10.77.{number}.254/24", "dev", self._tag)
        return f"10.77.{number}"


class Host:
    """Switched on by `start`, off by `stop`; `remove` leaves nothing behind."""

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        name: str = "masakari-test",
        systemd: bool = False,
        netns: str = "",
        bridge: str = "",
        port: str = "",
        address: str = "127.0.0.1",
        cgroup: str | None = None,
    ) -> None:
        """Keep its disk in *directory*; with *systemd* that is its first process."""
        self.name, self.netns, self.address = name, netns, address
        self.directory, self.console = directory, directory / "console"
        self._bridge, self._port, self._systemd = bridge, port, systemd
        cgroup = cgroup or f"{cgroups()}/masakari-{os.getpid()}-{id(self)}"
        self._cgroup = pathlib.Path(cgroup)
        self._process: subprocess.Popen | None = None
        self._root = directory / "root"
        if not self._root.exists():
            self._root.mkdir()
            # an overlay's upper layer cannot lie on another overlay, as a container's /tmp may
            sh("mount", "-t", "tmpfs", "tmpfs", self._root)
        settings = {"name": name, "systemd": systemd, "netns": netns, "bridge": bridge}
        settings |= {"port": port, "address": address, "cgroup": cgroup}
        (directory / "settings").write_text(json.dumps(settings))

    @classmethod
    def at(cls, directory: pathlib.Path) -> "Host":
        """The host that another process has made."""
        return cls(directory, **json.loads((directory / "settings").read_text()))

    # ---- power

    def start(self) -> None:
        """Power on; return when its first process, systemd with all it starts, is ready."""
        assert not self.is_on
        self._cgroup.mkdir(exist_ok=True)
        ready = self._root / "ready"
        ready.unlink(missing_ok=True)
        self._link("up")
        env = {
            "PATH": PATH,
            "NAME": self.name,
            "ROOT": str(self._root),
            "PYTHON": sys.base_prefix,
            "LIBRARIES": sysconfig.get_paths()["purelib"],
            "TREE": str(TREE),
            "INIT": "systemd" if self._systemd else "",
        }
        enter = f"ip netns exec {self.netns} " if self.netns else ""
        join = f"echo $$ > {self._cgroup}/cgroup.procs; exec {enter}unshare --fork --kill-child "
        join += "--pid --mount --uts --ipc --cgroup --propagation private bash "
        with self.console.open("wb") as console:
            self._process = process = subprocess.Popen(
                ["bash", "-c", f"{join}{HERE / 'init.sh'}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=env,
                start_new_session=True,
            )
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")

        def is_up() -> bool:
            assert process.poll() is None, self.console.read_text()
            with contextlib.suppress(OSError, ValueError):
                (self.directory / "pid").write_text(str(int(children.read_text())))
                if not self._systemd:
                    return ready.exists()
                return self.run("systemctl", "is-system-running", check=False).strip() == "running"
            return False

        self.wait("it is up", is_up, 30)

    def stop(self) -> None:
        """The power is cut: every process dies at once."""
        # a namespace without processes would still answer pings
        self._link("down")
        with contextlib.suppress(OSError):
            (self._cgroup / "cgroup.kill").write_text("1")
        self.wait("all its processes are gone", lambda: not self.is_on, 30)
        if self._process is not None:
            self._process.wait(10)

    def remove(self) -> None:
        """It has never been."""
        self.stop()
        for directory in sorted(self._cgroup.rglob("*/"), reverse=True):
            with contextlib.suppress(OSError):
                directory.rmdir()
        with contextlib.suppress(OSError):
            self._cgroup.rmdir()
        sh("umount", "--lazy", self._root)

    @property
    def is_on(self) -> bool:
        try:
            return "populated 1" in (self._cgroup / "cgroup.events").read_text()
        except OSError:
            return False

    # ---- its cable

    def cut(self) -> None:
        """The cable is out."""
        sh("ip", "-n", self._bridge, "link", "set", self._port, "down")

    def heal(self) -> None:
        """The cable is in again."""
        sh("ip", "-n", self._bridge, "link", "set", self._port, "up")

    def loss(self, percent: int) -> None:
        """So many of its packets are lost, either way; 0: none."""
        table = f"loss-{self._port}"
        nft = ("ip", "netns", "exec", self._bridge, "nft")  # not every kernel has netem
        sh(*nft, "delete", "table", "bridge", table, check=False)
        drop = f"numgen random mod 100 < {percent} drop" if percent < 100 else "drop"
        rules = f'iifname "{self._port}" {drop}\noifname "{self._port}" {drop}\n'
        chain = f"chain f {{ type filter hook forward priority 0\n{rules}}}\n"
        if percent:
            sh(*nft, "-f", "-", text=f"table bridge {table} {{ {chain} }}\n")

    def _link(self, state: str) -> None:
        if self.netns:
            sh("ip", "-n", self.netns, "link", "set", "eth0", state)

    # ---- what is done there

    def wait(self, what, predicate, timeout_s):
        """Return when *predicate* is true."""
        assert wait_until(CLOCK, predicate, timeout_s, 0.05), (
            f"timed out after {timeout_s} s: {what}\n{self.console.read_text()[-2000:]}\n"
            + self._journal_tail()
        )

    def _journal_tail(self) -> str:
        if not self._systemd or not self.is_on:
            return ""
        return self.run("journalctl", "--no-pager", "-n", "60", check=False)

    def popen(self, *argv, env=None, **options):
        """Start a command there; it dies with the host."""
        pid = (self.directory / "pid").read_text()
        enter = ["nsenter", "-t", pid, "-m", "-u", "-i", "-p", "-C"]
        enter += ["-n"] if self.netns else []
        values = {"PATH": PATH, "LANG": "C.UTF-8", **(env or {})}
        enter += ["--", "env", "-i", *(f"{name}={value}" for name, value in values.items())]
        return subprocess.Popen(
            [*enter, *map(str, argv)],
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.STDOUT,
                "text": True,
                **options,
            },
        )

    def run(self, *argv, check=True, text=None, env=None):
        """What a command there prints, given *text* to read."""
        stdin = subprocess.DEVNULL if text is None else subprocess.PIPE
        process = self.popen(*argv, stdin=stdin, env=env)
        said, _ = process.communicate(text, timeout=300)
        assert not check or process.returncode == 0, f"{argv}: {process.returncode}\n{said}"
        return said

    def write(self, path, text, mode="644", owner="root", group="root"):
        """The file is there."""
        self.run(
            *("install", "-D", "-m", mode, "-o", owner, "-g", group, "/dev/stdin", path), text=text
        )


def main(directory: str, verb: str) -> None:
    """What a BMC asks for."""
    host = Host.at(pathlib.Path(directory))
    if verb == "state":
        print("on" if host.is_on else "off")
    elif verb == "on" and not host.is_on:
        host.start()
    elif verb == "off":
        host.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
