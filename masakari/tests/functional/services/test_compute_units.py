"""The units of compute hosts under a real systemd: start, reload, a program that hangs, stop."""

import importlib.util

import pytest

from masakari.tests.functional.services.test_units import SOAKED, assert_idle

pytestmark = pytest.mark.functional

OPTIONS = """\
[DEFAULT]
hostname = compute1
[heartbeat]
backend_url = file:///var/lib/masakari/heartbeat
[libvirt]
connection_uri = test:///default
"""
PROCESS_LIST = "/etc/masakarimonitors/process_list.yaml"
PROCESSES = """\
- process_name: sleep 98765
  start_command: sh -c "sleep 98765 &"
  pre_start_command:
  post_start_command:
  restart_command: sh -c "sleep 98765 &"
  pre_restart_command:
  post_restart_command:
  run_as_root: false
"""
LARGEST_MIB = 110
NEEDS_LIBVIRT = pytest.mark.skipif(
    importlib.util.find_spec("libvirt") is None, reason="libvirt-python is not installed"
)
SERVES = {
    "masakari-heartbeat": "saying that this host lives",
    "masakari-instancemonitor": "hearing of the VMs of this host",
    "masakari-introspectiveinstancemonitor": "asking the guests of this host",
    "masakari-processmonitor": "watching the processes of this host",
}
FILE = "/etc/masakarimonitors/masakarimonitors.conf"


@pytest.fixture
def compute(host):
    """The host, configured for these programs."""
    host.run("sh", "-c", "getent group libvirt || groupadd --system libvirt")
    host.run("sh", "-c", f"cat >> {FILE}", text=OPTIONS)
    host.write(PROCESS_LIST, PROCESSES)
    yield host
    host.run("rm", "-f", PROCESS_LIST)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[
                *([NEEDS_LIBVIRT] if "instance" in name else []),
                *([SOAKED] if name == "masakari-introspectiveinstancemonitor" else []),
            ],
            id=name,
        )
        for name in SERVES
    ],
)
def test_unit_starts_reloads_is_watched_and_stops(compute, name):
    host = compute
    host.drop_in(name, "[Service]\nWatchdogSec=4\nRestartSec=1\n")

    host.systemctl("start", name)
    assert host.show(name, "ActiveState") == "active"
    assert host.show(name, "StatusText") == SERVES[name]
    assert host.show(name, "User") == "masakari"

    host.run("sed", "-i", "1i [DEFAULT]\\ndebug = true", FILE)
    host.systemctl("reload", name)
    host.wait(
        "the options were read again",
        lambda: "Option DEFAULT.debug changed" in host.journal(name),
        60,
    )
    assert host.show(name, "NRestarts") == "0"

    for count, signal in (("1", "-STOP"), ("2", "-KILL")):
        host.run("kill", signal, host.show(name, "MainPID"))
        host.wait("it was started again", lambda n=count: host.show(name, "NRestarts") == n, 60)
        host.wait("it serves", lambda: host.show(name, "StatusText") == SERVES[name], 60)
    assert f"{name}.service: Watchdog timeout" in host.journal(name)

    host.systemctl("stop", name)
    assert host.show(name, "Result") == "success"
    assert "Traceback" not in host.journal(name)


@NEEDS_LIBVIRT
def test_memory_and_cpu_when_idle(compute, record_property):
    compute.systemctl("start", *SERVES)

    pids = {name.removeprefix("masakari-"): compute.show(name, "MainPID") for name in SERVES}
    assert_idle(compute, pids, dict.fromkeys(pids, LARGEST_MIB), record_property)
