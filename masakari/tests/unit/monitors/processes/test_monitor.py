"""The loop of the process monitor, with a systemd that says what the test wants."""

import json
from types import SimpleNamespace

import pytest

from masakari import exposition
from masakari.metrics import Program
from masakari.monitors import report as report_
from masakari.monitors.memory import Memory
from masakari.monitors.processes.commands import Runner
from masakari.monitors.processes.judge import Limits, Look
from masakari.monitors.processes.monitor import ProcessMonitor
from masakari.monitors.processes.process_list import ProcessList
from masakari.monitors.spool import Spool
from masakari.monitors.teller import Teller
from masakari.pulse import Pulse
from masakari.tests.unit.db.clocks import ManualClock
from masakari.tests.unit.monitors import compute_hosts, disks

UNITS = ("libvirtd", "nova-compute")


class Systemd:
    """Its units look as `look_now` says, but those that are `down`."""

    def __init__(self):
        self.look_now = Look.UP
        self.down = set()

    def watch(self, units):
        self._units = units

    def look(self):
        return {unit: self._look(unit) for unit in self._units}

    def _look(self, unit):
        look = Look.DOWN if unit in self.down else self.look_now
        return SimpleNamespace(look=look, detail=str(look), deaths=0)


class Api:
    """Accepts all."""

    def __init__(self):
        self.heard = []

    def notify(self, notification):
        payload = notification["payload"]
        self.heard.append((payload["process_name"], payload["event"]))
        return report_.Answer(202)


class Host:
    """A compute host with two units, which nothing of ours starts again."""

    def __init__(self, directory):
        meter, self._render = exposition.of_process([Program.PROCESSMONITOR], "process", "1")
        self.clock = ManualClock()
        self.api = Api()
        self.systemd = Systemd()
        self.reports = directory / "reports.sqlite"
        self.known = directory / "known.json"
        self.list = directory / "process_list.yaml"
        self._meter = meter
        self.memory = Memory(self.known)
        self.spool = Spool(self.reports, self.api, self.clock, retry_interval_s=16, retry_alarm=3)
        self.watch(*UNITS)
        self.start()

    def watch(self, *units):
        """The list names them."""
        self.list.write_text("".join(f"- {{process_name: {u}, unit: {u}}}\n" for u in units))

    def start(self):
        """A monitor, which takes the place of the one before."""
        pulse = Pulse(self.clock)
        self.monitor = ProcessMonitor(
            ProcessList(self.list),
            self.systemd,
            Runner(timeout_s=10, as_root=()),
            Teller(self.spool, self.clock, pulse, meter=self._meter),
            memory=self.memory,
            clock=self.clock,
            hostname="compute1",
            limits=Limits(attempts=1, pause_s=5, stable_s=10, between_s=60),
            interval_s=5,
            pulse=pulse,
            wake=self.clock.event(),
            meter=self._meter,
        )

    def cycle(self, times=1):
        for _ in range(times):
            self.clock.advance(5)
            self.monitor.cycle()

    def raised(self):
        """The codes of the alarms that are raised."""
        return compute_hosts.raised(self._render)

    def stopped(self):
        """What the file knows as reported."""
        return json.loads(self.known.read_text())["stopped"]


@pytest.fixture
def host(tmp_path):
    found = Host(tmp_path)
    yield found
    found.spool.close()


def test_process_that_dies_while_the_disk_is_full_is_told_when_there_is_room(host):
    host.cycle()
    with disks.full(host.reports):
        host.systemd.look_now = Look.DOWN
        host.cycle(4)
        assert host.stopped() == []

    host.cycle()
    host.spool.flush()

    assert sorted(host.api.heard) == [(unit, "STOPPED") for unit in UNITS]
    assert host.stopped() == list(UNITS)


def test_reports_that_cannot_be_written_raise_an_alarm_until_they_are(host):
    def fail():
        host.systemd.look_now = Look.DOWN
        host.cycle(4)

    compute_hosts.check_alarm_of_reports_that_cannot_be_written(host, fail)


def test_state_that_cannot_be_kept_raises_an_alarm_until_it_is(host):
    compute_hosts.check_alarm_of_state_that_cannot_be_kept(host)


def test_process_that_was_told_stopped_is_told_started_by_the_next_monitor(host):
    host.systemd.look_now = Look.DOWN
    host.cycle(4)
    host.start()
    host.cycle(4)
    host.spool.flush()
    assert sorted(host.api.heard) == [(unit, "STOPPED") for unit in UNITS]

    host.start()
    host.systemd.look_now = Look.UP
    host.cycle(4)
    host.spool.flush()

    assert sorted(host.api.heard[2:]) == [(unit, "STARTED") for unit in UNITS]
    assert host.stopped() == []


def test_list_that_is_changed_is_in_force_with_the_next_look(host):
    host.cycle()

    host.watch("libvirtd", "neutron-agent")
    host.systemd.down = {"nova-compute.service", "neutron-agent.service"}
    host.cycle(4)
    host.spool.flush()

    assert host.api.heard == [("neutron-agent", "STOPPED")]
