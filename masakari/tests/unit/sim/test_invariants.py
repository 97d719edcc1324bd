"""Promises are checked by looking: each kind of breach is found."""

import pytest

from masakari import db
from masakari.sim import invariants, mishaps, named, stage, words
from masakari.sim.clock import SimClock
from masakari.sim.system import System


@pytest.fixture
def system():
    with SimClock() as clock, System(clock) as system:
        stage.segment(system, "rack1", "rh_priority")
        stage.host(system, ["compute1", "compute2", "compute3"])
        stage.vm(system, ["web1", "web2"], "compute1")
        yield system


def dead(system):
    """compute1 has no power, Nova knows it, and nobody has recovered it."""
    mishaps.power(system, ["compute1"], "off")
    system.clock.sleep(100)


def test_untouched_system_breaks_nothing(system):
    assert invariants.broken(system) == []


def test_recovered_system_breaks_nothing(system):
    system.begin()
    mishaps.power(system, ["compute1"], "off")

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
    mishaps.network(system, "compute1", "cut")
    system.clock.sleep(100)

    mishaps.evacuated_by_hand(system, ["web1"])
    system.clock.sleep(60)

    assert any("at the same time" in sentence for sentence in invariants.broken(system))


def test_too_many_evacuations_in_flight_are_found(system):
    stage.option(system, "host_failure_recovery_threads", "1")
    system.audit.peak_in_flight["compute1"] = 2

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


# ---- reserved hosts


@pytest.fixture
def spare(system):
    """The uuid of spare9, a reserved host."""
    stage.reserved(system, ["spare9"])
    return named.registration(system, "spare9").rpartition("/")[2]


def taken_for(system, spare, vm):
    """spare9 is enabled and held for the recovery from the host of the VM; its notification."""
    words.report(system, system.cloud.vm(vm).host, "stopped")
    uuid = system.notifications()[-1].notification_uuid
    assert db.hosts.take_reserved(system.database(), spare, by=uuid)
    mishaps.switch_service(system, "enables", ["spare9"])
    return uuid


def test_untouched_reserved_host_breaks_nothing(system, spare):
    assert invariants.broken(system) == []


def test_reserved_host_that_is_used_breaks_nothing(system):
    stage.reserved(system, ["spare9"])
    system.begin()
    mishaps.power(system, ["compute1"], "off")

    assert system.clock.run_until(system.is_idle, 600, every=5)
    assert {m.dest for m in system.cloud.moves.values()} == {"spare9"}
    assert not next(h for h in system.hosts() if h.name == "spare9").reserved
    assert invariants.broken(system) == []


def test_reserved_host_that_is_used_for_nothing_is_found(system, spare):
    uuid = taken_for(system, spare, "web1")
    db.hosts.use_reserved(system.database(), spare, by=uuid)

    assert "spare9 is not reserved any more, and no VM has landed there" in invariants.broken(
        system
    )


def test_reserved_host_that_is_not_given_back_is_found(system, spare):
    stage.aggregate(system, "fast", ["compute1"])
    system.begin()
    taken_for(system, spare, "web1")
    system.cloud.add_to_aggregate(system.cloud.aggregates()[0], "spare9")

    broken = invariants.broken(system)

    assert "spare9 is reserved and still held for a recovery" in broken
    assert "spare9 is reserved and its compute service is enabled" in broken
    assert "spare9 is reserved and still in fast" in broken


def test_engine_that_asks_for_a_host_that_is_not_held_for_it_is_found(system, spare):
    dead(system)
    mishaps.switch_service(system, "enables", ["spare9"])
    system.add_engine("rogue")
    vm = system.cloud.vm("web1")
    system.clock.spawn(lambda: system.cloud.evacuate(vm.id, "spare9"), name="rogue", group="rogue")
    system.clock.sleep(5)

    assert (
        "Nova was asked to evacuate web1 from compute1 onto spare9, "
        "which was not held for that recovery" in invariants.broken(system)
    )


def test_maintenance_because_of_another_process_is_found(system):
    words.report_process(system, "sshd", "compute1", "stopped")
    (host,) = [h for h in system.hosts() if h.name == "compute1"]
    uuid = system.notifications()[0].notification_uuid

    db.hosts.begin_maintenance(system.database(), host.uuid, by=uuid)

    assert "compute1 was put on maintenance because of its process sshd" in invariants.broken(
        system
    )


# ---- VMs


def restart(system, vm):
    """Our user has the VM started, whose guest had died."""
    server_id = system.cloud.vm(vm).id
    system.cloud.crash(server_id)
    system.clock.sleep(30)
    system.cloud.start(server_id)
    system.clock.sleep(30)


def test_restarts_within_their_limit_break_nothing(system):
    stage.option(system, "instance_failure.max_restarts", "2")
    restart(system, "web1")
    restart(system, "web1")

    assert invariants.broken(system) == []


def test_too_many_restarts_are_found(system):
    stage.option(system, "instance_failure.max_restarts", "1")
    restart(system, "web1")
    restart(system, "web1")

    assert invariants.broken(system) == [
        "web1 was restarted 2 times within the window, 1 are allowed"
    ]


def test_restarts_in_different_windows_break_nothing(system):
    stage.option(system, "instance_failure.max_restarts", "1")
    stage.option(system, "instance_failure.restart_window", "50")
    restart(system, "web1")
    restart(system, "web1")

    assert invariants.broken(system) == []


def test_too_many_relocations_are_found_and_their_starts_are_no_restarts(system):
    stage.option(system, "instance_failure.max_restarts", "0")
    vm = system.cloud.vm("web1")
    system.cloud.stop(vm.id)
    system.clock.sleep(30)
    system.cloud.migrate(vm.id)
    system.clock.sleep(30)
    system.cloud.confirm_resize(vm.id)
    system.clock.sleep(30)
    system.cloud.start(vm.id)
    system.clock.sleep(30)

    assert invariants.broken(system) == [
        "web1 was relocated 1 times within the window, 0 are allowed"
    ]


def test_vm_that_is_started_against_its_owner_is_found(system):
    mishaps.owner(system, "stops", ["web1"])
    system.clock.sleep(30)

    system.cloud.start(system.cloud.vm("web1").id)

    assert invariants.broken(system) == ["web1 was started, and its owner had stopped it"]


def test_vm_that_nova_stopped_itself_may_be_started(system):
    restart(system, "web1")

    assert invariants.broken(system) == []


def test_excluded_vm_that_was_touched_is_found(system):
    stage.exclude(system, "names", "web2 db*")
    system.begin()

    system.cloud.stop(system.cloud.vm("web1").id)
    system.cloud.stop(system.cloud.vm("web2").id)

    assert invariants.broken(system) == ["web2 is excluded by names: web2, and still: stop"]


def test_traceback_in_the_log_is_found(system):
    try:
        raise LookupError("defect")
    except LookupError:
        import logging

        logging.getLogger("masakari.engine").exception("unexpected")

    assert "LookupError: defect" in invariants.broken(system)[0]
