"""The file of management controllers, and the drivers that read it, as far as nobody answers."""

import logging
import os
import threading

import pytest

from masakari import errors
from masakari.monitors import core
from masakari.monitors.hosts import bmc, ipmi
from masakari.monitors.hosts.ipmi import IpmiPoller
from masakari.monitors.hosts.polling import Places, Reading
from masakari.monitors.hosts.redfish import RedfishPoller
from masakari.monitors.judge import State
from masakari.sim.clock import SimClock
from masakari.states import HostProof
from masakari.tests.unit.monitors.drivers import Watched, configured, private, seen

GOOD = """
defaults: {username: admin, password: secret}
hosts:
  compute1: {address: 10.0.9.1}
  compute2: {address: 10.0.9.2, port: 6230, password: another}
"""


@pytest.fixture
def clock():
    with SimClock() as made:
        yield made


def test_file_defaults_apply_where_a_host_says_nothing_else(tmp_path):
    found = bmc.File("ipmi", private(tmp_path / "bmc.yaml", GOOD), ipmi.FORM).read()

    assert found["compute1"].fields["password"] == "secret"
    assert found["compute2"].fields == {
        "address": "10.0.9.2",
        "port": 6230,
        "username": "admin",
        "password": "another",
    }


def test_file_password_is_not_shown(tmp_path):
    found = bmc.File("ipmi", private(tmp_path / "bmc.yaml", GOOD), ipmi.FORM).read()

    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has something else than defaults and hosts"),
        ("hosts: {}", "hosts is no mapping of host names"),
        ("hosts: [compute1]", "hosts is no mapping of host names"),
        ("defaults: 3\nhosts: {compute1: {}}", "defaults is no mapping"),
        ("hosts: {compute1: 3}", "compute1 is no mapping"),
        ("hosts: {compute1: {address: a, username: u}}", "compute1 has no password"),
        ("hosts: {compute1: {adress: a}}", "compute1: 'adress' is none of address, username"),
        ("hosts: {compute1: {password: 1234}}", r"compute1: password is not text \(quote it\)"),
        ("hosts: {compute1: {port: '623'}}", "compute1: port is not a number"),
        (
            "hosts: {compute1: {address: -x, username: u, password: hunter2}}",
            "compute1: address cannot begin with a dash",
        ),
        ("hosts: {compute1: {password: 'hunter2}}\n", r"is no YAML \(line 2\)"),
    ],
)
def test_file_that_is_wrong_is_named_with_the_reason(tmp_path, text, problem):
    with pytest.raises(errors.ConfigInvalid, match=rf"\[ipmi\] hosts_file: .*{problem}") as raised:
        bmc.File("ipmi", private(tmp_path / "bmc.yaml", text), ipmi.FORM)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o660])
def test_file_that_is_open_to_others_is_refused(tmp_path, mode):
    path = tmp_path / "bmc.yaml"
    private(path, GOOD)
    path.chmod(mode)

    with pytest.raises(errors.ConfigInvalid, match="open to others: chmod 600 or 640 it"):
        bmc.File("ipmi", str(path), ipmi.FORM)


@pytest.mark.parametrize(
    ("driver", "group"), [(IpmiPoller, "ipmi"), (RedfishPoller, "redfish")], ids=["ipmi", "redfish"]
)
@pytest.mark.parametrize(
    ("path", "problem"), [(None, "it is not set"), ("/no/such/file", "No such file or directory")]
)
def test_file_that_is_not_there_names_the_option(clock, driver, group, path, problem):
    with pytest.raises(errors.ConfigInvalid, match=rf"\[{group}\] hosts_file: .*{problem}"):
        driver.from_conf(configured(group, hosts_file=path), Watched("compute1"), clock)


def test_file_changes_are_read_and_broken_ones_are_not(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "bmc.yaml"
    file = bmc.File("ipmi", private(path, GOOD), ipmi.FORM)

    private(path, GOOD.replace("10.0.9.1", "10.0.9.9"))
    os.utime(path, (1, 1))
    changed = file.read()
    private(path, "hosts: 3")
    os.utime(path, (2, 2))
    broken = file.read()

    assert changed["compute1"].fields["address"] == "10.0.9.9"
    assert broken == changed
    assert "the controllers stay as they were: " in caplog.text


# ---- ipmi


@pytest.mark.parametrize(
    ("said", "complaints", "state", "detail"),
    [
        ("Chassis Power is on\n", "", State.ONLINE, "says that the power is on"),
        ("Chassis Power is off\n", "", State.OFFLINE, "says that the power is off"),
        ("Chassis Power is off\n", "a warning", State.OFFLINE, "says that the power is off"),
        ("Chassis Power is odd\n", "", State.UNKNOWN, "could not be asked (no answer)"),
        ("", "", State.UNKNOWN, "could not be asked (no answer)"),
        ("", "x\nError: Unable to establish", State.UNKNOWN, "(Error: Unable to establish)"),
        ("off", "", State.UNKNOWN, "could not be asked (no answer)"),
    ],
)
def test_ipmi_answer_means(said, complaints, state, detail):
    reading = ipmi.read("10.0.9.1", said, complaints)

    assert reading.state is state
    assert reading.detail.endswith(detail)
    assert reading.proof == (HostProof.POWER_OFF if state is State.OFFLINE else None)


def test_ipmi_password_is_not_among_the_arguments():
    argv = ipmi.command({"address": "a", "username": "u", "password": "hunter2"}, 5)

    assert "hunter2" not in " ".join(argv)
    assert argv[-3:] == ["chassis", "power", "status"]


def test_ipmi_controller_that_is_not_listed_or_silent_is_unknown(clock, tmp_path):
    text = "hosts: {compute1: {address: 127.0.0.1, port: 9, username: u, password: p}}"
    conf = configured("ipmi", hosts_file=private(tmp_path / "bmc.yaml", text), timeout=1)

    found = seen(IpmiPoller.from_conf(conf, Watched("compute1", "compute2"), clock))

    assert found["compute1"][0] is State.UNKNOWN
    assert found["compute2"] == (State.UNKNOWN, "its management controller is not in the file")


def test_ipmi_controller_is_listed_under_a_name_of_other_case_but_no_other_domain(clock, tmp_path):
    entry = "{address: 127.0.0.1, port: 9, username: u, password: p}"
    text = f"hosts: {{COMPUTE1: {entry}, compute2.example.com: {entry}}}"
    conf = configured("ipmi", hosts_file=private(tmp_path / "bmc.yaml", text), timeout=1)

    found = seen(IpmiPoller.from_conf(conf, Watched("compute1", "compute2"), clock))

    assert found["compute1"][1].startswith("the BMC 127.0.0.1")
    assert found["compute2"] == (State.UNKNOWN, "its management controller is not in the file")


def test_controller_of_another_host_proves_nothing():
    controllers = {"compute1.b": bmc.Controller({"address": "10.0.9.9"})}

    def ask(_host, controller):
        return bmc.of_power(State.OFFLINE, controller.fields["address"], "off")

    assert bmc.ask_all(["compute1"], controllers, ask, 1) == {"compute1": bmc.UNLISTED}


def test_ipmi_all_are_off_accuses_nobody(clock, tmp_path, monkeypatch):
    text = "hosts: {compute1: {address: 10.0.9.1, username: u, password: p}}"
    conf = configured("ipmi", hosts_file=private(tmp_path / "bmc.yaml", text))
    off = ipmi.read("10.0.9.1", "Chassis Power is off", "")
    monkeypatch.setattr(IpmiPoller, "_ask", lambda *_: off)

    with pytest.raises(core.Blind, match=r"of 1 hosts shows .*, so the controllers are doubted"):
        IpmiPoller.from_conf(conf, Watched("compute1"), clock).look()


def test_controller_that_does_not_answer_makes_room_for_two_more():
    hosts = [f"compute{number}" for number in range(1, 5)]
    together = threading.Barrier(3)

    def ask(host, _controller):
        if host == "compute1":
            return Reading(State.UNKNOWN, "no answer")
        together.wait(60)
        return Reading(State.ONLINE, "on")

    found = bmc.ask_all(hosts, dict.fromkeys(hosts, bmc.Controller({})), ask, 1)

    assert [found[host].state for host in hosts] == [State.UNKNOWN, *[State.ONLINE] * 3]


@pytest.mark.parametrize(
    "reading",
    [
        Reading(State.ONLINE, ""),
        Reading(State.DOUBTFUL, ""),
        bmc.of_power(State.OFFLINE, "10.0.9.1", "off"),
    ],
    ids=["online", "doubtful", "off"],
)
def test_who_answers_makes_no_room(reading):
    free = threading.Semaphore(0)

    Places(free, 1, 4).note(reading)

    assert not free.acquire(blocking=False)


def test_places_end():
    free = threading.Semaphore(0)
    places = Places(free, 1, 4)

    for _ in range(5):
        places.note(Reading(State.OFFLINE, ""))

    assert [free.acquire(blocking=False) for _ in range(4)] == [True, True, True, False]
