"""VMs of the simulated cloud die, are stopped and started, by us, by their owners and by Nova."""

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
    cloud.add_host("compute1")
    cloud.add_host("compute2")
    return cloud


@pytest.fixture
def vm(cloud):
    return cloud.add_server("compute1", "web1")


def state(cloud, vm):
    server = cloud.server(vm)
    return server.vm_state, server.task_state, server.power_state


def newest(cloud, vm):
    action = cloud.actions(vm)[0]
    return action.name, action.user_id, action.message


# ---- a VM dies


def test_crash_is_noticed_by_nova_which_stops_the_vm(cloud, clock, vm):
    cloud.crash("web1")
    dead = (cloud.running(), state(cloud, vm))
    clock.sleep(1)
    stopping = state(cloud, vm)
    clock.sleep(0.5)

    assert dead == ({}, ("active", None, 1))
    assert stopping == ("active", "powering-off", 4)
    assert state(cloud, vm) == ("stopped", None, 4)
    assert newest(cloud, vm) == ("stop", None, None)


def test_crash_unnoticed_leaves_nova_in_its_belief(cloud, clock, vm):
    cloud.crash("web1", noticed=False)
    clock.sleep(3600)
    believed = state(cloud, vm)

    cloud.stop(vm)
    clock.sleep(1)
    cloud.start(vm)
    clock.sleep(1)

    assert believed == ("active", None, 1)
    assert state(cloud, vm) == ("active", None, 1)
    assert cloud.running() == {"web1": ["compute1"]}


def test_crash_of_a_vm_that_is_stopped_at_once_by_us_is_left_to_us(cloud, clock, vm):
    cloud.add_fault(Fault("stop", duration_s=2))
    cloud.crash("web1")

    cloud.stop(vm)
    clock.sleep(3)

    assert state(cloud, vm) == ("stopped", None, 4)
    assert [a.user_id for a in cloud.actions(vm) if a.name == "stop"] == ["masakari"]


def test_crash_of_a_vm_that_was_started_again_before_nova_looks_is_nothing(cloud, clock, vm):
    cloud.crash("web1")
    cloud.stop(vm)
    clock.sleep(0.3)
    cloud.start(vm)
    clock.sleep(5)

    assert state(cloud, vm) == ("active", None, 1)
    assert newest(cloud, vm) == ("start", "masakari", None)


@pytest.mark.parametrize(
    ("vm_state", "after"),
    [("paused", "stopped"), ("error", "error"), ("rescued", "rescued"), ("resized", "resized")],
)
def test_crash_in_other_states(cloud, clock, vm_state, after):
    vm = cloud.add_server("compute1", "odd", vm_state=vm_state)

    cloud.crash("odd")
    clock.sleep(5)

    assert state(cloud, vm) == (after, None, 4)


def test_crash_while_nova_compute_is_away_is_not_noticed(cloud, clock, vm):
    cloud.stop_compute("compute1")

    cloud.crash("web1")
    clock.sleep(60)

    assert (cloud.running(), state(cloud, vm)) == ({}, ("active", None, 1))


def test_crash_of_a_vm_that_left_meanwhile_is_not_noticed(cloud, clock, vm):
    cloud.settings.crash_noticed_s = 5
    cloud.crash("web1")
    cloud.migrate(vm)
    clock.sleep(10)

    assert state(cloud, vm) == ("resized", None, 1)


# ---- stops and starts that fail


@pytest.mark.parametrize("change", [("stop", "active"), ("start", "stopped")])
@pytest.mark.parametrize(
    "how",
    [
        (Outcome.FAIL, "error", "Error"),
        (Outcome.ROLLBACK, "as before", "Error"),
        (Outcome.HANG, "busy", None),
    ],
)
def test_power_change_that_does_not_end_well(cloud, clock, change, how):
    (verb, was), (outcome, after, message) = change, how
    vm = cloud.add_server("compute1", "odd", vm_state=was)
    cloud.add_fault(Fault(verb, server="odd", outcome=outcome))

    getattr(cloud, verb)(vm)
    clock.sleep(600)

    server = cloud.server(vm)
    assert server.vm_state == ("error" if after == "error" else was)
    assert (server.task_state is not None) is (after == "busy")
    assert cloud.running() == ({"odd": ["compute1"]} if was == "active" else {})
    assert newest(cloud, vm)[2] == message


@pytest.mark.parametrize(
    ("breaks", "repairs"),
    [
        ("power_off", "power_on"),
        ("cut_network", "heal_network"),
        ("stop_compute", "start_compute"),
    ],
)
@pytest.mark.parametrize("verb", ["stop", "start"])
@pytest.mark.parametrize("meanwhile", [True, False])
def test_power_change_is_finished_when_the_host_is_back(clock, breaks, repairs, verb, meanwhile):
    cloud = SimCloud(clock)
    cloud.add_host("compute1")
    vm = cloud.add_server("compute1", "odd", vm_state="active" if verb == "stop" else "stopped")
    ask, break_ = getattr(cloud, verb), getattr(cloud, breaks)

    for act in (lambda: break_("compute1"), lambda: ask(vm))[:: 1 if meanwhile else -1]:
        act()
    clock.sleep(60)
    waiting = cloud.server(vm).task_state
    getattr(cloud, repairs)("compute1")
    clock.sleep(1)

    assert waiting == {"stop": "powering-off", "start": "powering-on"}[verb]
    assert state(cloud, vm) == {"stop": ("stopped", None, 4), "start": ("active", None, 1)}[verb]
    assert cloud.running() == ({} if verb == "stop" else {"odd": ["compute1"]})


@pytest.mark.parametrize(
    "vm_state", ["stopped", "paused", "suspended", "rescued", "resized", "building"]
)
def test_stop_is_for_active_and_failed_vms_only(cloud, vm_state):
    vm = cloud.add_server("compute1", "odd", vm_state=vm_state)

    with pytest.raises(errors.CloudConflict, match=f"vm_state {vm_state}"):
        cloud.stop(vm)


@pytest.mark.parametrize(
    "vm_state", ["active", "error", "paused", "suspended", "rescued", "resized", "building"]
)
def test_start_is_for_stopped_vms_only(cloud, vm_state):
    vm = cloud.add_server("compute1", "odd", vm_state=vm_state)

    with pytest.raises(errors.CloudConflict, match=f"vm_state {vm_state}"):
        cloud.start(vm)


# ---- owners


@pytest.mark.parametrize(
    ("actions", "after"),
    [
        (["stop"], ("stopped", None, 4)),
        (["stop", "start"], ("active", None, 1)),
        (["pause"], ("paused", None, 3)),
        (["pause", "unpause"], ("active", None, 1)),
        (["suspend"], ("suspended", None, 4)),
        (["suspend", "resume"], ("active", None, 1)),
        (["rescue"], ("rescued", None, 1)),
        (["rescue", "unrescue"], ("active", None, 1)),
        (["reboot"], ("active", None, 1)),
        (["rebuild"], ("active", None, 1)),
        (["stop", "rebuild"], ("stopped", None, 4)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_owner_changes_the_power(cloud, clock, vm, actions, after):
    for action in actions:
        cloud.owner_action("web1", action)
        clock.sleep(1)

    assert state(cloud, vm) == after
    runs = after[0] not in ("stopped", "suspended")
    assert cloud.running() == ({"web1": ["compute1"]} if runs else {})
    assert [(a.name, a.user_id) for a in cloud.actions(vm)[::-1]] == [
        ("create", "owner"),
        *((action, "owner") for action in actions),
    ]


def test_owner_of_a_locked_vm_is_refused(cloud, vm):
    cloud.lock(vm, "recovery 1")

    with pytest.raises(ApiError, match="is locked"):
        cloud.owner_action(vm, "stop")


def test_owner_s_lock_is_not_left_behind_by_us(cloud, vm):
    cloud.owner_action(vm, "lock")
    locked = cloud.server(vm).locked
    theirs = cloud.left_locked()

    cloud.unlock(vm)

    assert (locked, theirs, cloud.left_locked()) == (True, [], ["web1"])


def test_owner_deletes(cloud, vm):
    cloud.owner_action("web1", "delete")

    assert cloud.running() == {}
    assert newest(cloud, vm) == ("delete", "owner", None)


def test_owner_is_neither_counted_nor_hit_by_faults(cloud, clock, vm):
    cloud.add_fault(Fault("*", error=503, times=None))

    cloud.owner_action(vm, "stop")
    clock.sleep(1)
    cloud.clear_faults()

    assert dict(cloud.calls) == {}
    assert state(cloud, vm) == ("stopped", None, 4)
