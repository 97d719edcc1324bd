"""The loop of the instance monitor, with a libvirt that says what the test wants."""

import json
import re

import pytest

from masakari import exposition
from masakari.contacts import Contacts
from masakari.metrics import UNMETERED, Program
from masakari.monitors import report as report_
from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.guests import Guests
from masakari.monitors.instances.heartbeat import Answer, Limits
from masakari.monitors.instances.hypervisor import Away, Listing
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Domain, Event, Judge
from masakari.monitors.instances.monitor import InstanceMonitor, Settings
from masakari.monitors.instances.words import State
from masakari.monitors.memory import Memory
from masakari.monitors.spool import Spool
from masakari.monitors.teller import Teller
from masakari.pulse import Pulse
from masakari.tests.unit.db.clocks import ManualClock
from masakari.tests.unit.monitors import compute_hosts, disks

NOVA = '<nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"/>'
DIED = ("LIFECYCLE", "STOPPED_FAILED")


class Libvirt:
    """Lists the running domains in `running`; all have agents, and those in `foreign` a stranger.

    Of those in `late` it does not tell in time, of those in `refused` it tells nothing; `is_away`
    it cannot be connected to.
    """

    def __init__(self, clock, running):
        self._clock = clock
        self.running = set(running)
        self.asked = lambda: None
        self.late = set()
        self.refused = set()
        self.are_persistent = True
        self.foreign = set()
        self.asked_of = []
        self.is_connected = True
        self.is_away = False

    def connect(self):
        if self.is_away:
            raise Away("access denied")
        self.is_connected = True

    def disconnect(self):
        self.is_connected = False

    def domains(self):
        self.asked()
        now = self._clock.monotonic()
        domains = [Domain(vm, vm, State.RUNNING, 1, run=1) for vm in sorted(self.running)]
        return Listing(domains, now, self._clock.now())

    def is_persistent(self, uuid):
        return self.are_persistent

    def xml(self, uuid):
        self.asked_of.append(uuid)
        if uuid in self.late:
            self._clock.advance(10)
            raise Away("no answer within 10 s", is_late=True)
        if uuid in self.refused:
            raise Away("access denied")
        agent = "<channel type='unix'><target name='org.qemu.guest_agent.0'/></channel>"
        nova = "" if uuid in self.foreign else NOVA
        return f"<domain><metadata>{nova}</metadata><devices>{agent}</devices></domain>"


class Agents:
    """Those of `silent` guests do not answer."""

    def __init__(self):
        self.silent = set()

    def ping(self, uuid, *, is_ill):
        return Answer.MISSING if uuid in self.silent else Answer.GOOD

    def activity(self, uuid):
        return 0


class Api:
    """Accepts all."""

    def __init__(self):
        self.heard = []

    def notify(self, notification):
        self.heard.append(notification["payload"]["instance_uuid"])
        return report_.Answer(202)


class Host:
    """A compute host on which VMs run, whose agents are asked."""

    def __init__(self, directory):
        meter, self._render = exposition.of_process([Program.INSTANCEMONITOR], "instance", "1")
        self.clock = ManualClock()
        self.api = Api()
        self.reports = directory / "reports.sqlite"
        self.known = directory / "known.json"
        self.memory = Memory(self.known)
        self.libvirt = Libvirt(self.clock, ["vm1", "vm2", "vm3"])
        self.writing = Libvirt(self.clock, [])
        self.agents = Agents()
        self.inbox = Inbox(lambda: None)
        self.spool = Spool(self.reports, self.api, self.clock, retry_interval_s=16, retry_alarm=3)
        self.stop = self.clock.event()
        self._pulse = Pulse(self.clock)
        self.guests = Guests(
            self.agents,
            self.inbox,
            self.clock,
            limits=Limits(interval_s=5, threshold=0, io_silence_s=0),
            parallel=4,
            pulse=self._pulse,
        )
        self.start(meter)

    def start(self, meter=UNMETERED, *, report_also=(), **options):
        """A monitor, which takes the place of the one before."""
        settings = {
            "hostname": "compute1",
            "reconcile_s": 60,
            "reconnect_max_s": 60,
            "nova_only": False,
            "tells_events": True,
            "default_kind": Kind.HEARTBEAT,
            "flavor_kinds": {},
            "metadata_key": "",
            "agent_path": re.compile(""),
            "silent_s": 600,
            **options,
        }
        self.monitor = InstanceMonitor(
            Settings(**settings),
            [self.libvirt, self.writing],
            inbox=self.inbox,
            judge=Judge(report_also),
            guests=self.guests,
            teller=Teller(self.spool, self.clock, self._pulse, meter=meter),
            memory=self.memory,
            clock=self.clock,
            wake=self.clock.event(),
            pulse=self._pulse,
            contacts=Contacts(self.clock),
            meter=meter,
        )

    def hear(self, vm, *words):
        self.inbox.put(Event(vm, vm, words, self.clock.now(), self.clock.monotonic()))

    def ask_guests(self):
        self.clock.advance(5)
        for future in self.guests.ask_all():
            future.result(30)

    def tell(self):
        """What Masakari has heard by now."""
        self.cycle()
        self.spool.flush()
        return self.api.heard

    def die(self, vm):
        self.libvirt.running.discard(vm)
        self.hear(vm, *DIED)

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
        return compute_hosts.raised(self._render)

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
    def fail():
        host.die("vm1")
        host.cycle()

    compute_hosts.check_alarm_of_reports_that_cannot_be_written(host, fail)


def test_state_that_cannot_be_kept_raises_an_alarm_until_it_is(host):
    compute_hosts.check_alarm_of_state_that_cannot_be_kept(host)


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


def test_domain_whose_xml_hangs_keeps_no_other_unknown(host):
    host.libvirt.late = {"vm1"}
    for _ in range(3):
        host.cycle()
    host.ask_guests()
    assert set(host.guests.remember()) == {"vm2", "vm3"}
    assert host.libvirt.asked_of == ["vm1", "vm2", "vm3"]

    host.libvirt.late = set()
    host.clock.advance(60)
    host.cycle()
    host.ask_guests()

    assert set(host.guests.remember()) == {"vm1", "vm2", "vm3"}


def test_domain_that_is_refused_keeps_no_other_unknown(host, caplog):
    host.libvirt.refused = {"vm1"}
    for _ in range(3):
        host.cycle()
        assert host.monitor._pause() > 0
    host.ask_guests()
    assert set(host.guests.remember()) == {"vm2", "vm3"}
    assert host.libvirt.asked_of == ["vm1", "vm2", "vm3"]
    host.clock.advance(60)
    host.cycle()
    assert host.libvirt.asked_of == ["vm1", "vm2", "vm3", "vm1"]
    assert caplog.text.count("vm1 (vm1): libvirt does not say whose it is") == 1
    assert "is away" not in caplog.text

    host.libvirt.refused = set()
    host.clock.advance(60)
    host.cycle()
    host.ask_guests()

    assert set(host.guests.remember()) == {"vm1", "vm2", "vm3"}


def test_domain_asked_for_while_the_connection_is_lost_is_not_refused(host, caplog):
    def lose(_uuid):
        host.libvirt.is_connected = False
        raise Away("there is no connection")

    host.libvirt.xml, xml = lose, host.libvirt.xml
    host.cycle()
    host.libvirt.xml = xml
    host.cycle()
    host.ask_guests()

    assert host.libvirt.asked_of == ["vm1", "vm2", "vm3"]
    assert set(host.guests.remember()) == {"vm1", "vm2", "vm3"}
    assert "vm1" not in caplog.text


def test_connection_that_is_lost_each_time_is_not_made_anew_without_a_pause(host):
    def lose():
        host.libvirt.disconnect()
        raise Away("no answer within 10 s")

    host.libvirt.asked = lose
    for _ in range(3):
        host.cycle()
        assert host.monitor._pause() > 0


def test_domain_that_is_started_again_is_not_late_any_more(host):
    host.libvirt.late = {"vm1"}
    host.cycle()
    host.libvirt.late = set()

    host.hear("vm1", "LIFECYCLE", "STARTED_BOOTED")
    host.cycle()

    assert host.libvirt.asked_of == ["vm1", "vm1", "vm2", "vm3"]


def test_guest_whose_domain_is_changed_and_does_not_tell_how_is_watched_on(host):
    host.cycle()
    host.ask_guests()
    host.libvirt.late = host.agents.silent = {"vm1"}  # its QEMU hangs

    host.hear("vm1", "LIFECYCLE", "DEFINED_UPDATED")
    for _ in range(3):
        host.cycle()
        host.ask_guests()

    assert host.tell() == ["vm1"]


def test_domain_of_which_libvirt_did_not_tell_is_not_waited_for_when_it_fails(host):
    host.start(nova_only=True)
    host.libvirt.late = {"vm1"}
    host.cycle()
    host.die("vm1")

    assert host.tell() == ["vm1"]
    assert host.libvirt.asked_of.count("vm1") == 1


def test_guest_that_is_dead_is_told_beside_what_libvirt_tells(host):
    host.cycle()
    host.ask_guests()
    host.agents.silent = {"vm1"}
    for _ in range(3):
        host.ask_guests()
    host.die("vm2")

    assert sorted(host.tell()) == ["vm1", "vm2"]


def test_who_may_not_write_watches_domains_all_the_same(host, caplog):
    caplog.set_level("INFO")
    host.writing.is_away, host.writing.is_connected = True, False
    host.libvirt.are_persistent = False
    host.cycle()
    host.libvirt.running.remove("vm1")  # no event tells of it
    host.clock.advance(60)
    assert host.tell() == ["vm1"]
    host.clock.advance(600)
    host.run_once()
    assert host.raised() == {"MSK-411"}

    host.writing.is_away = False
    host.clock.advance(60)
    host.run_once()

    assert host.raised() == set()
    told = [r.getMessage() for r in caplog.records if "to write to it" in r.getMessage()]
    assert told == [
        "libvirt, to write to it, is away (access denied); it is tried again until it is back",
        "connected to libvirt, to write to it,",
    ]


def test_death_of_which_no_event_has_told_is_seen_by_the_next_comparison(host):
    host.libvirt.are_persistent = False
    host.cycle()
    host.libvirt.running.remove("vm1")
    assert host.tell() == []

    host.clock.advance(60)

    assert host.tell() == ["vm1"]


def test_domain_that_is_not_novas_is_left_alone_and_told_of_once(host, caplog):
    caplog.set_level("INFO")
    host.libvirt.foreign = {"vm1"}
    host.start(nova_only=True)
    for _ in range(3):
        host.hear("vm1", "LIFECYCLE", "STARTED_BOOTED")
        host.cycle()
        host.clock.advance(60)
        host.ask_guests()
    assert set(host.guests.remember()) == {"vm2", "vm3"}
    host.die("vm1")
    host.die("vm2")

    assert host.tell() == ["vm2"]
    assert caplog.text.count("vm1 (vm1): Nova has not made it; it is left alone") == 1
