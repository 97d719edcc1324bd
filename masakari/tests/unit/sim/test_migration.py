"""The simulated cloud migrates VMs as Nova does, well and badly."""

import pytest

from masakari import errors
from masakari.sim.clock import SimClock
from masakari.sim.cloud import ApiError, Fault, Outcome, SimCloud


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


@pytest.fixture
def cloud(clock):
    cloud = SimCloud(clock)
    for number in (1, 2, 3):
        cloud.add_host(f"compute{number}")
    return cloud


@pytest.fixture
def vm(cloud):
    return cloud.add_server("compute1", "web1")


def state(cloud, vm):
    server = cloud.server(vm)
    return server.vm_state, server.task_state, server.host


def test_migrate_shows_nova_s_steps_and_one_copy_at_a_time(cloud, clock, vm):
    cloud.migrate(vm)
    seen = []
    for _ in range(12):
        seen.append((*state(cloud, vm), cloud.running().get("web1", [])))
        clock.sleep(0.1)

    assert [list(step) for step in dict.fromkeys((*s[:3], tuple(s[3])) for s in seen)] == [
        ["active", "resize_prep", "compute1", ("compute1",)],
        ["active", "resize_migrating", "compute1", ()],
        ["active", "resize_finish", "compute2", ()],
        ["resized", None, "compute2", ("compute2",)],
    ]
    assert cloud.violations() == []


def test_migrate_takes_the_room_of_a_host(cloud, clock):
    cloud.add_host("compute4", capacity=1)
    for host in ("compute2", "compute3"):
        cloud.disable_service(cloud.compute_services(host)[0], "full")
    vms = [cloud.add_server("compute1", f"vm{i}") for i in range(2)]

    for vm in vms:
        cloud.migrate(vm)
    clock.sleep(2)

    assert [state(cloud, vm) for vm in vms] == [
        ("resized", None, "compute4"),
        ("active", None, "compute1"),
    ]


@pytest.mark.parametrize(
    ("outcome", "after"),
    [
        (Outcome.FAIL, ("error", None, "compute1", [])),
        (Outcome.STRAND, ("error", None, "compute2", [])),
        (Outcome.ROLLBACK, ("active", None, "compute1", ["compute1"])),
        (Outcome.NO_HOST, ("active", None, "compute1", ["compute1"])),
        (Outcome.HANG, ("active", "resize_migrating", "compute1", [])),
    ],
)
def test_migrate_that_does_not_end_well(cloud, clock, vm, outcome, after):
    cloud.add_fault(Fault("migrate", server="web1", outcome=outcome))

    cloud.migrate(vm)
    clock.sleep(3600)

    assert (*state(cloud, vm), cloud.running().get("web1", [])) == after
    assert (cloud.actions(vm)[0].message == "Error") is (outcome is not Outcome.HANG)
    assert not cloud.has_unconfirmed_move(vm)


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.ROLLBACK, Outcome.NO_HOST])
def test_migrate_that_failed_leaves_no_claim(cloud, clock, vm, outcome):
    cloud.add_fault(Fault("migrate", outcome=outcome))

    cloud.migrate(vm)
    clock.sleep(2)

    assert [host.claims for host in cloud.hosts.values()] == [0, 0, 0]


def test_migrate_that_stranded_needs_a_reboot(cloud, clock, vm):
    """Seen on Nova 34: the new host has no guest to stop, and a hard reboot makes one."""
    cloud.add_fault(Fault("migrate", outcome=Outcome.STRAND))
    cloud.migrate(vm)
    clock.sleep(2)

    cloud.stop(vm)
    clock.sleep(1)
    stopped = state(cloud, vm)
    cloud.reboot(vm)
    clock.sleep(1)

    assert stopped == ("error", None, "compute2")
    assert state(cloud, vm) == ("active", None, "compute2")
    assert cloud.running() == {"web1": ["compute2"]}


@pytest.mark.parametrize(
    ("dies", "after_s", "expected"),
    [
        ("compute1", 0, ("active", "resize_prep", "compute1")),
        ("compute1", 0.3, ("active", "resize_migrating", "compute1")),
        ("compute2", 0.7, ("active", "resize_finish", "compute2")),
    ],
)
def test_migrate_while_a_host_dies_is_finished_by_nobody(clock, dies, after_s, expected):
    cloud = SimCloud(clock)
    cloud.add_host("compute1")
    cloud.add_host("compute2")
    vm = cloud.add_server("compute1", "web1")
    cloud.migrate(vm)
    clock.sleep(after_s)

    cloud.power_off(dies)
    clock.sleep(3600)

    assert state(cloud, vm) == expected


def test_migrate_asked_of_a_dead_host_fails_when_it_is_back(cloud, clock, vm):
    """Seen on Nova 34: the VM is in error with a task that a reset of the state ends."""
    cloud.power_off("compute1")
    cloud.migrate(vm)
    clock.sleep(60)
    waiting = state(cloud, vm)

    cloud.power_on("compute1")
    clock.sleep(1)
    failed = state(cloud, vm)
    cloud.reset_state(vm, "error")

    assert waiting == ("active", "resize_prep", "compute1")
    assert failed == ("error", "resize_migrating", "compute1")
    assert state(cloud, vm) == ("error", None, "compute1")


def test_migrate_asked_of_an_unreachable_host_goes_on_when_it_is_back(cloud, clock, vm):
    cloud.cut_network("compute1")
    cloud.migrate(vm)
    clock.sleep(60)

    cloud.heal_network("compute1")
    clock.sleep(2)

    assert state(cloud, vm) == ("resized", None, "compute2")


def test_migrate_asked_of_a_dead_host_is_nothing_after_an_evacuation(cloud, clock, vm):
    cloud.power_off("compute1")
    cloud.migrate(vm)
    clock.sleep(10)
    cloud.evacuate(vm)
    clock.sleep(5)

    cloud.power_on("compute1")
    clock.sleep(5)

    assert state(cloud, vm) == ("active", None, "compute2")
    assert cloud.violations(proof=False) == []


def test_migrate_of_a_vm_that_is_deleted_meanwhile_ends_quietly(cloud, clock, vm):
    cloud.migrate(vm)
    clock.sleep(0.3)

    cloud.owner_action(vm, "delete")
    clock.sleep(5)

    assert cloud.running() == {}
    assert [host.claims for host in cloud.hosts.values()] == [0, 0, 0]


def test_confirm_resize_takes_the_oldest_move_that_was_not_confirmed(cloud, clock, vm):
    """Seen on Nova 34: what a reset of the state left behind comes first."""
    cloud.migrate(vm)
    clock.sleep(2)
    cloud.reset_state(vm, "active")
    cloud.migrate(vm)
    clock.sleep(2)

    cloud.confirm_resize(vm)
    clock.sleep(1)

    assert state(cloud, vm)[0] == "active"
    assert cloud.has_unconfirmed_move(vm)
    assert [move.status for move in cloud.cold_moves.values()] == ["confirmed", "finished"]


def test_evacuations_leave_migrations_out(cloud, clock, vm):
    cloud.migrate(vm)
    clock.sleep(2)

    assert cloud.evacuations("compute1") == []


def test_owner_resizes_and_confirms(cloud, clock, vm):
    cloud.owner_action("web1", "resize")
    clock.sleep(2)
    resized = state(cloud, vm)
    cloud.owner_action("web1", "confirmResize")
    clock.sleep(1)

    assert resized == ("resized", None, "compute2")
    assert state(cloud, vm) == ("active", None, "compute2")
    assert [(a.name, a.user_id) for a in cloud.actions(vm)] == [
        ("confirmResize", "owner"),
        ("resize", "owner"),
        ("create", "owner"),
    ]


# ---- zones


def test_vm_of_a_zone_stays_in_it(cloud, clock):
    cloud.add_aggregate("near", ["compute1", "compute3"], zone="az1")
    vm = cloud.add_server("compute1", "web1", zone="az1")
    anywhere = cloud.add_server("compute1", "web2")

    for each in (vm, anywhere):
        cloud.migrate(each)
    clock.sleep(2)

    assert state(cloud, vm)[2] == "compute3"
    assert state(cloud, anywhere)[2] == "compute2"


def test_vm_of_a_zone_is_not_evacuated_to_a_host_of_another(cloud, clock):
    cloud.add_aggregate("near", ["compute1"], zone="az1")
    vm = cloud.add_server("compute1", "web1", zone="az1")
    cloud.power_off("compute1")
    clock.sleep(10)

    cloud.evacuate(vm, "compute2")
    clock.sleep(2)
    refused = (cloud.evacuations("compute1")[0].status, state(cloud, vm))
    cloud.add_to_aggregate(cloud.aggregates()[0], "compute2")
    cloud.evacuate(vm, "compute2")
    clock.sleep(2)

    assert refused == ("error", ("error", None, "compute1"))
    assert state(cloud, vm) == ("active", None, "compute2")


def test_aggregate_of_unknown_hosts_cannot_be_made(cloud):
    with pytest.raises(ValueError, match="nowhere"):
        cloud.add_aggregate("rack", ["nowhere"])


def test_aggregate_conflict_is_not_taken_for_membership(cloud):
    cloud.add_aggregate("near", ["compute1"], zone="az1")
    cloud.add_aggregate("far", ["compute2"], zone="az2")

    with pytest.raises(errors.CloudConflict):
        cloud.add_to_aggregate(cloud.aggregates()[1], "compute1")

    assert cloud.zone_of("compute1") == "az1"


def test_reset_forgets_aggregates_moves_and_actions(cloud, clock, vm):
    cloud.add_aggregate("rack", ["compute1"])
    cloud.migrate(vm)
    clock.sleep(2)

    cloud.reset()

    assert (cloud.aggregates(), cloud.cold_moves) == ([], {})
    with pytest.raises(errors.CloudNotFound):
        cloud.actions(vm)


def test_migrate_by_owner_in_wrong_state_is_refused_as_nova_does(cloud, clock, vm):
    cloud.owner_action(vm, "pause")
    clock.sleep(1)

    with pytest.raises(ApiError, match="while it is in vm_state paused"):
        cloud.owner_action(vm, "resize")
