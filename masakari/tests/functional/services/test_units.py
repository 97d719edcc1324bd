"""Our units under a real systemd: start, reload, stop, and what is done when something dies."""

import os
import socket
import time

import pytest

from masakari.tests.conftest import TOLD_AT_THE_END
from masakari.tests.functional.load import RATE, Load, get

pytestmark = pytest.mark.functional

SERVICES = ("masakari-api", "masakari-engine", "masakari-hostmonitor")
SERVES = {
    "masakari-api": "listening on 127.0.0.1 port {port} with 2 workers",
    "masakari-engine": "recovering what fails",
    "masakari-hostmonitor": "watching the hosts",
    "masakari-standalone": "listening on 127.0.0.1 port {port}",
}
LARGEST_MIB = {"API worker": 110, "engine": 110, "host monitor": 90}
"""Most of it is what is imported; the engine has TaskFlow, too."""
IDLE_S = 10.0
SOAKED = pytest.mark.skipif(
    os.environ.get("MASAKARI_THOROUGH") != "1", reason="like another one: make soak runs it"
)


def workers(host):
    """Process ids of the API's workers, on the host."""
    main = host.show("masakari-api", "MainPID")
    found = host.run("sh", "-c", f"cat /proc/{main}/task/*/children")
    return sorted(map(int, found.split()))


@pytest.mark.parametrize("name", SERVES)
def test_ready_means_that_it_serves(host, name):
    host.systemctl("start", name)

    assert host.show(name, "ActiveState") == "active"
    assert host.show(name, "StatusText") == SERVES[name].format(port=host.port)
    assert host.show(name, "User") == "masakari"
    if name in ("masakari-api", "masakari-standalone"):
        assert get(host.port) == 200
    host.systemctl("stop", name)
    assert host.show(name, "Result") == "success"
    assert "Traceback" not in host.journal(name)


@pytest.mark.parametrize("name", SERVES)
def test_mutable_options_are_read_again_at_reload(host, name):
    host.systemctl("start", name)
    before = host.journal(name)
    file = "masakarimonitors/masakarimonitors" if name.endswith("monitor") else "masakari/masakari"
    host.run("sed", "-i", "1i [DEFAULT]\\ndebug = true", f"/etc/{file}.conf")

    host.systemctl("reload", name)

    said = SERVES[name].format(port=host.port)
    host.wait(
        "the options were read again",
        lambda: (
            "mutable options were read again" in host.journal(name)[len(before) :]
            and host.show(name, "StatusText") == said
        ),
        60,
    )
    assert "Option DEFAULT.debug changed" in host.journal(name)[len(before) :]
    assert host.show(name, "NRestarts") == "0"


@pytest.mark.parametrize(
    ("verb", "is_kept"),
    [
        pytest.param("stop", True, id="stop, kept connections"),
        pytest.param("reload", False, id="reload, new connections"),
        pytest.param("stop", False, id="stop, new connections", marks=SOAKED),
        pytest.param("reload", True, id="reload, kept connections", marks=SOAKED),
    ],
)
def test_no_request_fails_under_load(host, verb, is_kept, record_property):
    host.systemctl("start", "masakari-api")
    load = Load(host.port, "/v1/segments", is_kept=is_kept)
    host.wait("there is load", lambda: len(load.answers) > RATE, 90)

    host.systemctl(verb, "masakari-api")
    if verb == "reload":
        count = len(load.answers)
        host.wait("more load", lambda: len(load.answers) > count + 3 * RATE, 90)
    took = load.end()
    record_property(
        TOLD_AT_THE_END,
        f"{verb} under {RATE} requests/s{' on kept connections' * is_kept}: "
        f"{len(load.answers)} answered, {len(load.failures)} failed ({took:.0f} answers/s)",
    )
    assert load.failures == []
    assert set(load.answers) == {200}
    if verb == "reload":
        assert load.refused == []
    assert host.show("masakari-api", "Result") == "success"


@pytest.mark.parametrize("name", SERVES)
def test_killed_program_is_started_again(host, name):
    host.systemctl("start", name)
    pid = host.show(name, "MainPID")

    host.run("kill", "-9", pid)

    host.wait("it was started again", lambda: host.show(name, "NRestarts") == "1", 30)
    host.wait("it serves", lambda: host.show(name, "ActiveState") == "active", 60)
    assert host.show(name, "MainPID") != pid


@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_worker_that_is_killed_or_wedged_is_replaced(host, signal):
    host.drop_in("masakari-api", "[Service]\nWatchdogSec=4\n")
    host.systemctl("start", "masakari-api")
    before = workers(host)

    host.run("kill", f"-{signal}", before[0])

    host.wait(
        "another worker took its place",
        lambda: len(workers(host)) == 2 and before[0] not in workers(host),
        60,
    )
    assert before[1] in workers(host)
    assert host.show("masakari-api", "NRestarts") == "0"
    assert ("it is killed" in host.journal("masakari-api")) == (signal == "STOP")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=SOAKED if n == "masakari-standalone" else ()) for n in SERVES],
)
def test_program_that_is_wedged_is_restarted_by_the_watchdog(host, name):
    host.drop_in(name, "[Service]\nWatchdogSec=4\n")
    host.systemctl("start", name)

    host.run("kill", "-STOP", host.show(name, "MainPID"))

    host.wait("it was started again", lambda: host.show(name, "NRestarts") == "1", 60)
    host.wait("it serves", lambda: host.show(name, "ActiveState") == "active", 60)
    assert f"{name}.service: Watchdog timeout" in host.journal(name)


WEDGED = """\
#!/opt/masakari/bin/python
import sys, threading
from masakari.cmd import engine
from masakari.engine import service, sweeps

service.STALLED_S = 2.0
sweeps.unfinished = lambda *_: threading.Event().wait()
sys.exit(engine.main())
"""


def test_program_of_which_one_loop_is_wedged_is_restarted_by_the_watchdog(host):
    host.write("/opt/masakari/bin/wedged", WEDGED, "755")
    start = "ExecStart=\nExecStart=/opt/masakari/bin/wedged\n"
    host.drop_in("masakari-engine", f"[Service]\n{start}WatchdogSec=4\n")
    host.systemctl("start", "masakari-engine")

    host.wait("it was started again", lambda: host.show("masakari-engine", "NRestarts") == "1", 60)

    said = host.journal("masakari-engine")
    assert "no progress: sweep; systemd restarts this program unless it gets on" in said
    assert "masakari-engine.service: Watchdog timeout" in said


def test_memory_and_cpu_when_idle(host, record_property):
    host.run("sed", "-i", "/^sweep_interval/d", "/etc/masakari/masakari.conf")
    host.systemctl("start", *SERVICES)
    own = {
        "API worker": workers(host)[0],
        "engine": host.show("masakari-engine", "MainPID"),
        "host monitor": host.show("masakari-hostmonitor", "MainPID"),
    }
    get(host.port)
    assert_idle(host, own, LARGEST_MIB, record_property)


def assert_idle(host, pids, largest_mib, record_property):
    """{what: process id} take little CPU time, which is told, and at most that much memory."""
    began, before = time.monotonic(), {what: cpu_s(host, pid) for what, pid in pids.items()}
    host.wait("time passes", lambda: time.monotonic() - began > IDLE_S, 2 * IDLE_S)
    took = time.monotonic() - began

    for what, pid in pids.items():
        percent = 100 * (cpu_s(host, pid) - before[what]) / took
        mib = rss_mib(host, pid)
        record_property(
            TOLD_AT_THE_END, f"idle {what} under systemd: {mib:.0f} MiB, {percent:.2f} % of a core"
        )
        assert mib < largest_mib[what]


def cpu_s(host, pid):
    """Seconds of CPU that the process has used."""
    fields = host.run("cat", f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def rss_mib(host, pid):
    """Its resident memory."""
    (line,) = (
        line for line in host.run("cat", f"/proc/{pid}/status").splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) / 1024


# ---- what cannot work


def fails(host, name, status):
    """The sentence that systemd shows, after the program has ended with *status*."""
    host.systemctl("start", name, check=False)
    host.wait("it failed", lambda: host.show(name, "ExecMainStatus") == str(status), 60)
    said = host.show(name, "StatusText")
    assert f"{name}: {said}" in host.journal(name)
    assert "Traceback" not in host.journal(name)
    return said


@pytest.mark.parametrize("name", SERVES)
def test_without_configuration_it_ends_and_is_not_started_again(host, name):
    host.run("rm", "/etc/masakari/masakari.conf", "/etc/masakarimonitors/masakarimonitors.conf")

    said = fails(host, name, 78)

    assert said.startswith(("[keystone_authtoken] auth_type: ", "[api] "))
    assert (host.show(name, "ActiveState"), host.show(name, "NRestarts")) == ("failed", "0")


@pytest.mark.parametrize("name", ["masakari-api", "masakari-standalone"])
def test_port_in_use_is_told_and_tried_again(host, name):
    host.drop_in(name, "[Service]\nRestartSec=1\n")
    listener = socket.create_server(("127.0.0.1", host.port))
    said = fails(host, name, 75)

    assert said == (
        f"[DEFAULT] masakari_api_listen: cannot listen on 127.0.0.1 port {host.port}: "
        "Address already in use"
    )
    listener.close()
    host.wait("it serves", lambda: host.show(name, "ActiveState") == "active", 60)
