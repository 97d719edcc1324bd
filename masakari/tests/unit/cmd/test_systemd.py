"""What systemd hears of us, on a socket as it has one."""

import os
import socket

import pytest

from masakari.cmd import systemd as systemd_
from masakari.cmd.systemd import Systemd, Watch
from masakari.sim.clock import SimClock


class Heard:
    """The other end of the socket."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(0)

    def messages(self):
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode().splitlines())
            except BlockingIOError:
                return found

    def close(self):
        self._socket.close()


@pytest.fixture
def heard(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    heard = Heard(str(tmp_path / "notify"))
    yield heard
    heard.close()


@pytest.fixture
def make(heard):
    """Makes a Systemd, as a program does at its start."""
    made = []

    def make(clock=None):
        made.append(Systemd(clock))
        return made[-1]

    yield make
    for systemd in made:
        systemd._notifier.socket.close()


@pytest.fixture
def systemd(make):
    return make(SimClock())


def test_nobody_is_told_without_systemd(monkeypatch):
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.delenv(name, raising=False)
    systemd = Systemd()

    systemd.ready("all is well")

    assert systemd.watchdog_s is None


def test_children_find_nothing_in_their_environment(systemd):
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)
    assert systemd.watchdog_s == 3


@pytest.mark.parametrize(("name", "value"), [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "soon")])
def test_watchdog_that_is_not_ours(make, monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    assert make().watchdog_s is None


def test_a_life(heard, systemd):
    systemd.waiting("waiting for\nthe database", 120)
    systemd.ready("serving")
    systemd.reloading()
    systemd.ready("serving")
    systemd.stopping()

    waiting, ready, reloading, again, stopping = heard.messages()
    assert waiting == ["EXTEND_TIMEOUT_USEC=120000000", "STATUS=waiting for the database"]
    assert ready == again == ["READY=1", "STATUS=serving"]
    assert (reloading[0], reloading[1].split("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
    assert stopping == ["STOPPING=1", "STATUS=stopping"]


def test_time_of_a_reload_is_systemds_monotonic_time(heard, make):
    with open("/proc/uptime") as uptime:  # noqa: PTH123  read as it is
        boot_s = float(uptime.read().split()[0])

    make().reloading()

    ((_, time_us, _),) = heard.messages()
    assert boot_s * 1e6 == pytest.approx(int(time_us.partition("=")[2]), abs=60e6)


def test_long_sentence_is_cut(heard, systemd):
    systemd.failed("x" * 10000)

    assert heard.messages() == [[f"STATUS={'x' * systemd_.LONGEST}"]]


def test_watchdog_hears_while_all_get_on(heard, systemd, caplog):
    stalled = []
    watch = Watch(systemd, lambda: list(stalled))

    watch.look()
    assert heard.messages() == [["WATCHDOG=1"]]

    stalled.append("sweep")
    watch.look()
    watch.look()
    assert heard.messages() == [["STATUS=no progress: sweep"]]
    assert [r.levelname for r in caplog.records] == ["ERROR"]

    stalled.clear()
    watch.look()
    assert heard.messages() == [["WATCHDOG=1"]]
