"""Alerts of Pacemaker, from the agent that it runs to the reason that the monitor is given."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import uuid

import pytest

from masakari import clock, errors
from masakari.monitors.hosts.pacemaker_alerts import PacemakerAlerts, sentence

CLOCK = clock.SystemClock()
AGENT = pathlib.Path(sys.executable).parent / "masakari-pacemaker-alert"
LOST = {"CRM_alert_kind": "node", "CRM_alert_node": "n2", "CRM_alert_desc": "lost"}
FENCED = {
    "CRM_alert_kind": "fencing",
    "CRM_alert_node": "n2",
    "CRM_alert_desc": "Operation off of n2 by n1 for pacemaker-controld.1@n1: OK",
}


@pytest.fixture(params=["abstract", "file"])
def name(request, tmp_path):
    is_abstract = request.param == "abstract"
    return f"@masakari-test-{uuid.uuid4().hex}" if is_abstract else str(tmp_path / "alerts")


@pytest.fixture
def told(name):
    """What is told, while it is listened to."""
    told = []
    source = PacemakerAlerts(
        name, CLOCK, lambda source, why: told.append((source, why)), retry_s=0.01
    )
    source.start()
    yield told
    source.stop()


def run(name, environment):
    return subprocess.run(
        [sys.executable, AGENT],
        env={"PATH": os.environ["PATH"], "CRM_alert_recipient": name, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wait_for(told, number):
    assert clock.wait_until(CLOCK, lambda: len(told) >= number, 30, 0.01), told


def tell_until(name, is_told):
    """Send an empty alert again and again."""
    address = "\0" + name[1:] if name.startswith("@") else name

    def tell():
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to,
            contextlib.suppress(OSError),
        ):
            to.sendto(b"{}", address)
        return is_told()

    assert clock.wait_until(CLOCK, tell, 30, 0.01)


def test_agent_tells_of_nodes_and_fencing_and_of_nothing_else(name, told):
    resource = {**LOST, "CRM_alert_kind": "resource"}

    done = [run(name, alert) for alert in (resource, LOST, FENCED)]

    assert [(d.returncode, d.stderr) for d in done] == [(0, "")] * 3
    wait_for(told, 2)
    assert told == [
        ("pacemaker_alerts", "Pacemaker says node n2: lost"),
        (
            "pacemaker_alerts",
            "Pacemaker says fencing n2: Operation off of n2 by n1 for pacemaker-controld.1@n1: OK",
        ),
    ]


def test_agent_without_a_monitor_says_so_and_goes(name):
    done = run(name, LOST)

    assert done.returncode == 1
    assert done.stderr.startswith(f"masakari-hostmonitor is not told: {name}: ")


def test_whatever_arrives_is_a_reason_to_look(name, told):
    address = "\0" + name[1:] if name.startswith("@") else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        for message in (b"", b"\xff", b"[]", json.dumps({"kind": "node"}).encode()):
            to.sendto(message, address)

    wait_for(told, 4)
    assert [why for _, why in told] == [
        *["Pacemaker says something that is no alert"] * 3,
        "Pacemaker says node :",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", ["abstract"], indirect=True)
def test_others_are_not_heard(name, told):
    code = (
        "import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
    )
    code += f"; s.sendto(b'somebody', {chr(0) + name[1:]!r})"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
    run(name, LOST)

    wait_for(told, 1)
    assert told == [("pacemaker_alerts", "Pacemaker says node n2: lost")]


def test_socket_that_another_process_has_is_taken_when_it_is_free(name, caplog):
    told = []
    first = PacemakerAlerts(name, CLOCK, lambda *_: None)
    second = PacemakerAlerts(name, CLOCK, lambda _source, why: told.append(why), retry_s=0.01)
    second.start()
    try:
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("alerts of Pacemaker are not heard, ")
        assert f"{name} cannot be used: " in line
        first.stop()
        tell_until(name, lambda: told)
    finally:
        second.stop()

    assert len(caplog.records) == 1


def test_second_monitor_that_ends_leaves_the_socket_to_the_first(name, told):
    second = PacemakerAlerts(name, CLOCK, lambda *_: None, retry_s=0.01)
    second.start()
    second.stop()

    assert run(name, LOST).returncode == 0
    wait_for(told, 1)
    assert told == [("pacemaker_alerts", "Pacemaker says node n2: lost")]


def test_socket_that_breaks_is_opened_again(name, caplog):
    told = []
    source = PacemakerAlerts(name, CLOCK, lambda _source, why: told.append(why), retry_s=0.01)
    with pathlib.Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), source._socket.fileno())
    source.start()
    try:
        tell_until(name, lambda: told)
    finally:
        source.stop()

    (line,) = [record.getMessage() for record in caplog.records]
    assert f"{name} cannot be used: Socket operation on non-socket" in line


@pytest.mark.parametrize("problem", ["no directory", "no socket"])
def test_path_that_cannot_be_a_socket_is_refused(tmp_path, problem):
    path = tmp_path / "alerts"
    path.write_text("")
    where = path if problem == "no socket" else tmp_path / "nowhere" / "alerts"

    with pytest.raises(
        errors.ConfigInvalid, match=r"\[pacemaker_alerts\] socket: .*cannot be used"
    ):
        PacemakerAlerts(str(where), CLOCK, lambda *_: None)
    assert path.read_text() == ""


def test_file_that_a_dead_monitor_left_is_taken_and_its_group_may_write(tmp_path):
    path = tmp_path / "alerts"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(path))

    source = PacemakerAlerts(str(path), CLOCK, lambda *_: None)

    assert path.stat().st_mode & 0o777 == 0o660
    source.stop()
    assert not path.exists()


def test_what_is_said_is_short_and_on_one_line():
    alert = {"kind": "node", "node": "n2\n\x1b[31m", "desc": "x" * 500}

    text = sentence(json.dumps(alert).encode())

    assert text.startswith("node n2 ?[31m: xxx")
    assert len(text) == 100
