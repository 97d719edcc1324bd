"""A private libvirtd with QEMU: its own processes, /run/libvirt, /var/lib/libvirt and /etc/libvirt.

Nothing uses /dev/kvm: QEMU emulates the processor, and guests are boot sectors of a few bytes.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import uuid as uuid_
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

import psutil

from masakari.clock import SystemClock, wait_until
from masakari.tests import certificates
from masakari.tests.functional.program import free_port

LIBVIRTD = pathlib.Path("/usr/sbin/libvirtd")
QEMU = pathlib.Path("/usr/bin/qemu-system-x86_64")
CLOCK = SystemClock()
NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"

CONFIG = """\
listen_tls = {listens}
listen_tcp = {listens}
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_dir = "{run}"
log_outputs = "2:file:{root}/libvirtd.log"
"""
REMOTE = """\
listen_addr = "127.0.0.1"
tls_port = "{tls_port}"
tcp_port = "{tcp_port}"
ca_file = "{authority}"
cert_file = "{certificate}"
key_file = "{key}"
auth_tls = "sasl"
auth_tcp = "sasl"
"""
# the first is taken with TLS; without, libvirt wants one that encrypts
SASL = "mech_list: scram-sha-256 digest-md5\nsasldb_path: {root}/sasl.db\n"
AUTH = """\
[credentials-masakari]
authname=masakari
password={password}
[auth-libvirt-default]
credentials=masakari
"""
# QEMU runs as root, without what needs a booted host.
QEMU_CONFIG = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
stdio_handler = "file"
namespaces = []
seccomp_sandbox = 0
"""
INIT = """\
mount -t proc proc /proc
for d in /run/libvirt /var/lib/libvirt /var/cache/libvirt /etc/libvirt /var/log/libvirt; do
    mkdir -p "$d" "$0$d"
    mount --bind "$0$d" "$d"
done
mkdir "$0/full"
mount -t tmpfs -o size=64k tmpfs "$0/full"
cp "$0/qemu.conf" /etc/libvirt/qemu.conf
# libvirtd looks these up before it reads its configuration
for f in passwd group; do
    cat /etc/$f "$0/more-$f" > "$0/$f"
    mount --bind "$0/$f" /etc/$f
done
trap : CHLD
echo up > "$0/up"
while :; do sleep 3600 & wait || true; done
"""


def missing() -> str | None:
    """Why there can be none on this machine, or None."""
    if os.geteuid() != 0:
        return "only root can start a private libvirtd"
    if not (LIBVIRTD.exists() and QEMU.exists()):
        return "libvirtd or QEMU is not installed; as root on Debian, make test installs them"
    try:
        import libvirt  # noqa: F401
    except ImportError:
        return "libvirt-python is not installed; make test installs it where libvirt-dev is there"
    return None


class Remote:
    """How one comes from elsewhere: TLS with a certificate, TCP, and SASL with a password."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Keep certificates and passwords in *directory*."""
        self._directory = directory
        self.tls_port, self.tcp_port = free_port(), free_port()
        authority = certificates.Authority(directory)
        certificate, key = authority.issue("server")
        self.config = REMOTE.format(
            tls_port=self.tls_port,
            tcp_port=self.tcp_port,
            authority=authority.file,
            certificate=certificate,
            key=key,
        )
        self.pki = self.client(authority, "pki")
        (directory / "sasl2").mkdir()
        (directory / "sasl2/libvirt.conf").write_text(SASL.format(root=directory))
        self.password = uuid_.uuid4().hex
        subprocess.run(
            ["saslpasswd2", "-p", "-a", "libvirt", "-f", directory / "sasl.db", "masakari"],
            input=self.password.encode(),
            check=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Of libvirtd."""
        return {"SASL_CONF_PATH": str(self._directory / "sasl2")}

    def client(self, authority: certificates.Authority, name: str) -> pathlib.Path:
        """A directory for pkipath, with a client's certificate of that authority."""
        path = self._directory / name
        path.mkdir()
        certificate, key = authority.issue(name)
        shutil.copy(authority.file, path / "cacert.pem")
        shutil.copy(certificate, path / "clientcert.pem")
        shutil.copy(key, path / "clientkey.pem")
        return path

    def auth_conf(self, password: str) -> pathlib.Path:
        """libvirt's file of credentials."""
        path = self._directory / f"{uuid_.uuid4().hex}.conf"
        path.write_text(AUTH.format(password=password))
        return path


class Libvirtd:
    """Started by `start`; `stop` leaves nothing behind."""

    def __init__(self, directory: pathlib.Path, remote: Remote | None = None) -> None:
        """Keep everything in *directory*, whose path is to be short (sockets)."""
        self.remote = remote
        self.root = directory
        self.run = directory / "run/libvirt"
        self._init: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        config = CONFIG.format(run=self.run, root=directory, listens=int(remote is not None))
        config += remote.config if remote else ""
        (directory / "libvirtd.conf").write_text(config)
        (directory / "qemu.conf").write_text(QEMU_CONFIG)
        (directory / "more-passwd").write_text("libvirt-qemu:x:64055:64055::/:/bin/false\n")
        (directory / "more-group").write_text("libvirt-qemu:x:64055:\nkvm:x:64056:\n")

    @property
    def uri(self) -> str:
        return f"qemu:///system?socket={self.run}/libvirt-sock"

    def start(self) -> None:
        """Return when it answers."""
        self._init = subprocess.Popen(
            [
                *("unshare", "--fork", "--kill-child", "--pid", "--mount", "--cgroup"),
                *("--propagation", "private", "bash", "-ec", INIT, self.root),
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait("its first process", (self.root / "up").exists)
        self.start_daemon()

    def start_daemon(self) -> None:
        """libvirtd runs, anew."""
        (inside,) = psutil.Process(self._init.pid).children()
        command = [
            *("nsenter", "-t", str(inside.pid), "-m", "-p", "-C", "--"),
            *(LIBVIRTD, "-f", self.root / "libvirtd.conf", "-p", self.root / "libvirtd.pid"),
            *(["--listen"] if self.remote else []),
        ]
        environment = self.remote.environment if self.remote else {}
        with (self.root / "libvirtd.err").open("ab") as said:
            self._daemon = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, **environment},
            )
        self._wait("libvirtd", self._answers)

    def _answers(self) -> bool:
        import libvirt

        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.open(self.uri).close()
            return True
        return False

    def _wait(self, what, predicate):
        assert wait_until(CLOCK, predicate, 30, 0.05), f"{what} did not start; see {self.root}"

    def signal_daemon(self, number: int) -> None:
        """To libvirtd itself; the guests run on."""
        for process in psutil.Process(self._daemon.pid).children():
            process.send_signal(number)
        if number == signal.SIGCONT:  # nsenter stops when its child does
            self._daemon.send_signal(number)

    def kill_daemon(self) -> None:
        """As kill -9; the guests run on."""
        self.signal_daemon(signal.SIGKILL)
        self._daemon.wait(10)

    def stop(self) -> None:
        """Nothing of it runs any more."""
        if self._init is not None:
            for child in psutil.Process(self._init.pid).children():
                child.kill()  # the first process of the namespace: all others die with it
            self._init.kill()
            self._init.wait(10)
        if self._daemon is not None:
            self._daemon.wait(10)

    # ---- guests

    def connect(self):
        """A connection that may do everything."""
        import libvirt

        return libvirt.open(self.uri)

    def qemu(self, uuid: str) -> psutil.Process:
        """The process of the guest."""
        for process in psutil.process_iter(["name", "cmdline"]):
            argv = process.info["cmdline"] or []
            if process.info["name"].startswith("qemu") and uuid in argv:
                return process
        raise AssertionError(f"no QEMU of {uuid} runs")

    def image(self, guest: str) -> pathlib.Path:
        """A new disk that boots the *guest*, one of GUESTS."""
        return boot(self.root / f"{uuid_.uuid4()}.img", guest)

    def image_on_full_disk(self, guest: str) -> pathlib.Path:
        """The same, of which only 64 KiB can be written."""
        (inside,) = psutil.Process(self._init.pid).children()
        path = self.root / f"full/{uuid_.uuid4()}.img"
        boot(pathlib.Path(f"/proc/{inside.pid}/root{path}"), guest, 64)
        return path


def boot(path: pathlib.Path, guest: str, mib: int = 1) -> pathlib.Path:
    """The file is a disk whose boot sector is the *guest*, one of GUESTS."""
    sector = bytes.fromhex(GUESTS[guest].replace(" ", "")).ljust(0x100, b"\0") + _DAP
    with path.open("wb") as file:
        file.write(sector.ljust(510, b"\0") + b"\x55\xaa")
    os.truncate(path, mib << 20)
    return path


_DAP = bytes([16, 0, 1, 0, 0, 0x7C, 0, 0]) + (1).to_bytes(8, "little")
"""Of which sector the guest that writes writes to: the first, then the next one, …"""
GUESTS = {
    "halt": "fb f4 eb fd",
    "spin": "eb fe",
    # until that fails
    "write": "31 c0 8e d8 be 00 7d b8 00 43 b2 80 cd 13 72 06 66 ff 44 08 eb f1 fb f4 eb fd",
    # enable ACPI's power button, look at each tick whether it was pressed, then switch off
    "obey": "fb ba 02 06 b8 00 01 ef b2 00 f4 ed f6 c4 01 74 f9 b2 04 b8 00 20 ef f4 eb fd",
}


def xml(
    name: str,
    *,
    uuid: str | None = None,
    nova: bool = True,
    mem: int = 16,
    watchdog: str = "",
    on_crash: str = "destroy",
    on_reboot: str = "restart",
    more: str = "",
    disk: pathlib.Path | None = None,
    error_policy: str = "stop",
    kernel: tuple[pathlib.Path, pathlib.Path, str] | None = None,
    agent: bool = False,
    panic: bool = True,
    kind: str = "",
    serial: pathlib.Path | None = None,
) -> str:
    """A tiny domain; *kernel*: (kernel, initrd, command line); *kind* of its heartbeat.

    *more*: XML of other devices.
    """
    devices = [
        f"<emulator>{QEMU}</emulator>",
        '<controller type="usb" model="none"/><memballoon model="none"/>',
        '<video><model type="none"/></video>',
        more,
    ]
    if panic:
        devices.append('<panic model="isa"/>')
    if watchdog:
        devices.append(f'<watchdog model="ib700" action={quoteattr(watchdog)}/>')
    if disk:
        devices.append(
            '<disk type="file" device="disk"><driver name="qemu" type="raw" cache="writeback" '
            f"error_policy={quoteattr(error_policy)}/><source file={quoteattr(str(disk))}/>"
            '<target dev="vda" bus="virtio"/></disk>'
        )
    if agent:
        devices.append(
            '<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>'
        )
    if serial:
        devices.append(f'<serial type="file"><source path={quoteattr(str(serial))}/></serial>')
    boot = '<boot dev="hd"/>' if disk else ""
    if kernel:
        boot = "<kernel>{}</kernel><initrd>{}</initrd><cmdline>{}</cmdline>".format(*kernel)
    spec = f'<nova:extraSpec name="masakari:guest_heartbeat">{kind}</nova:extraSpec>'
    metadata = (
        f'<metadata><nova:instance xmlns:nova="{NOVA}"><nova:name>{name}</nova:name>'
        f'<nova:flavor name="tiny"><nova:extraSpecs>{spec if kind else ""}</nova:extraSpecs>'
        "</nova:flavor></nova:instance></metadata>"
    )
    return (
        f'<domain type="qemu"><name>{name}</name><uuid>{uuid or uuid_.uuid4()}</uuid>'
        f"{metadata if nova else ''}"
        f'<memory unit="MiB">{mem}</memory><vcpu>1</vcpu>'
        f'<os><type arch="x86_64" machine="pc">hvm</type>{boot}</os><features><acpi/></features>'
        f"<on_reboot>{on_reboot}</on_reboot><on_crash>{on_crash}</on_crash>"
        f"<devices>{''.join(devices)}</devices></domain>"
    )


@contextlib.contextmanager
def running(*, is_remote: bool = False) -> Iterator[Libvirtd]:
    """One that is gone at the end; *is_remote*: it can be reached from elsewhere."""
    directory = short_directory()
    found = Libvirtd(directory, Remote(directory) if is_remote else None)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        remove(directory)


def short_directory() -> pathlib.Path:
    """A new one, for sockets, whose paths must be short."""
    import tempfile

    return pathlib.Path(tempfile.mkdtemp(prefix="lv"))


def remove(directory: pathlib.Path) -> None:
    """It is not there any more."""
    shutil.rmtree(directory, ignore_errors=True)
