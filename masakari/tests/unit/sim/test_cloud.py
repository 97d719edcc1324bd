"""The simulated cloud says yes, no and nothing where Nova would."""

import datetime

import pytest

from masakari import errors
from masakari.sim.clock import SimClock
from masakari.sim.cloud import Fault, Outcome, Settings, SimCloud


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


@pytest.fixture
def cloud(clock):
    cloud = SimCloud(clock)
    for number in (1, 2, 3):
        cloud.add_host(f"compute{number}", node=f"compute{number}.example.org")
    return cloud


def service(cloud, host="compute1"):
    (found,) = cloud.compute_services(host)
    return found


def kill(cloud, clock, host="compute1"):
    cloud.power_off(host)
    clock.sleep(10)


# ---- compute services


def test_service_of_dead_host_goes_down_after_service_down_time(cloud, clock):
    cloud.power_off("compute1")

    clock.sleep(3.9)
    assert not service(cloud).is_down
    clock.sleep(2.2)

    assert service(cloud).is_down
    assert not service(cloud, "compute2").is_down


@pytest.mark.parametrize(
    ("breaks", "repairs"),
    [
        ("power_off", "power_on"),
        ("cut_network", "heal_network"),
        ("stop_compute", "start_compute"),
    ],
)
def test_service_repaired_is_up_again(cloud, clock, breaks, repairs):
    getattr(cloud, breaks)("compute1")
    clock.sleep(10)
    assert service(cloud).is_down

    getattr(cloud, repairs)("compute1")

    assert not service(cloud).is_down


def test_service_disable_and_enable_change_status_and_reason(cloud):
    cloud.disable_service(service(cloud), "dead")
    assert (service(cloud).status, service(cloud).disabled_reason) == ("disabled", "dead")

    cloud.enable_service(service(cloud))
    assert (service(cloud).status, service(cloud).disabled_reason) == ("enabled", None)


def test_reachable_follows_power_and_network_and_tells_watchers(cloud):
    seen = []
    cloud.watch(lambda host, up: seen.append((host, up)))

    cloud.power_off("compute1")
    cloud.cut_network("compute2")
    cloud.power_on("compute1")

    assert seen == [("compute1", False), ("compute2", False), ("compute1", True)]
    assert cloud.reachable("compute1")
    assert not cloud.reachable("compute2")


# ---- evacuations


def test_evacuate_moves_vm_and_leaves_nova_traces(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)
    seen = []

    cloud.evacuate(vm)
    for _ in range(22):
        (move,) = cloud.evacuations("compute1")
        server = cloud.server(vm)
        seen.append((move.status, move.dest, server.task_state, server.host))
        clock.sleep(0.1)

    assert list(dict.fromkeys(seen)) == [
        ("accepted", None, "rebuilding", "compute1"),
        ("pre-migrating", "compute2", "rebuild_spawning", "compute1"),
        ("done", "compute2", None, "compute2"),
    ]
    assert cloud.server(vm).vm_state == "active"
    assert cloud.running() == {"web1": ["compute2"]}
    assert cloud.violations(proof=False) == []


def test_evacuate_shows_no_task_before_host_changes(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)

    cloud.evacuate(vm)
    clock.sleep(1.96)

    server = cloud.server(vm)
    assert (server.vm_state, server.task_state, server.host) == ("active", None, "compute1")


@pytest.mark.parametrize(
    ("vm_state", "after"), [("active", "active"), ("stopped", "stopped"), ("error", "active")]
)
def test_evacuate_ends_in_the_state_that_nova_gives(cloud, clock, vm_state, after):
    vm = cloud.add_server("compute1", "web1", vm_state=vm_state)
    kill(cloud, clock)

    cloud.evacuate(vm)
    clock.sleep(2)

    assert (cloud.server(vm).vm_state, cloud.server(vm).host) == (after, "compute2")
    assert cloud.running() == ({} if after == "stopped" else {"web1": ["compute2"]})


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "rescued", "resized", "building"])
def test_evacuate_in_other_states_is_a_conflict(cloud, clock, vm_state):
    vm = cloud.add_server("compute1", "web1", vm_state=vm_state)
    kill(cloud, clock)

    with pytest.raises(errors.CloudConflict):
        cloud.evacuate(vm)


def test_evacuate_building_vm_reset_to_error_is_a_conflict(cloud, clock):
    vm = cloud.add_server("compute1", "web1", vm_state="building")
    kill(cloud, clock)
    cloud.reset_state(vm, "error")

    with pytest.raises(errors.CloudConflict, match="invalid state"):
        cloud.evacuate(vm)


def test_evacuate_while_service_up_is_refused(cloud):
    vm = cloud.add_server("compute1", "web1")

    with pytest.raises(errors.CloudRefused, match="still in use") as refused:
        cloud.evacuate(vm)

    assert refused.value.details["code"] == 400


def test_evacuate_onto_unknown_or_same_host_is_refused(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)

    with pytest.raises(errors.CloudNotFound):
        cloud.evacuate(vm, "nowhere")
    with pytest.raises(errors.CloudRefused, match="same one"):
        cloud.evacuate(vm, "compute1")


def test_evacuate_twice_at_once_breaks_the_rule(cloud, clock):
    """As Nova 34 does, the second is accepted beside the first."""
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)

    cloud.evacuate(vm)
    cloud.evacuate(vm)

    assert any("evacuated" in breach for breach in cloud.violations(proof=False))


def test_evacuate_after_reset_state_breaks_the_rule(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)
    cloud.evacuate(vm)
    clock.sleep(0.5)

    cloud.reset_state(vm, "error")
    cloud.evacuate(vm)
    clock.sleep(3)

    assert "evacuated from compute1 again" in cloud.violations(proof=False)[-1]


def test_evacuate_spreads_over_enabled_hosts_that_are_up(cloud, clock):
    vms = [cloud.add_server("compute1", f"web{i}") for i in range(4)]
    cloud.add_host("compute4", disabled=True)
    kill(cloud, clock)

    for vm in vms:
        cloud.evacuate(vm)
    clock.sleep(2)

    assert len(cloud.servers_on("compute2")) == len(cloud.servers_on("compute3")) == 2


def test_evacuate_without_room_ends_in_error(clock):
    cloud = SimCloud(clock)
    cloud.add_host("compute1")
    cloud.add_host("compute2", capacity=0)
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)

    cloud.evacuate(vm)
    clock.sleep(2)

    assert [m.status for m in cloud.evacuations("compute1")] == ["error"]
    assert (cloud.server(vm).vm_state, cloud.server(vm).task_state) == ("error", None)


@pytest.mark.parametrize(
    ("outcome", "status", "vm_state"),
    [
        (Outcome.FAIL, "failed", "error"),
        (Outcome.ROLLBACK, "failed", "active"),
        (Outcome.NO_HOST, "error", "error"),
    ],
)
def test_evacuate_failing_twice_can_be_tried_again(cloud, clock, outcome, status, vm_state):
    vm = cloud.add_server("compute1", "web1")
    cloud.add_fault(Fault("evacuate", server="web1", outcome=outcome, times=2))
    kill(cloud, clock)

    for _ in range(2):
        cloud.evacuate(vm)
        clock.sleep(2)
        assert cloud.evacuations("compute1")[0].status == status
        assert (cloud.server(vm).vm_state, cloud.server(vm).host) == (vm_state, "compute1")
    cloud.evacuate(vm)
    clock.sleep(2)

    assert cloud.server(vm).host == "compute2"
    assert cloud.violations(proof=False) == []


def test_evacuate_hanging_never_ends(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    cloud.add_fault(Fault("evacuate", outcome=Outcome.HANG))
    kill(cloud, clock)

    cloud.evacuate(vm)
    clock.sleep(3600)

    assert cloud.server(vm).task_state == "rebuild_spawning"
    assert cloud.evacuations("compute1")[0].status == "pre-migrating"


def test_evacuate_destination_dies_leaves_it_unfinished(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)

    cloud.evacuate(vm, "compute3")
    clock.sleep(1)
    cloud.power_off("compute3")
    cloud.power_on("compute3")
    clock.sleep(10)

    assert cloud.evacuations("compute1")[0].status == "pre-migrating"


def test_evacuations_since_finds_what_changed_in_that_second(cloud, clock):
    first = cloud.add_server("compute1", "web1")
    second = cloud.add_server("compute1", "web2")
    kill(cloud, clock)
    cloud.evacuate(first)
    clock.sleep(5)
    since = clock.now()
    clock.sleep(0.25)

    cloud.evacuate(second)
    assert cloud.evacuations("compute1", since) == []  # accepted only: see changes-since in Nova

    clock.sleep(1)

    assert [m.server_id for m in cloud.evacuations("compute1", since)] == [second]
    assert [m.server_id for m in cloud.evacuations("compute1")] == [second, first]


# ---- a host returns


def test_power_on_completes_evacuations_and_stops_what_stayed(cloud, clock):
    moved = cloud.add_server("compute1", "moved")
    stayed = cloud.add_server("compute1", "stayed")
    kill(cloud, clock)
    cloud.evacuate(moved)
    clock.sleep(2)

    cloud.power_on("compute1")

    assert [m.status for m in cloud.evacuations("compute1")] == ["completed"]
    assert (cloud.server(stayed).vm_state, cloud.server(stayed).power_state) == ("stopped", 4)
    assert cloud.running() == {"moved": ["compute2"]}


def test_power_on_during_evacuation_says_completed_then_done(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)
    cloud.evacuate(vm)
    clock.sleep(1)

    cloud.power_on("compute1")
    early = (cloud.evacuations("compute1")[0].status, cloud.server(vm).host)
    clock.sleep(1)

    assert early == ("completed", "compute1")
    assert cloud.evacuations("compute1")[0].status == "done"
    assert cloud.server(vm).host == "compute2"


def test_power_on_takes_boot_time_until_service_is_up(clock):
    cloud = SimCloud(clock, Settings(boot_s=30))
    cloud.add_host("compute1")
    kill(cloud, clock)

    cloud.power_on("compute1")

    assert cloud.reachable("compute1")
    assert service(cloud).is_down
    clock.sleep(30)
    assert not service(cloud).is_down


# ---- the ledger


def test_ledger_evacuating_from_isolated_host_is_two_copies(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    cloud.cut_network("compute1")
    clock.sleep(10)

    cloud.evacuate(vm)
    clock.sleep(2)

    assert sorted(cloud.running()["web1"]) == ["compute1", "compute2"]
    assert "web1 ran on compute1 and compute2 at the same time" in cloud.violations(proof=False)[0]


def test_ledger_isolated_host_losing_power_later_stays_on_record(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    cloud.cut_network("compute1")
    clock.sleep(10)
    cloud.evacuate(vm)
    clock.sleep(5)

    cloud.power_off("compute1")

    assert cloud.running() == {"web1": ["compute2"]}
    assert len(cloud.violations(proof=False)) == 1


def test_ledger_evacuate_without_proof_is_a_violation(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)

    cloud.evacuate(vm)
    cloud.ledger.proof("compute1", clock.now() + datetime.timedelta(seconds=1))

    assert "without earlier proof" in cloud.violations()[0]


def test_ledger_proof_before_evacuate_is_enough(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)
    cloud.ledger.proof("compute1", clock.now())

    cloud.evacuate(vm)

    assert cloud.violations() == []


def test_ledger_return_of_host_voids_proof(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)
    cloud.ledger.proof("compute1", clock.now())
    clock.sleep(1)
    cloud.power_on("compute1")
    kill(cloud, clock)

    cloud.evacuate(vm)

    assert "without earlier proof" in cloud.violations()[0]


def test_left_locked_names_changed_locks_only(cloud):
    ours = cloud.add_server("compute1", "ours")
    theirs = cloud.add_server("compute1", "theirs", locked=True)
    cloud.add_server("compute1", "still", locked=True)

    cloud.lock(ours, "recovery")
    cloud.unlock(theirs)

    assert cloud.left_locked() == ["ours", "theirs"]


# ---- stop and start


def test_stop_and_start_take_their_time(cloud, clock):
    vm = cloud.add_server("compute1", "web1")

    cloud.stop(vm)
    assert cloud.server(vm).task_state == "powering-off"
    clock.sleep(0.2)
    assert (cloud.server(vm).vm_state, cloud.running()) == ("stopped", {})
    cloud.start(vm)
    clock.sleep(0.2)

    assert (cloud.server(vm).vm_state, cloud.running()) == ("active", {"web1": ["compute1"]})


def test_stop_on_dead_host_stays_under_way(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)

    cloud.stop(vm)
    clock.sleep(60)

    assert cloud.server(vm).task_state == "powering-off"


def test_stop_twice_is_a_conflict(cloud):
    vm = cloud.add_server("compute1", "web1")
    cloud.stop(vm)

    with pytest.raises(errors.CloudConflict):
        cloud.stop(vm)


# ---- faults


def test_fault_503_for_a_while_is_waited_out(cloud, clock):
    cloud.add_host("compute9")
    start = clock.monotonic()
    cloud.add_fault(Fault(error=503, times=None, start=start, until=start + 30))

    assert len(cloud.compute_services()) == 4

    assert 30 <= clock.monotonic() - start < 40
    assert cloud.calls["compute_services"] > 4


def test_fault_503_for_longer_than_retries_is_unavailable(cloud, clock):
    cloud.add_fault(Fault(error=503, times=None))

    with pytest.raises(errors.CloudUnavailable):
        cloud.servers_on("compute1")

    assert cloud.calls["servers_on"] == 9


def test_fault_retry_after_is_respected(cloud, clock):
    start = clock.monotonic()
    cloud.add_fault(Fault(error=429, retry_after_s=7))

    cloud.compute_services()

    assert clock.monotonic() - start == pytest.approx(7)


@pytest.mark.parametrize("error", [503, 0])
def test_fault_answer_to_evacuate_lost_is_not_asked_again(cloud, clock, error):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)
    cloud.add_fault(Fault("evacuate", error=error, when="after"))

    with pytest.raises(errors.CloudUnavailable):
        cloud.evacuate(vm)

    assert cloud.calls["evacuate"] == 1
    assert len(cloud.evacuations("compute1")) == 1


def test_fault_hook_runs_before_or_after_at_the_skipped_call(cloud):
    vm = cloud.add_server("compute1", "web1")
    seen = []
    for when in ("before", "after"):
        cloud.add_fault(
            Fault(
                "lock",
                when=when,
                skip=1,
                hook=lambda call: seen.append((call.server_name, cloud.server(vm).locked_reason)),
            )
        )

    cloud.lock(vm, "one")
    cloud.lock(vm, "two")
    cloud.lock(vm, "three")

    assert seen == [("web1", "one"), ("web1", "two")]


def test_fault_latency_passes_on_the_clock(cloud, clock):
    cloud.add_fault(Fault("server*", latency_s=3))
    start = clock.monotonic()

    cloud.servers_on("compute1")

    assert clock.monotonic() - start == pytest.approx(3)


def test_servers_on_reads_every_page(clock):
    cloud = SimCloud(clock, Settings(max_limit=10))
    cloud.add_host("compute1")
    names = {f"web{i}" for i in range(25)}
    for name in names:
        cloud.add_server("compute1", name)

    assert {s.name for s in cloud.servers_on("compute1")} == names
    assert cloud.calls["servers_on"] == 3


def test_delete_server_during_evacuation_fails_the_migration(cloud, clock):
    vm = cloud.add_server("compute1", "web1")
    kill(cloud, clock)
    cloud.evacuate(vm)
    clock.sleep(1)

    cloud.delete_server("web1")
    clock.sleep(2)

    assert cloud.evacuations("compute1")[0].status == "failed"
    with pytest.raises(errors.CloudNotFound):
        cloud.server(vm)
