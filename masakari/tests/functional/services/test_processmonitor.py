"""The process monitor's unit under a real systemd, in front of our own API."""

import json
import urllib.request

import pytest

pytestmark = pytest.mark.functional

OPTIONS = """\
[process]
check_interval = 0.5
restart_retries = 1
restart_interval = 0.2
stable_after = 3
between_max = 3
[alarms]
silent_age = 1
"""
LIST = """\
- {process_name: nova-compute, unit: demo}
- {process_name: another-name, unit: demo-alias}
- {process_name: absent, unit: absent}
- {process_name: flapping, unit: flapping}
- {process_name: hangs, unit: hangs}
- {process_name: never-ready, unit: never-ready}
- {process_name: deaf, unit: deaf}
- process_name: sleep 98765
  start_command: sh -c "sleep 98765 & echo started >&2"
  pre_start_command:
  post_start_command:
  restart_command: sh -c "sleep 98765 &"
  pre_restart_command:
  post_restart_command:
  run_as_root: false
- process_name: /nonexistent/daemon
  start_command: "false"
  pre_start_command:
  post_start_command:
  restart_command: "false"
  pre_restart_command:
  post_restart_command:
  run_as_root: false
"""
DEMO = "[Service]\nExecStart=/bin/sleep 1000\n"
FLAPPING = "[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=50ms\n"
FLAPPING += "[Unit]\nStartLimitIntervalSec=0\n"
# systemd ends it when its watchdog was not heard of, and starts it again
HANGS = "[Service]\nType=notify\nNotifyAccess=all\nWatchdogSec=1\nRestart=always\nRestartSec=50ms\n"
HANGS += "ExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep 1000'\n"
HANGS += "[Unit]\nStartLimitIntervalSec=0\n"
NEVER_READY = "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=/bin/sleep 1000\n"
DEAF = (
    "[Service]\nExecStart=/bin/sh -c 'trap \"\" TERM; exec sleep 1000'\nTimeoutStopSec=infinity\n"
)
UNITS = {
    "demo": DEMO,
    "flapping": FLAPPING,
    "hangs": HANGS,
    "never-ready": NEVER_READY,
    "deaf": DEAF,
}
ALIAS = "/etc/systemd/system/demo-alias.service"
NAME = "masakari-processmonitor"
PROCESS_LIST = "/etc/masakarimonitors/process_list.yaml"


class World:
    """The host, and what its API has heard."""

    def __init__(self, host):
        self.host = host
        self.url = f"http://127.0.0.1:{host.port}/v1"
        host.drop_in(NAME, "[Unit]\nAfter=dbus.socket\n")
        for name, text in UNITS.items():
            host.write(f"/etc/systemd/system/{name}.service", text, "644", "root")
        host.run("ln", "-sf", "demo.service", ALIAS)
        host.write(PROCESS_LIST, LIST)
        path = "/etc/masakarimonitors/masakarimonitors.conf"
        host.run("sh", "-c", f"cat >> {path}", text=f"{OPTIONS}[DEFAULT]\nhostname = compute1\n")
        host.systemctl("daemon-reload")
        host.systemctl("start", "dbus.socket", "dbus", "demo", "flapping", "masakari-standalone")
        host.systemctl("start", "--no-block", "hangs", "never-ready", "deaf")
        segment = self.ask(
            "/segments",
            {"segment": {"name": "s", "recovery_method": "auto", "service_type": "COMPUTE"}},
        )["segment"]["uuid"]
        compute1 = {"name": "compute1", "type": "COMPUTE", "control_attributes": "x"}
        self.ask(f"/segments/{segment}/hosts", {"host": compute1})
        host.systemctl("start", NAME)

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def told(self, process):
        """The events that were told of the process, oldest first."""
        found = self.ask("/notifications?sort_key=id&sort_dir=asc")["notifications"]
        payloads = [each["payload"] for each in found if each["type"] == "PROCESS"]
        return [p["event"] for p in payloads if p["process_name"] == process]

    def wait_until_told(self, process, *events):
        self.host.wait(f"{process}: {events}", lambda: self.told(process) == list(events), 30)

    def said_at(self, unit, text):
        """When its journal had a line with the text last, in seconds since 1970."""

        def found():
            lines = self.host.run("journalctl", "-u", unit, "--no-pager", "-o", "json").splitlines()
            return [line for line in map(json.loads, lines) if text in str(line.get("MESSAGE"))]

        self.host.wait(f"{unit}: {text}", found, 30)
        return int(found()[-1]["__REALTIME_TIMESTAMP"]) / 1e6

    def wait_until_said(self, text):
        self.host.wait(f"the log: {text}", lambda: text in self.host.journal(NAME), 30)


@pytest.fixture
def world(host):
    if not host.run("sh", "-c", "ls /usr/bin/dbus-daemon || true").strip().startswith("/"):
        pytest.skip("dbus is not installed; as root on Debian, make test installs it")
    yield World(host)
    host.systemctl("kill", "-s", "KILL", "deaf", check=False)
    host.systemctl("stop", *UNITS, "dbus.socket", "dbus", check=False)
    host.run("rm", "-f", ALIAS, *(f"/etc/systemd/system/{name}.service" for name in UNITS))


def kill(world, unit):
    pid = world.host.show(unit, "MainPID")
    world.host.run("kill", "-9", pid)
    return pid


def test_what_dies_is_started_again_or_told(world):
    world.wait_until_said("systemd tells the states of 7 units")
    world.wait_until_said("absent.service is not watched: systemd has no such unit")
    # nobody starts what cannot be started
    world.wait_until_told("daemon", "STOPPED")
    # systemd kills it each second, or waits for ever
    world.wait_until_told("hangs", "STOPPED")
    world.wait_until_told("never-ready", "STOPPED")
    world.host.systemctl("stop", "--no-block", "deaf")
    # a command that talks on stderr has started it
    world.wait_until_said("sleep 98765: down -> up")
    assert world.told("sleep 98765") == []

    kill(world, "demo")
    world.wait_until_told("nova-compute", "STOPPED")
    noticed_s = world.said_at(NAME, "nova-compute: up -> ") - world.said_at("demo", "exited")
    print(f"noticed {1000 * noticed_s:.0f} ms after systemd")
    world.wait_until_told("another-name", "STOPPED")
    world.host.systemctl("start", "demo")
    world.wait_until_told("nova-compute", "STOPPED", "STARTED")

    world.host.run("pkill", "-9", "-x", "-f", "sleep 98765")
    world.wait_until_said("sleep 98765: it is started again (attempt 1)")
    world.host.wait(
        "it runs", lambda: world.host.journal(NAME).count("sleep 98765: down -> up") == 2, 30
    )

    for _ in range(3):
        before = kill(world, "flapping")
        world.host.wait(
            "systemd starts it",
            lambda before=before: world.host.show("flapping", "MainPID") not in ("0", before),
            10,
        )
    world.wait_until_told("flapping", "STOPPED", "STARTED")

    world.host.write(PROCESS_LIST, "- {process_name: x")
    world.wait_until_said("what was read last stays in force")
    world.host.systemctl("stop", "dbus.socket", "dbus")
    world.wait_until_said("the states of units are not known: D-Bus is away")
    world.wait_until_said("MSK-412 systemd has not answered")
    world.host.systemctl("start", "dbus.socket", "dbus")
    world.wait_until_said("MSK-412 is over")
    kill(world, "demo")
    world.wait_until_told("nova-compute", "STOPPED", "STARTED", "STOPPED")

    world.wait_until_told("deaf", "STOPPED")
    world.host.systemctl("kill", "-s", "KILL", "deaf")
    world.host.systemctl("start", "deaf")
    world.wait_until_told("deaf", "STOPPED", "STARTED")

    assert world.host.show(NAME, "User") == "masakari"
    world.host.systemctl("stop", NAME)
    assert world.host.show(NAME, "Result") == "success"
    assert "Traceback" not in world.host.journal(NAME)
    assert world.told("sleep 98765") == []
    assert world.told("absent") == []


def test_list_that_cannot_be_used_at_the_start_is_told(world):
    world.host.systemctl("stop", NAME)
    world.host.write(PROCESS_LIST, "- {process_name: x}")

    world.host.systemctl("start", NAME, check=False)

    said = "[process] process_list_path: /etc/masakarimonitors/process_list.yaml: entry 1 (x): "
    world.host.wait("it failed", lambda: world.host.show(NAME, "ExecMainStatus") == "78", 30)
    assert world.host.show(NAME, "StatusText").startswith(said)
