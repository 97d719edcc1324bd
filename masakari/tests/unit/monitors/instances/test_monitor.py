"""The loop of the instance monitor, with a libvirt that says what the test wants."""

import json
import re

import pytest

from masakari.contacts import Contacts
from masakari.metrics import UNMETERED
from masakari.monitors import report as report_
from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.hypervisor import Gone, Listing
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

    def domains(self):
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

    def __init__(self, directory, meter=UNMETERED):
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
