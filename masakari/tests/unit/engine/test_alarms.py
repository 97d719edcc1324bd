"""Alarms are raised once, by one engine, and cleared when their cause is gone."""

import dataclasses
import datetime

import pytest

from masakari import alarms, contacts, db, metrics
from masakari.contacts import Contacts
from masakari.engine import sweeps
from masakari.engine.alarms import Lookout, raise_
from masakari.sim.faults import Fault
from masakari.states import NotificationStatus
from masakari.tests.heard import Heard
from masakari.tests.unit.db import rows


@pytest.fixture
def world(world):
    world.conf.set_override("hosts_interval", 0, group="alarms")
    return dataclasses.replace(world, events=Heard())


def anew(world):
    """The surroundings of another engine, or of the same one after its start."""
    return dataclasses.replace(world, owner="engine-b", contacts=Contacts(world.clock))


def told(world):
    """(type, code, subject) of events since the last time."""
    _, events = world.events.take()
    data = [(e.type, e.payload["masakari_object.data"]) for e in events]
    return [(type_, d["code"], d["subject"]) for type_, d in data if type_.startswith("alarm.")]


def settle(world, job, status):
    assert db.leases.settle(
        world.database, job.uuid, owner=world.owner, status=status, message="why: because."
    )


def codes(world):
    return [row.code for row in db.alarms.raised(world.database)]


def test_recovery_that_waits_long_is_told_once_until_it_ends(world, claim, caplog):
    job, lookout = claim(), Lookout(world)
    lookout.look()
    assert codes(world) == []
    world.clock.sleep(901)
    for _ in range(3):
        lookout.look()
    Lookout(anew(world)).look()

    assert told(world) == [("alarm.raise", "MSK-101", job.uuid)]
    assert caplog.text.count("MSK-101 notification") == 1
    assert world.meter.value(metrics.ALARM, "MSK-101") == 1
    settle(world, job, NotificationStatus.FINISHED)
    Lookout(anew(world)).look()
    lookout.look()
    assert told(world) == [("alarm.clear", "MSK-101", job.uuid)]
    assert codes(world) == []
    assert world.meter.value(metrics.ALARM, "MSK-101") == 0


def test_recovery_that_failed_is_known_until_a_later_one_finishes(world, claim):
    job = claim()
    settle(world, job, NotificationStatus.FAILED)
    Lookout(world).look()
    assert told(world) == [("alarm.raise", "MSK-103", job.uuid)]

    other = claim("compute2")
    settle(world, other, NotificationStatus.FINISHED)
    Lookout(world).look()
    assert told(world) == []
    world.clock.sleep(10)
    settle(world, claim(), NotificationStatus.FINISHED)
    Lookout(world).look()
    assert told(world) == [("alarm.clear", "MSK-103", job.uuid)]


def test_recovery_that_failed_is_known_after_a_day(world, claim):
    job = claim()
    settle(world, job, NotificationStatus.FAILED)
    Lookout(world).look()
    world.clock.sleep(86401)
    Lookout(world).look()

    assert [type_ for type_, _, _ in told(world)] == ["alarm.raise", "alarm.clear"]
    assert job.uuid


def test_raised_by_the_thread_that_met_it_is_not_cleared_by_a_look_that_began_before(world):
    """As a look reads what is raised before it looks for causes."""

    class Slow(Lookout):
        def _waiting(self):
            raise_(world, alarms.GIVEN_UP, "some-uuid", "failed meanwhile")
            return {}

    Slow(world).look()

    assert codes(world) == ["MSK-103"]


def test_two_engines_that_see_the_same_tell_it_once(world):
    for surroundings in (world, anew(world)):
        raise_(surroundings, alarms.CLOCK, "clock at a", "words")

    assert told(world) == [("alarm.raise", "MSK-302", "clock at a")]


def test_engine_that_inserts_second_has_not_raised(world):
    """Both have seen that it was not there."""
    first = db.alarms._insert(world.database, "MSK-302", "clock at a", "words")

    assert first.code == "MSK-302"
    with pytest.raises(Exception, match="UNIQUE"):
        db.alarms._insert(world.database, "MSK-302", "clock at a", "words")
    assert db.alarms.confirm(world.database, "MSK-302", "clock at a", "words") is None


def test_credentials_refused_is_of_one_host_and_cleared_there(world):
    world.conf.set_override("host", "node1", group="DEFAULT")
    world.contacts.failed(contacts.KEYSTONE, "it refuses our credentials", is_refused=True)
    Lookout(world).look()
    assert told(world) == [("alarm.raise", "MSK-301", "Keystone at node1")]

    # one that was started anew has not asked yet
    Lookout(anew(world)).look()
    assert told(world) == []
    # and one elsewhere is let in
    world.conf.set_override("host", "node2", group="DEFAULT")
    elsewhere = anew(world)
    elsewhere.contacts.answered(contacts.KEYSTONE)
    Lookout(elsewhere).look()
    assert told(world) == []
    world.conf.set_override("host", "node1", group="DEFAULT")
    world.contacts.answered(contacts.KEYSTONE)
    Lookout(world).look()
    assert told(world) == [("alarm.clear", "MSK-301", "Keystone at node1")]


def test_alarm_of_an_engine_that_is_gone_is_cleared_by_another_after_an_hour(world):
    world.conf.set_override("host", "node1", group="DEFAULT")
    world.contacts.failed(contacts.NOVA, "it refuses our user", is_refused=True)
    Lookout(world).look()
    world.conf.set_override("host", "node2", group="DEFAULT")
    other = Lookout(anew(world))
    world.clock.sleep(3500)
    other.look()
    assert codes(world) == ["MSK-301"]
    world.clock.sleep(200)
    other.look()

    assert codes(world) == []


class Late:
    """A database whose clock is behind."""

    def __init__(self, clock):
        self._clock = clock

    def __getattr__(self, name):
        return getattr(self._clock, name)

    def now(self):
        return self._clock.now() + datetime.timedelta(seconds=7)


def test_clock_that_differs_from_the_databases_is_told(world):
    world.conf.set_override("host", "node1", group="DEFAULT")
    Lookout(world).look()
    assert world.meter.value(metrics.CLOCK_AHEAD) == 0
    # SQLite asks the program's clock: the row of now() and ours come from two connections
    ours = world.database.clock
    world.database.clock = Late(ours)
    try:
        Lookout(world).look()
        assert world.meter.value(metrics.CLOCK_AHEAD) == pytest.approx(7)
        assert told(world) == [("alarm.raise", "MSK-302", "clock at node1")]
    finally:
        world.database.clock = ours
    Lookout(world).look()
    assert told(world) == [("alarm.clear", "MSK-302", "clock at node1")]


@pytest.fixture
def compare(world):
    """compare(): the hosts are compared once."""
    world.conf.set_override("hosts_interval", 60, group="alarms")

    def call():
        lookout = Lookout(world)
        world.clock.sleep(60)
        lookout.look()

    return call


def test_hosts_of_nova_and_of_segments_are_compared(world, cloud, segment, compare):
    for name in ("compute1", "compute2"):
        cloud.add_host(name)
    compare()
    assert codes(world) == []  # nobody has begun to use it

    rows.host(world.database, "compute1", segment)
    rows.host(world.database, "computer3", segment)
    compare()
    assert told(world) == [
        ("alarm.raise", "MSK-201", "compute2"),
        ("alarm.raise", "MSK-202", "computer3"),
    ]
    rows.host(world.database, "compute2", segment)
    cloud.add_host("computer3")
    compare()
    assert sorted(told(world)) == [
        ("alarm.clear", "MSK-201", "compute2"),
        ("alarm.clear", "MSK-202", "computer3"),
    ]


def test_hosts_that_may_be_in_no_segment_are_not_told(world, cloud, segment, compare):
    rows.host(world.database, "compute1", segment)
    for name in ("compute1", "compute2"):
        cloud.add_host(name)
    world.conf.set_override("hosts_in_no_segment", False, group="alarms")
    compare()

    assert codes(world) == []


def test_vm_that_stays_locked_is_told_until_it_is_unlocked(world, cloud, claim):
    cloud.add_host("compute1")
    vm = cloud.add_server("compute1", "web1")
    job, stop = claim(), world.clock.event()
    wanted = db.vmoves.NewMove(vm, "web1", "compute1", rank=1)
    (move,) = db.vmoves.prepare(world.database, job.uuid, 1, 1, [wanted])
    db.vmoves.start(world.database, move.uuid, lock=True)
    settle(world, job, NotificationStatus.FINISHED)
    cloud.add_fault(Fault("unlock", error=403, times=None))
    for surroundings in (world, anew(world)):
        sweeps.forgotten_locks(surroundings, stop)
        Lookout(surroundings).look()

    assert told(world) == [("alarm.raise", "MSK-104", vm)]
    assert world.meter.value(metrics.ALARM, "MSK-104") == 1
    cloud.clear_faults()
    sweeps.forgotten_locks(world, stop)
    Lookout(world).look()
    assert told(world) == [("alarm.clear", "MSK-104", vm)]


def test_reserved_host_that_nova_does_not_take_back_is_told_until_it_is_given_back(
    world, cloud, claim, segment
):
    for name in ("compute1", "spare"):
        cloud.add_host(name)
    spare = rows.host(world.database, "spare", segment, reserved=True)
    job, stop = claim(), world.clock.event()
    assert db.hosts.take_reserved(world.database, spare.uuid, by=job.uuid)
    undo = {"disabled": True, "aggregates": []}
    db.hosts.will_undo_reserved(world.database, spare.uuid, by=job.uuid, undo=undo)
    settle(world, job, NotificationStatus.FAILED)
    cloud.add_fault(Fault("disable_service", error=403, times=None))

    def sweep():
        world.clock.sleep(db.hosts.GIVING_BACK_S + 1)
        sweeps.forgotten_reserved_hosts(world, stop)
        Lookout(world).look()
        return [event for event in told(world) if event[1] == "MSK-105"]

    assert sweep() == [("alarm.raise", "MSK-105", "spare")]
    assert sweep() == []
    cloud.clear_faults()
    assert sweep() == [("alarm.clear", "MSK-105", "spare")]


def test_reserved_host_of_a_recovery_that_runs_is_no_leftover(world, claim, segment):
    spare = rows.host(world.database, "spare", segment, reserved=True)
    job = claim()
    assert db.hosts.take_reserved(world.database, spare.uuid, by=job.uuid)
    assert db.alarms.taken_hosts(world.database) == []

    settle(world, job, NotificationStatus.FAILED)

    assert db.alarms.taken_hosts(world.database) == ["spare"]
