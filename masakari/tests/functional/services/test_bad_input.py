"""What the programs need is not as it should be: one sentence says what, and systemd shows it."""

import contextlib
import re
import socket
import threading

import pytest

from masakari.tests import certificates, servers
from masakari.tests.certificates import Authority
from masakari.tests.functional.services.test_units import SERVES, fails

pytestmark = pytest.mark.functional

STATE = "/var/lib/masakari"
SERVER, MONITORS = "/etc/masakari/masakari.conf", "/etc/masakarimonitors/masakarimonitors.conf"
NOWHERE = "no-such-host.invalid"
UNRESOLVED = "(Name or service not known|Temporary failure in name resolution|No address)"
PASSWORD = "secret-of-masakari"


def append(host, file, text):
    host.run("sh", "-c", f"cat >> {file}", text=text)


def start(host, name):
    """Begin to start it; what it says is waited for."""
    host.systemctl("start", "--no-block", name)


def wait_until_shown(host, name, pattern):
    """`systemctl status` says so, and the log has neither a traceback nor a secret."""
    host.wait(
        f"status of {name}: {pattern}",
        lambda: re.search(pattern, host.show(name, "StatusText")),
        90,
    )
    assert_clean(host, name)


def wait_until_said(host, name, pattern):
    """Its log says so, once."""
    host.wait(f"log of {name}: {pattern}", lambda: re.search(pattern, host.journal(name)), 90)
    assert len(re.findall(pattern, host.journal(name))) == 1
    assert_clean(host, name)


def ends_and_has_said_once(host, name, *patterns):
    """Stopped, it has said each of them no second time."""
    host.systemctl("stop", name)
    said = host.journal(name)
    assert [len(re.findall(pattern, said)) for pattern in patterns] == [1] * len(patterns)
    assert_clean(host, name)


def assert_clean(host, name):
    said = host.journal(name)
    assert "Traceback" not in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("masakari-heartbeat", "[heartbeat] backend_url: it is not set"),
        ("masakari-instancemonitor", "[api] "),
        ("masakari-introspectiveinstancemonitor", "[api] "),
        ("masakari-processmonitor", "[process] process_list_path: "),
    ],
)
def test_unit_of_a_compute_host_without_configuration_ends(host, name, sentence):
    host.run("sh", "-c", "getent group libvirt || groupadd --system libvirt")
    host.run("rm", MONITORS)

    said = fails(host, name, 78)

    assert said.startswith(sentence)
    assert host.show(name, "NRestarts") == "0"


def test_database_whose_name_does_not_resolve_is_waited_for(host):
    url = f"mysql+pymysql://masakari:{PASSWORD}@{NOWHERE}/masakari"
    append(host, SERVER, f"[database]\nconnection = {url}\n")

    start(host, "masakari-engine")

    wait_until_shown(
        host, "masakari-engine", f"^waiting for the database: .*{NOWHERE}.*{UNRESOLVED}"
    )
    away = f"the database is not available: .*{NOWHERE}.*{UNRESOLVED}"
    wait_until_said(host, "masakari-engine", away)
    assert host.show("masakari-engine", "ActiveState") == "activating"
    ends_and_has_said_once(host, "masakari-engine", away)


def test_bus_and_keystone_whose_names_do_not_resolve_are_told(host):
    bus, keystone = f"rabbit://masakari:{PASSWORD}@{NOWHERE}:5672/", f"http://{NOWHERE}:5000/v3"
    host.run(
        *("sed", "-i", "-e", f"s,^transport_url.*,transport_url = {bus},"),
        *("-e", f"s,^auth_url.*,auth_url = {keystone},", SERVER, MONITORS),
    )

    start(host, "masakari-engine")
    start(host, "masakari-hostmonitor")

    wait_until_shown(host, "masakari-engine", "^recovering what fails$")
    no_bus = f"the message bus is not available: .*{UNRESOLVED}"
    no_keystone = f"Keystone is not available: .*{NOWHERE}.*{UNRESOLVED}"
    wait_until_said(host, "masakari-engine", no_bus)
    wait_until_said(host, "masakari-hostmonitor", no_keystone)
    ends_and_has_said_once(host, "masakari-engine", no_bus)
    ends_and_has_said_once(host, "masakari-hostmonitor", no_keystone)


@pytest.fixture
def small_disk(host):
    """The state directory has a file system of its own, of 4 MiB."""
    host.run("mount", "-t", "tmpfs", "-o", "size=4m,mode=750", "small", STATE)
    host.run("cp", "-aT", "/var/lib/empty-masakari", STATE)
    host.run("chown", "masakari:masakari", STATE)
    yield STATE
    host.systemctl("stop", "masakari-*")
    host.run("umount", STATE)


def assert_told(host, database, kept):
    """Engine and monitor say that they cannot write, and do not end."""
    start(host, "masakari-engine")
    start(host, "masakari-hostmonitor")
    wait_until_shown(host, "masakari-engine", f"^waiting for the database: {database}")
    wait_until_said(host, "masakari-engine", f"the database is not available: {database}")
    wait_until_said(
        host, "masakari-hostmonitor", rf"{STATE}/\S+ cannot be written \({kept}\): .*would forget"
    )


def test_full_disk_is_told_and_waited_for(host, small_disk):
    files = f"{small_disk}/more", f"{small_disk}/most"
    for file, size in zip(files, ("1k", "1"), strict=True):
        host.run("sh", "-c", f"dd if=/dev/zero of={file} bs={size} 2>/dev/null || true")

    assert_told(
        host,
        r"(disk I/O error \(\w+\): is the disk full\?|database or disk is full)",
        "No space left on device",
    )

    host.run("rm", *files)
    wait_until_shown(host, "masakari-engine", f"^{SERVES['masakari-engine']}$")
    assert host.show("masakari-engine", "NRestarts") == "0"


def test_state_directory_that_is_read_only_is_told(host, small_disk):
    host.run("mount", "-o", "remount,ro", small_disk)

    assert_told(
        host, "(attempt to write a readonly database|unable to open)", "Read-only file system"
    )


def test_api_with_an_expired_certificate_is_not_started(host, tmp_path):
    certificate, key = Authority(tmp_path).issue("api", "127.0.0.1", expired=True)
    for path in (certificate, key):
        host.write(f"/etc/masakari/{path.name}", path.read_text())
    files = f"ssl_cert_file = /etc/masakari/{certificate.name}\n"
    files += f"ssl_key_file = /etc/masakari/{key.name}\n"
    append(host, SERVER, f"[DEFAULT]\nuse_ssl = true\n[wsgi]\n{files}")

    said = fails(host, "masakari-api", 78)

    assert said.startswith(
        f"[wsgi] ssl_cert_file: /etc/masakari/{certificate.name}: the certificate"
    )
    assert "expired on" in said


@contextlib.contextmanager
def postgresql(tls):
    """The port of a PostgreSQL that gets no further than TLS."""

    def accept():
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                with near, contextlib.suppress(OSError):
                    near.settimeout(30)
                    near.recv(8)  # SSLRequest
                    near.sendall(b"S")
                    tls.wrap_socket(near, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def test_certificate_of_another_authority_is_told(host, tmp_path):
    tls = certificates.context(Authority(tmp_path, "theirs").issue("server"))
    ours = Authority(tmp_path, "ours").file.read_text()
    for directory in ("masakari", "masakarimonitors"):
        host.write(f"/etc/{directory}/ours.pem", ours)

    with servers.Gate(host.port, tls=tls) as keystone, postgresql(tls) as database:
        auth_url = f"https://127.0.0.1:{keystone.port}"
        cafile = "/etc/masakarimonitors/ours.pem"
        append(host, MONITORS, f"[api]\nauth_url = {auth_url}/v3\ncafile = {cafile}\n")
        url = f"postgresql://masakari:{PASSWORD}@127.0.0.1:{database}/masakari"
        url += "?sslmode=verify-ca&sslrootcert=/etc/masakari/ours.pem"
        append(host, SERVER, f"[database]\nconnection = {url}\n")
        start(host, "masakari-hostmonitor")
        start(host, "masakari-engine")

        refused = f"Keystone is not available: the certificate of {auth_url}"
        wait_until_said(host, "masakari-hostmonitor", refused)
        wait_until_shown(
            host, "masakari-engine", "^waiting for the database: .*certificate verify failed"
        )
        assert host.show("masakari-engine", "NRestarts") == "0"
        host.systemctl("stop", "masakari-engine", "masakari-hostmonitor")
