"""The way of each VM off a dead host: what it needs, and how it ends."""

import dataclasses

import pytest

from masakari import db
from masakari.engine import evacuation, reserved
from masakari.engine.evacuation import Treatment, treatment
from masakari.sim.faults import Fault, Outcome
from masakari.tests.unit.db import rows

TREATMENTS = {
    "active": (("active", None, 1), Treatment()),
    "active, busy": (("active", "rebooting", 1), Treatment(reset=True)),
    "stopped": (("stopped", None, 4), Treatment(stop=True)),
    "stopped, busy": (("stopped", "powering-on", 4), Treatment(reset=True, stop=True)),
    "error": (("error", None, 0), Treatment(stop=True, error=True)),
    "error, busy": (("error", "spawning", 0), Treatment(reset=True, stop=True, error=True)),
    "paused": (("paused", None, 3), Treatment(reset=True, stop=True)),
    "suspended": (("suspended", None, 7), Treatment(reset=True, stop=True)),
    "rescued": (("rescued", None, 1), Treatment(reset=True, stop=True)),
    "building": (("building", "spawning", 0), Treatment(reset=True, stop=True)),
    "resized": (("resized", None, 1), Treatment(reset=True)),
    "resized, off": (("resized", None, 4), Treatment(reset=True, stop=True)),
}


@pytest.mark.parametrize(("state", "expected"), TREATMENTS.values(), ids=TREATMENTS)
def test_treatment(state, expected):
    assert treatment(*state) == expected


# ---- all VMs of a host


@pytest.fixture
def job(claim, cloud, conf):
    """compute1 is down; compute2 and compute3 are not."""
    conf.set_override("wait_period_after_evacuation", 30)
    for n in (1, 2, 3):
        cloud.add_host(f"compute{n}")
    cloud.set_service_state("compute1", up=False)
    return claim("compute1")


def evacuate(job, *names, stop_reason=None):
    """{VM: (status, where to, message)} after all have ended, and what showed life."""
    n, cloud = job.notification, job.world.cloud
    chosen = [
        db.vmoves.NewMove(
            instance_uuid=cloud.vm(name).id,
            instance_name=name,
            source_host="compute1",
            rank=rank,
            vm_state=cloud.vm(name).vm_state,
            task_state=cloud.vm(name).task_state,
            power_state=cloud.vm(name).power_state,
        )
        for rank, name in enumerate(names)
    ]
    database = job.world.database
    moves = db.vmoves.prepare(database, n.notification_uuid, n.attempt, job.chapter, chosen)
    sign = evacuation.evacuate_all(job, moves, lambda message, share: None, stop_reason)
    ended = db.vmoves.of_chapter(database, n.notification_uuid, n.attempt, job.chapter)
    return {m.instance_name: (m.status, m.dest_host, m.message) for m in ended}, sign


def asked_for(job):
    """The VMs whose evacuation Nova has accepted, in that order."""
    cloud = job.world.cloud
    return [cloud.name_of(e.server_id) for e in cloud.ledger.evacuations]


def test_evacuate_all_nothing_to_move_asks_nothing(job):
    assert evacuate(job) == ({}, None)
    assert not job.world.cloud.calls


def test_evacuate_all_each_vm_arrives_and_is_unlocked(job, cloud):
    for name in ("web", "db"):
        cloud.add_server("compute1", name)

    moves, sign = evacuate(job, "web", "db")

    assert {status for status, _, _ in moves.values()} == {"succeeded"}
    assert {dest for _, dest, _ in moves.values()} <= {"compute2", "compute3"}
    assert sign is None
    assert cloud.left_locked() == []
    assert cloud.violations(proof=False) == []


def test_evacuate_all_places_are_limited_and_given_by_rank(job, cloud, conf):
    conf.set_override("host_failure_recovery_threads", 1)
    names = ["vm3", "vm1", "vm2"]
    for name in sorted(names):
        cloud.add_server("compute1", name)

    evacuate(job, *names)

    assert asked_for(job) == names
    assert job.world.clock.monotonic() >= 30  # one after the other, 10 s each


def test_evacuate_all_onto_the_reserved_host_which_is_used_from_the_first_arrival(
    job, cloud, segment
):
    cloud.add_host("compute9")
    spare_host = rows.host(job.world.database, "compute9", segment, reserved=True)
    for name in ("web", "db"):
        cloud.add_server("compute1", name)

    with reserved.taken(job, ()) as spare:
        before = db.hosts.find(job.world.database, spare_host.uuid).reserved
        moves, _ = evacuate(dataclasses.replace(job, spare=spare), "web", "db")
        after = db.hosts.find(job.world.database, spare_host.uuid).reserved

    assert moves == dict.fromkeys(("web", "db"), ("succeeded", "compute9", None))
    assert (before, after) == (True, False)


def test_evacuate_all_destination_that_died_midway_does_not_hold_the_next_chapter_up(
    job, cloud, prove_dead
):
    """Nova reports the first evacuation as running for ever; the VM is evacuated once more."""
    clock = job.world.clock
    cloud.add_server("compute1", "web")
    vm = cloud.vm("web").id
    cloud.evacuate(vm, "compute2")
    clock.sleep(5)
    cloud.set_service_state("compute2", up=False)
    prove_dead("compute2")

    moves, _ = evacuate(job, "web")

    assert moves["web"] == ("succeeded", "compute3", None)
    assert [m.status for m in cloud.evacuations("compute1")] == ["done", "pre-migrating"]
    assert cloud.violations(proof=False) == []


def test_evacuate_all_running_evacuation_is_adopted_not_repeated(job, cloud):
    cloud.add_server("compute1", "web")
    cloud.evacuate(cloud.vm("web").id, "compute3")

    moves, _ = evacuate(job, "web")

    assert moves["web"] == ("succeeded", "compute3", None)
    assert asked_for(job) == ["web"]


def test_evacuate_all_failed_vm_says_why_and_the_others_arrive(job, cloud):
    for name in ("web", "db"):
        cloud.add_server("compute1", name)
    cloud.add_fault(Fault("evacuate", server="web", outcome=Outcome.FAIL))

    moves, _ = evacuate(job, "web", "db")

    assert moves["web"][0] == "failed"
    assert "ended in status failed on host compute" in moves["web"][2]
    assert moves["db"][0] == "succeeded"
    assert cloud.left_locked() == []


def test_evacuate_all_vm_that_its_owner_deletes_meanwhile_is_left(job, cloud):
    cloud.add_server("compute1", "web")
    cloud.add_fault(Fault("lock", hook=lambda call: cloud.delete_server("web")))

    moves, _ = evacuate(job, "web")

    assert moves["web"] == ("ignored", None, "The VM was deleted meanwhile.")
    assert asked_for(job) == []


def test_evacuate_all_vm_that_somebody_else_has_moved_is_left(job, cloud):
    """It was chosen; before we came to it an operator has edited Nova's database."""
    cloud.add_server("compute1", "web")
    cloud.add_server("compute1", "db")
    cloud.add_fault(Fault("servers_on", hook=lambda call: move(cloud, "web", "compute3")))

    moves, _ = evacuate(job, "web", "db")

    assert moves["web"] == (
        "ignored",
        None,
        "The VM was moved to host compute3 by somebody else.",
    )
    assert asked_for(job) == ["db"]


def move(cloud, server, host):
    """The VM is another host's, and no migration says so."""
    vm = cloud.vm(server)
    with cloud.present():
        del cloud.hosts[vm.host].vms[vm.id]
        cloud.hosts[host].vms[vm.id] = vm
        vm.host = host


def test_evacuate_all_known_sign_of_life_nothing_is_begun(job, cloud):
    cloud.add_server("compute1", "web")

    moves, sign = evacuate(job, "web", stop_reason="host compute1 is up again")

    assert moves["web"] == (
        "ignored",
        None,
        "The VM was left where it was: host compute1 is up again.",
    )
    assert sign == "host compute1 is up again"
    assert asked_for(job) == []


def test_evacuate_all_segment_disabled_meanwhile_what_runs_is_awaited_nothing_more_is_begun(
    job, cloud, conf, segment
):
    conf.set_override("host_failure_recovery_threads", 1)
    for name in ("web", "db"):
        cloud.add_server("compute1", name)
    database = job.world.database
    job.world.clock.call_at(
        5, lambda: db.segments.update(database, segment.uuid, {"enabled": False})
    )

    moves, sign = evacuate(job, "web", "db")

    assert moves["web"][0] == "succeeded"
    assert moves["db"] == (
        "ignored",
        None,
        "The VM was left where it was: recovery was disabled for its segment.",
    )
    assert sign is None
    assert cloud.left_locked() == []


def test_evacuate_all_host_that_returns_meanwhile_ends_it_and_is_told(job, cloud, conf):
    conf.set_override("host_failure_recovery_threads", 1)
    for name in ("web", "db"):
        cloud.add_server("compute1", name)
    job.world.clock.call_at(5, lambda: cloud.set_service_state("compute1", up=True))

    moves, sign = evacuate(job, "web", "db")

    assert moves["web"][0] == "succeeded"
    assert moves["db"][0] == "ignored"
    assert sign.startswith("host compute1 is up again")
    assert asked_for(job) == ["web"]


@pytest.mark.parametrize("name", ["paused", "stopped", "error", "active"])
def test_evacuate_all_vm_is_as_it_was_found(job, cloud, name):
    cloud.add_server("compute1", "web", vm_state=name)

    moves, _ = evacuate(job, "web")

    assert moves["web"][0] == "succeeded"
    expected = {"paused": "stopped"}.get(name, name)
    assert (cloud.vm("web").vm_state, cloud.vm("web").locked) == (expected, False)
