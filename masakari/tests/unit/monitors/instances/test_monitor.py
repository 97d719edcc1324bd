"""The loop of the instance monitor, with a libvirt that says what the test wants."""

import json
import re

import pytest

from masakari import exposition
from masakari.contacts import Contacts
from masakari.metrics import Program
from masakari.monitors import report as report_
from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.hypervisor import Away, Gone, Listing
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Domain, Event, Judge
from masakari.monitors.instances.monitor import InstanceMonitor, Settings
from masakari.monitors.instances.words import State
from masakari.monitors.memory import Memory
from masakari.monitors.spool import Spool
from masakari.monitors.teller import Teller
from masakari.pulse import Pulse
from masakari.tests.unit.db.clocks import ManualClock
from masakari.tests.unit.monitors import disks

DIED = ("LIFECYCLE", "STOPPED_FAILED")


class Libvirt:
    """Always connected; lists the running domains in `running`."""

    is_connected = True

    def __init__(self, clock, running):
        self._clock = clock
        self.running = set(running)
        self.asked = lambda: None

    def disconnect(self):
        pass

    def domains(self):
        self.asked()
        now = self._clock.monotonic()
        domains = [Domain(vm, vm, State.RUNNING, 1, run=1) for vm in sorted(self.running)]
        return Listing(domains, now, self._clock.now())

    def is_persistent(self, uuid):
        return True

    def xml(self, uuid):
        raise Gone


class Api:
    """Accepts all."""

    def __init__(self):
        self.heard = []

    def notify(self, notification):
        self.heard.append(notification["payload"]["instance_uuid"])
        return report_.Answer(202)


class Host:
    """A compute host on which VMs run."""

    def __init__(self, directory):
        meter, self._render = exposition.of_process([Program.INSTANCEMONITOR], "instance", "1")
        self.clock = ManualClock()
        self.api = Api()
        self.reports = directory / "reports.sqlite"
        self.known = directory / "known.json"
        self.memory = Memory(self.known)
        self.libvirt = Libvirt(self.clock, ["vm1", "vm2", "vm3"])
        self.inbox = Inbox(lambda: None)
        self.spool = Spool(self.reports, self.api, self.clock, retry_interval_s=16, retry_alarm=3)
        self.stop = self.clock.event()
        pulse = Pulse(self.clock)
        self.monitor = InstanceMonitor(
            Settings(
                hostname="compute1",
                reconcile_s=60,
                reconnect_max_s=60,
                nova_only=False,
                tells_events=True,
                default_kind=Kind.OFF,
                flavor_kinds={},
                metadata_key="",
                agent_path=re.compile(""),
                silent_s=600,
            ),
            [self.libvirt],
            inbox=self.inbox,
            judge=Judge(),
            guests=None,
            teller=Teller(self.spool, self.clock, pulse),
            memory=self.memory,
            clock=self.clock,
            wake=self.clock.event(),
            pulse=pulse,
            contacts=Contacts(self.clock),
            meter=meter,
        )

    def die(self, vm):
        self.libvirt.running.discard(vm)
        self.inbox.put(Event(vm, vm, DIED, self.clock.now(), self.clock.monotonic()))

    def cycle(self):
        self.clock.advance(5)
        self.monitor.cycle()

    def run_once(self):
        self.libvirt.asked, asked = lambda: (self.stop.set(), asked()), self.libvirt.asked
        self.monitor.run(self.stop)
        self.libvirt.asked = asked
        self.stop.clear()

    def raised(self):
        """The codes of the alarms that are raised."""
        lines = self._render()[1].decode().splitlines()
        alarms = [line for line in lines if line.startswith("masakari_alarm{")]
        return {line.split('"')[1] for line in alarms if line.endswith(" 1.0")}

    def ended(self):
        """The VMs whose end is known to the file."""
        domains = json.loads(self.known.read_text())["domains"]
        return {vm for vm, domain in domains.items() if domain["ended"]}


@pytest.fixture
def host(tmp_path):
    found = Host(tmp_path)
    yield found
    found.spool.close()


def test_vm_that_dies_while_the_disk_is_full_is_told_when_there_is_room(host):
    host.cycle()
    with disks.full(host.reports):
        host.die("vm1")
        host.die("vm2")
        host.cycle()
        host.die("vm3")
        host.cycle()
        assert host.ended() == set()

    host.cycle()
    host.spool.flush()

    assert sorted(host.api.heard) == ["vm1", "vm2", "vm3"]
    assert host.ended() == {"vm1", "vm2", "vm3"}


def test_reports_that_cannot_be_written_raise_an_alarm_until_they_are(host):
    host.cycle()
    with disks.full(host.reports):
        host.die("vm1")
        host.cycle()
        assert host.raised() == {"MSK-404"}

    host.cycle()

    assert host.raised() == set()


def test_state_that_cannot_be_kept_raises_an_alarm_until_it_is(host):
    in_the_way = host.known.with_suffix(".new")
    in_the_way.mkdir()
    host.cycle()
    assert host.raised() == {"MSK-404"}

    in_the_way.rmdir()
    host.cycle()

    assert host.raised() == set()


def test_silence_of_libvirt_is_an_alarm_also_while_rounds_fail(host):
    def be_away():
        raise Away("no answer within 10 s")

    def fail():
        raise RuntimeError

    host.libvirt.asked = be_away
    host.cycle()
    host.clock.advance(600)
    host.libvirt.asked = fail
    host.run_once()
    assert host.raised() == {"MSK-411"}

    host.libvirt.asked = lambda: None
    host.run_once()

    assert host.raised() == set()
