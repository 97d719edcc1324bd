"""The instance monitor and a libvirt elsewhere: TLS with certificates, TCP, SASL with passwords."""

import pathlib
import uuid

import pytest

from masakari.tests import certificates
from masakari.tests.functional.monitors.test_instances import (
    Masakari,
    Monitor,
    wait,
    wait_for_log,
)
from masakari.tests.functional.world import libvirtd as world

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def libvirtd():
    if reason := world.missing():
        pytest.skip(reason)
    if not pathlib.Path("/usr/sbin/saslpasswd2").exists():
        pytest.skip("sasl2-bin is not installed; as root on Debian, make test installs it")
    with world.running(is_remote=True) as found:
        yield found


@pytest.fixture
def start(libvirtd, tmp_path):
    """Starts monitors, each with a directory of its own; they are stopped at the end."""
    monitors = []

    def start(uri, **options):
        directory = tmp_path / uuid.uuid4().hex
        directory.mkdir()
        masakari = Masakari()
        monitors.append(Monitor(directory, uri, masakari, **options))
        return masakari

    yield start
    for monitor in monitors:
        monitor.stop()


def tls(remote, pki=None):
    return f'"qemu+tls://127.0.0.1:{remote.tls_port}/system?pkipath={pki or remote.pki}"'


def tcp(remote):
    return f"'qemu+tcp://127.0.0.1:{remote.tcp_port}/system'"


@pytest.fixture
def credentials(monkeypatch):
    """Has libvirt's library find this file."""
    return lambda path: monkeypatch.setenv("LIBVIRT_AUTH_FILE", str(path))


def test_deaths_are_told_over_tls_and_tcp_also_after_libvirtd_was_away(
    libvirtd, start, guest, credentials, caplog
):
    caplog.set_level("INFO")
    remote = libvirtd.remote
    credentials(remote.auth_conf(remote.password))
    first, second = guest(), guest()
    told = [start(uri) for uri in (tls(remote), tcp(remote))]
    wait(
        "both know the domains", lambda: how_many_said(caplog, "all domains are compared with") == 2
    )

    libvirtd.qemu(first.UUIDString()).kill()
    for masakari in told:
        wait("it is told", lambda masakari=masakari: masakari.told(first.UUIDString()))

    mark = len(caplog.records)
    libvirtd.kill_daemon()
    libvirtd.qemu(second.UUIDString()).kill()
    wait("both have noticed", lambda: how_many_said(caplog, "libvirt is away", mark) == 2)
    libvirtd.start_daemon()
    for masakari in told:
        wait("it is told", lambda masakari=masakari: masakari.told(second.UUIDString()))
        assert len(masakari.heard) == 2
    assert remote.password not in caplog.text


def test_libvirt_that_refuses_is_told_with_the_reason_and_without_secrets(
    libvirtd, start, credentials, caplog
):
    caplog.set_level("DEBUG")
    wrong = uuid.uuid4().hex
    remote = libvirtd.remote
    credentials(remote.auth_conf(wrong))
    others = certificates.Authority(remote.pki.parent, "others")
    foreign = remote.client(others, "foreign")

    start(tcp(remote), **{"alarms.silent_age": 1})
    start(tls(remote, foreign))
    start(tls(remote, "/nonexistent"))

    for why in (
        f"connecting to qemu+tcp://127.0.0.1:{remote.tcp_port}/system: authentication failed",
        "authentication failed: Failed to verify peer's certificate",
        "Cannot read CA certificate '/nonexistent/cacert.pem'",
        "MSK-411 libvirt has not answered",
    ):
        wait_for_log(caplog, why)
    assert wrong not in caplog.text
    assert "Traceback" not in caplog.text


def how_many_said(caplog, text, since=0):
    """How many monitors, each of which has one thread that logs."""
    said = list(caplog.records)[since:]
    return len({record.thread for record in said if text in record.getMessage()})
