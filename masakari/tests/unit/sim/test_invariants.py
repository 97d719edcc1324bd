"""Promises are checked by looking: each kind of breach is found."""

import pytest

from masakari import db
from masakari.sim import invariants, words
from masakari.sim.clock import SimClock
from masakari.sim.system import System


@pytest.fixture
def system():
    with SimClock() as clock, System(clock) as system:
        words.segment(system, "rack1", "auto")
        words.host(system, ["compute1", "compute2", "compute3"])
        words.vm(system, ["web1", "web2"], "compute1")
        yield system


def dead(system):
    """compute1 has no power, Nova knows it, and nobody has recovered it."""
    words.power(system, ["compute1"], "off")
    system.clock.sleep(100)


def test_untouched_system_breaks_nothing(system):
    assert invariants.broken(system) == []


def test_recovered_system_breaks_nothing(system):
    system.begin()
    words.power(system, ["compute1"], "off")

    assert system.clock.run_until(system.is_idle, 600, every=5)
    assert len(system.moves(system.notifications()[0])) == 2
    assert invariants.broken(system) == []


def test_evacuation_without_proof_is_found(system):
    dead(system)

    system.cloud.evacuate(system.cloud.vm("web1").id)

    assert "web1 was evacuated from compute1" in invariants.broken(system)[0]


def test_engine_that_asks_for_an_evacuation_without_proof_is_found(system):
    dead(system)
    system.add_engine("rogue")
    system.clock.spawn(
        lambda: system.cloud.evacuate(system.cloud.vm("web1").id), name="rogue", group="rogue"
    )
    system.clock.sleep(5)

    assert any("while no proof was stored" in sentence for sentence in invariants.broken(system))


def test_two_running_copies_are_found(system):
    words.network(system, "compute1", "cut")
    system.clock.sleep(100)

    words.evacuated_by_hand(system, ["web1"])
    system.clock.sleep(60)

    assert any("at the same time" in sentence for sentence in invariants.broken(system))


def test_too_many_evacuations_in_flight_are_found(system):
    words.option(system, "host_failure_recovery_threads", "1")
    system.peak_in_flight["compute1"] = 2

    assert invariants.broken(system) == [
        "2 evacuations from compute1 were in flight, 1 are allowed"
    ]


def test_vm_left_locked_is_found(system):
    system.cloud.lock(system.cloud.vm("web1").id, "ours")

    assert invariants.broken(system) == [
        "web1 was left locked, or unlocked although its owner had locked it"
    ]


def test_notification_that_is_not_final_is_found(system):
    words.report(system, "compute1", "stopped")

    assert "notification 1 is new, which is not final" in invariants.broken(system)


def test_move_that_has_not_ended_is_found(system):
    words.report(system, "compute1", "stopped")
    database = system.database()
    uuid = system.notifications()[0].notification_uuid
    db.leases.claim(database, uuid, owner="test", lease_s=15)
    new = db.vmoves.NewMove(
        instance_uuid=system.cloud.vm("web1").id,
        instance_name="web1",
        source_host="compute1",
        rank=0,
        vm_state="active",
        task_state=None,
        power_state=1,
    )
    move = db.vmoves.prepare(database, uuid, 1, 1, [new])[0]
    db.vmoves.start(database, move.uuid, lock=True)

    broken = invariants.broken(system)

    assert "the move of web1 (attempt 1) is ongoing" in broken
    assert "the move of web1 (attempt 1) is marked as locked" in broken


def test_traceback_in_the_log_is_found(system):
    try:
        raise LookupError("defect")
    except LookupError:
        import logging

        logging.getLogger("masakari.engine").exception("unexpected")

    assert "LookupError: defect" in invariants.broken(system)[0]
