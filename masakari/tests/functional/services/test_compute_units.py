"""The units of compute hosts under a real systemd: start, reload, a program that hangs, stop."""

import importlib.util

import pytest

pytestmark = pytest.mark.functional

OPTIONS = """\
[DEFAULT]
hostname = compute1
[heartbeat]
backend_url = file:///var/lib/masakari/heartbeat
[libvirt]
connection_uri = test:///default
"""
NEEDS_LIBVIRT = pytest.mark.skipif(
    importlib.util.find_spec("libvirt") is None, reason="libvirt-python is not installed"
)
SERVES = {
    "masakari-heartbeat": "saying that this host lives",
    "masakari-instancemonitor": "hearing of the VMs of this host",
    "masakari-introspectiveinstancemonitor": "asking the guests of this host",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[NEEDS_LIBVIRT] if "instance" in name else [], id=name)
        for name in SERVES
    ],
)
def test_unit_starts_reloads_is_watched_and_stops(host, name):
    host.run("sh", "-c", "getent group libvirt || groupadd --system libvirt")
    file = "/etc/masakarimonitors/masakarimonitors.conf"
    host.run("sh", "-c", f"cat >> {file}", text=OPTIONS)
    host.drop_in(name, "[Service]\nWatchdogSec=4\n")

    host.systemctl("start", name)
    assert host.show(name, "ActiveState") == "active"
    assert host.show(name, "StatusText") == SERVES[name]
    assert host.show(name, "User") == "masakari"

    host.run("sed", "-i", "1i [DEFAULT]\\ndebug = true", file)
    host.systemctl("reload", name)
    host.wait(
        "the options were read again",
        lambda: "Option DEFAULT.debug changed" in host.journal(name),
        60,
    )
    assert host.show(name, "NRestarts") == "0"

    if name != "masakari-introspectiveinstancemonitor":  # the same program, two loops fewer
        host.run("kill", "-STOP", host.show(name, "MainPID"))
        host.wait("it was started again", lambda: host.show(name, "NRestarts") == "1", 60)
        host.wait("it serves", lambda: host.show(name, "StatusText") == SERVES[name], 60)
        assert f"{name}.service: Watchdog timeout" in host.journal(name)

    host.systemctl("stop", name)
    assert host.show(name, "Result") == "success"
    assert "Traceback" not in host.journal(name)
