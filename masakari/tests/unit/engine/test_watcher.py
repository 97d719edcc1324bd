"""The poller of a recovery: how often it looks, what it waits for, and when it gives up."""

import pytest

from masakari import db
from masakari.cloud import Migration
from masakari.engine import death, watcher
from masakari.engine.watcher import Watcher
from masakari.errors import EvacuationFailed, LeftAlone
from masakari.sim.faults import Fault, Outcome
from masakari.tests.unit.db import rows

PAUSES = {
    "nothing in flight: slowest": ((100.0, [], None, 1.0), 1.0),
    "just begun: fastest": ((100.0, [99.9], None, 1.0), 0.1),
    "a twentieth of the age": ((100.0, [90.0], None, 1.0), 0.5),
    "age of the youngest counts": ((100.0, [60.0, 90.0], None, 1.0), 0.5),
    "never slower than slowest": ((100.0, [0.0], None, 1.0), 1.0),
    "not before 0.8 of the shortest": ((100.0, [99.5], 2.0, 5.0), 1.1),
    "the oldest is due": ((100.0, [98.2, 99.5], 2.0, 1.0), 0.1),
    "long flights: slowest": ((100.0, [99.9], 60.0, 1.0), 1.0),
}


@pytest.mark.parametrize(("given", "expected"), PAUSES.values(), ids=PAUSES)
def test_pause(given, expected):
    assert watcher.pause(*given) == pytest.approx(expected)


# ---- what may still arrive


@pytest.fixture
def dead(claim, cloud):
    """The job of compute1, which is down and had one VM."""
    for n in (1, 2, 3):
        cloud.add_host(f"compute{n}")
    cloud.add_server("compute1", "web")
    cloud.set_service_state("compute1", up=False)
    return claim("compute1")


AT_FIRST, LATER = "2026-01-01T00:00:00.000000", "2026-01-01T00:01:00.000000"


def migration(status, dest="compute2", created_at=AT_FIRST):
    return Migration(7, "vm1", "compute1", dest, status, created_at)


RUNS = {
    "none": (None, False),
    "accepted": (migration("accepted", None), True),
    "on its way": (migration("pre-migrating"), True),
    "on its way to a host that has died": (migration("pre-migrating", "compute3"), False),
    "on its way since its destination has come back": (
        migration("pre-migrating", "compute3", LATER),
        True,
    ),
    "in a state unknown to us": (migration("migrating"), True),
    "done": (migration("done"), False),
    "cleaned up": (migration("completed"), False),
    "failed": (migration("failed"), False),
    "refused": (migration("error"), False),
    "cancelled": (migration("cancelled"), False),
}


@pytest.fixture
def compute3_dies(dead, prove_dead):
    """compute3_dies(): its death is proven while `web` is on its way there; the job about it."""

    def call():
        cloud = dead.world.cloud
        cloud.evacuate(cloud.vm("web").id, "compute3")
        dead.world.clock.sleep(5)
        cloud.set_service_state("compute3", up=False)
        return prove_dead("compute3")

    return call


@pytest.mark.parametrize(("found", "expected"), RUNS.values(), ids=RUNS)
def test_runs(dead, compute3_dies, found, expected):
    compute3_dies()

    assert Watcher(dead, None).runs(found) is expected


def test_runs_destination_on_maintenance_without_proof_is_waited_for(dead, claim):
    """A recovery that has proven nothing yet has put it there."""
    cloud = dead.world.cloud
    cloud.evacuate(cloud.vm("web").id, "compute3")
    dead.world.clock.sleep(5)
    cloud.set_service_state("compute3", up=False)
    other = claim("compute3")
    db.hosts.begin_maintenance(dead.world.database, other.host.uuid, by=other.uuid)

    assert Watcher(dead, None).runs(migration("pre-migrating", "compute3"))


def test_runs_destination_whose_proof_was_voided_is_waited_for(dead, compute3_dies):
    """It has come back, and may still finish what it had begun."""
    death.void(compute3_dies(), "host compute3 is up again")

    assert Watcher(dead, None).runs(migration("pre-migrating", "compute3"))


def test_runs_destination_that_nova_sees_up_again_is_waited_for(dead, compute3_dies):
    """Its own recovery has not looked yet."""
    compute3_dies()
    dead.world.cloud.set_service_state("compute3", up=True)

    assert Watcher(dead, None).runs(migration("pre-migrating", "compute3"))


def test_runs_destination_that_was_reported_started_is_waited_for(dead, compute3_dies):
    """Neither Nova nor its own recovery has seen it yet."""
    compute3_dies()
    rows.report(dead.world.database, "compute3", payload={**rows.STOPPED, "event": "STARTED"})

    assert Watcher(dead, None).runs(migration("pre-migrating", "compute3"))


# ---- waiting


def wait_for(job, begin):
    """How waiting for an evacuation of the VM `web` ended, and when: (seconds, result)."""
    clock, cloud = job.world.clock, job.world.cloud
    watching, ended = Watcher(job, None), []
    vm = cloud.vm("web").id

    def wait():
        flight = watching.expect(vm, 0)
        begin(vm)
        try:
            ended.append((clock.monotonic(), watching.arrival(vm, flight)))
        except (EvacuationFailed, LeftAlone) as e:
            ended.append((clock.monotonic(), e))
        watching.stop()

    clock.spawn(watching.run, name="watcher")
    clock.spawn(wait, name="vm")
    assert clock.run_until(lambda: bool(ended))
    return ended[0]


def test_arrival_is_told_when_the_vm_is_there(dead):
    seconds, arrived = wait_for(dead, lambda vm: dead.world.cloud.evacuate(vm, "compute2"))

    assert (arrived.status, arrived.dest) == ("done", "compute2")
    assert dead.world.cloud.vm("web").host == "compute2"
    assert seconds < 11


def test_arrival_destination_proven_dead_is_not_waited_for(dead, prove_dead):
    """Nova never ends such an evacuation."""
    cloud, clock = dead.world.cloud, dead.world.clock
    clock.call_at(5, lambda: cloud.set_service_state("compute2", up=False))
    clock.call_at(61.5, lambda: prove_dead("compute2"))

    seconds, error = wait_for(dead, lambda vm: cloud.evacuate(vm, "compute2"))

    assert str(error) == "Its destination compute2 has died."
    assert 61.5 <= seconds < 63


def test_arrival_failed_evacuation_is_told(dead):
    cloud = dead.world.cloud
    cloud.add_fault(Fault("evacuate", outcome=Outcome.FAIL))

    seconds, error = wait_for(dead, lambda vm: cloud.evacuate(vm, "compute2"))

    assert isinstance(error, EvacuationFailed)
    assert str(error).endswith("ended in status failed on host compute2.")
    assert seconds < 11


def test_arrival_that_nova_never_ends_is_given_up(dead, conf):
    conf.set_override("evacuation_timeout", 600, "engine")
    dead.world.cloud.add_fault(Fault("evacuate", outcome=Outcome.HANG))

    seconds, error = wait_for(dead, lambda vm: dead.world.cloud.evacuate(vm, "compute2"))

    assert "is in status pre-migrating after" in str(error)
    assert 600 <= seconds < 610


def test_arrival_of_an_evacuation_that_nova_has_forgotten_is_given_up(dead, conf):
    conf.set_override("wait_period_after_evacuation", 30)

    seconds, error = wait_for(dead, lambda vm: None)

    assert "shows no record of it" in str(error)
    assert 30 <= seconds < 45


def test_arrival_of_a_vm_that_its_owner_deletes_is_left(dead, conf):
    conf.set_override("wait_period_after_evacuation", 30)
    cloud = dead.world.cloud
    cloud.add_fault(Fault("evacuate", outcome=Outcome.HANG))
    dead.world.clock.call_at(12, lambda: cloud.delete_server("web"))

    _, error = wait_for(dead, lambda vm: cloud.evacuate(vm, "compute2"))

    assert isinstance(error, LeftAlone)
