"""What every cloud.Cloud does when Nova fails; the simulated ones only."""

import datetime

import pytest

from masakari import errors
from masakari.cloud import Aggregate
from masakari.sim.cloud import Fault
from masakari.tests.contract import worlds

RACK = Aggregate(id=1, name="rack", hosts=())


@pytest.fixture(params=["memory", "http"])
def world(request, tmp_path):
    world = worlds.SimWorld(over_http=tmp_path if request.param == "http" else None)
    yield world
    world.close()


@pytest.fixture
def cloud(world):
    return world.cloud


@pytest.fixture
def vm(world):
    (vm,) = world.boot("compute-1")
    return vm


@pytest.fixture
def dead_vm(world, vm):
    world.kill("compute-1")
    return vm


def test_servers_on_reads_every_page(world, cloud):
    ids = set(world.boot("compute-1", 2500))

    assert {s.id for s in cloud.servers_on("compute-1")} == ids
    assert world.sim.calls["servers_on"] == 3


def test_evacuations_reads_every_page(world, cloud):
    ids = world.boot("compute-1", 1200)
    world.kill("compute-1")
    for vm in ids:
        world.sim.evacuate(vm)

    found = cloud.evacuations("compute-1")

    assert [m.server_id for m in found] == ids[::-1]
    assert world.sim.calls["evacuations"] == 2


def test_evacuations_since_reads_every_page(world, cloud):
    since = world.clock.now() - datetime.timedelta(seconds=5)
    ids = world.boot("compute-1", 1200)
    world.kill("compute-1")
    for vm in ids:
        world.sim.evacuate(vm)
    assert len(cloud.evacuations("compute-1", since)) == 0  # accepted only

    world.clock.sleep(1)

    assert len(cloud.evacuations("compute-1", since)) == 1200


@pytest.mark.parametrize("code", [0, 429, 500, 502, 503, 504])
def test_transient_error_is_repeated(world, cloud, code):
    world.sim.add_fault(Fault("compute_services", error=code, times=3))

    assert len(cloud.compute_services()) == 3
    assert world.sim.calls["compute_services"] == 4


def test_nova_away_for_half_a_minute_is_waited_out(world, cloud, vm):
    began = world.clock.monotonic()
    world.sim.add_fault(Fault(error=503, times=None, start=began, until=began + 30))

    cloud.lock(vm, "recovery")

    assert 30 <= world.clock.monotonic() - began < 45
    assert world.sim.vm(vm).locked


def test_nova_away_for_longer_is_unavailable(world, cloud):
    world.sim.add_fault(Fault(error=503, times=None))
    began = world.clock.monotonic()

    with pytest.raises(errors.CloudUnavailable, match="503"):
        cloud.servers_on("compute-1")

    assert world.sim.calls["servers_on"] == 9
    assert world.clock.monotonic() - began == pytest.approx(45.5)


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_respected(world, cloud, code):
    world.sim.add_fault(Fault("server", error=code, retry_after_s=7))
    (vm,) = world.boot("compute-1")
    began = world.clock.monotonic()

    cloud.server(vm)

    assert world.clock.monotonic() - began == pytest.approx(7)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, errors.CloudRefused),
        (403, errors.CloudForbidden),
        (404, errors.CloudNotFound),
        (409, errors.CloudConflict),
    ],
)
def test_refusal_is_not_repeated(world, cloud, vm, code, kind):
    world.sim.add_fault(Fault("lock", error=code, times=None))

    with pytest.raises(kind, match="injected") as refused:
        cloud.lock(vm, "recovery")

    assert type(refused.value) is kind
    assert refused.value.details["code"] == code
    assert world.sim.calls["lock"] == 1


# ---- an answer that is none

READING = {
    "compute_services": lambda cloud, vm: [s.host for s in cloud.compute_services()],
    "servers_on": lambda cloud, vm: cloud.servers_on("compute-1"),
    "server": lambda cloud, vm: cloud.server(vm),
    "actions": lambda cloud, vm: cloud.actions(vm),
    "aggregates": lambda cloud, vm: cloud.aggregates(),
    "evacuations": lambda cloud, vm: cloud.evacuations("compute-1"),
    "has_unconfirmed_move": lambda cloud, vm: cloud.has_unconfirmed_move(vm),
}
GARBAGE = {
    "nothing": "",
    "page": "<html>Welcome</html>",
    "null": "null",
    "number": "5",
    "list": "[]",
    "empty": "{}",
    "numbers": '{"servers": 5, "server": 5, "services": 5, "migrations": 5, "aggregates": 5}',
    "rows": '{"servers": [5], "services": [{}], "migrations": [{}], "aggregates": [{}],'
    ' "instanceActions": [{"action": "stop"}], "server": null}',
    "times": '{"instanceActions": [{"action": "stop", "user_id": null, "start_time": "soon"}]}',
}


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_asked_for_again(world, cloud, vm, verb, garbage):
    expected = READING[verb](cloud, vm)
    world.sim.add_fault(Fault(verb, garbage=garbage, times=2))

    assert READING[verb](cloud, vm) == expected
    assert world.sim.calls[verb] == 4


@pytest.mark.parametrize("verb", READING)
def test_garbage_for_ever_is_unavailable(world, cloud, vm, verb):
    world.sim.add_fault(Fault(verb, garbage="{}", times=None))

    with pytest.raises(errors.CloudUnavailable):
        READING[verb](cloud, vm)


def test_garbage_after_a_change_is_a_lost_answer(world, cloud, vm):
    world.sim.add_fault(Fault("migrate", garbage="<html>", when="after"))

    cloud.migrate(vm)

    assert world.sim.calls["migrate"] == 1


# ---- a lost answer


@pytest.mark.parametrize("code", [0, 500, 503, 504])
def test_evacuate_answer_lost_is_told_and_not_asked_for_again(world, cloud, dead_vm, code):
    """Nova starts a second evacuation beside a running one."""
    world.sim.add_fault(Fault("evacuate", error=code, when="after"))

    with pytest.raises(errors.CloudUnavailable):
        cloud.evacuate(dead_vm)

    assert world.sim.calls["evacuate"] == 1
    assert [m.server_id for m in cloud.evacuations("compute-1")] == [dead_vm]


def test_evacuate_refused_for_the_moment_is_repeated(world, cloud, dead_vm):
    world.sim.add_fault(Fault("evacuate", error=429, times=2))

    cloud.evacuate(dead_vm)

    assert world.sim.calls["evacuate"] == 3
    assert len(world.sim.ledger.evacuations) == 1


def test_change_is_not_tried_again_without_leave(world, cloud, vm):
    world.sim.add_fault(Fault("lock", error=503))
    leaves = iter([None, errors.LeaseLost(notification="n")])

    def leave():
        answer = next(leaves)
        if answer is not None:
            raise answer

    with pytest.raises(errors.LeaseLost):
        cloud.lock(vm, "recovery", leave=leave)

    assert world.sim.calls["lock"] == 1
    assert not world.sim.vm(vm).locked


def test_stop_accepted_but_answer_lost_is_done(world, cloud, vm):
    world.sim.add_fault(Fault("stop", error=504, when="after"))

    cloud.stop(vm)

    assert world.sim.calls["stop"] == 1
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")


def test_start_accepted_but_answer_lost_is_done(world, cloud, vm):
    cloud.stop(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")
    world.sim.add_fault(Fault("start", error=0, when="after"))

    cloud.start(vm)

    assert world.sim.calls["start"] == 1
    world.eventually(lambda: cloud.server(vm).vm_state == "active")


@pytest.mark.parametrize("before", ["error", "active"])
@pytest.mark.parametrize("code", [0, 504])
def test_reboot_accepted_but_answer_lost_is_done(world, cloud, vm, code, before):
    world.sim.settings.power_change_s = 5
    cloud.reset_state(vm, before)
    world.sim.add_fault(Fault("reboot", error=code, when="after"))

    cloud.reboot(vm)

    assert world.sim.calls["reboot"] == 1
    world.eventually(lambda: cloud.server(vm).vm_state == "active")


def test_reboot_of_active_vm_that_did_not_reach_nova_is_repeated(world, cloud, vm):
    world.sim.add_fault(Fault("reboot", error=503))

    cloud.reboot(vm)

    assert world.sim.calls["reboot"] == 2


@pytest.mark.parametrize("code", [0, 500, 503, 504])
def test_migrate_accepted_but_answer_lost_is_done(world, cloud, vm, code):
    world.sim.add_fault(Fault("migrate", error=code, when="after"))

    cloud.migrate(vm)

    assert world.sim.calls["migrate"] == 1
    world.eventually(lambda: cloud.server(vm).vm_state == "resized")


def test_migrate_accepted_and_over_before_the_next_look_is_done(world, cloud, vm):
    """Somebody has confirmed it meanwhile, as Nova does itself with resize_confirm_window."""
    world.sim.settings.migration_s = 0.1

    def confirm(_):
        for act in (lambda: None, lambda: world.sim.api.confirm_resize(vm)):
            world.clock.sleep(1)
            act()
        world.clock.sleep(1)

    world.sim.add_fault(Fault("migrate", error=504, when="after", hook=confirm))

    cloud.migrate(vm)

    assert world.sim.calls["migrate"] == 1
    assert cloud.server(vm).vm_state == "active"
    assert cloud.server(vm).host != "compute-1"


def test_change_of_a_vm_that_is_deleted_when_one_looks_is_not_found(world, cloud, vm):
    delete = Fault(
        "migrate", error=504, hook=lambda _: world.sim.owner_action(vm, "delete"), when="after"
    )
    world.sim.add_fault(delete)

    with pytest.raises(errors.CloudNotFound):
        cloud.migrate(vm)

    assert world.sim.calls["migrate"] == 1


def test_change_whose_fate_cannot_be_looked_at_is_unavailable(world, cloud, vm):
    world.sim.add_fault(Fault("migrate", error=504, when="after"))
    world.sim.add_fault(Fault("server", error=503, skip=1, times=None))

    with pytest.raises(errors.CloudUnavailable):
        cloud.migrate(vm)

    assert world.sim.calls["migrate"] == 1


def test_migrate_that_did_not_reach_nova_is_repeated(world, cloud, vm):
    world.sim.add_fault(Fault("migrate", error=503, times=2))

    cloud.migrate(vm)

    assert world.sim.calls["migrate"] == 3
    assert [a.name for a in cloud.actions(vm)] == ["migrate", "create"]


@pytest.mark.parametrize("lasts_s", [0.1, 5])
def test_confirm_resize_accepted_but_answer_lost_is_done(world, cloud, vm, lasts_s):
    cloud.migrate(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "resized")
    world.sim.settings.power_change_s = lasts_s
    world.sim.add_fault(Fault("confirm_resize", error=504, when="after"))

    cloud.confirm_resize(vm)

    world.eventually(lambda: cloud.server(vm).vm_state == "active")
    assert [a.name for a in cloud.actions(vm)].count("confirmResize") == 1


def test_confirm_resize_again_while_it_is_under_way_is_nothing(world, cloud, vm):
    cloud.migrate(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "resized")

    for _ in range(2):
        cloud.confirm_resize(vm)

    assert [a.name for a in cloud.actions(vm)].count("confirmResize") == 1


def test_add_to_aggregate_carried_out_but_answer_lost_is_done(world, cloud):
    world.add_aggregate("rack")
    (rack,) = cloud.aggregates()
    world.sim.add_fault(Fault("add_to_aggregate", error=0, when="after"))

    cloud.add_to_aggregate(rack, "compute-1")

    assert world.sim.calls["add_to_aggregate"] == 1
    assert cloud.aggregates()[0].hosts == ("compute-1",)


def test_remove_from_aggregate_carried_out_but_answer_lost_is_done(world, cloud):
    world.add_aggregate("rack", ["compute-1"])
    (rack,) = cloud.aggregates()
    world.sim.add_fault(Fault("remove_from_aggregate", error=504, when="after"))

    cloud.remove_from_aggregate(rack, "compute-1")

    assert world.sim.calls["remove_from_aggregate"] == 1
    assert cloud.aggregates()[0].hosts == ()


@pytest.mark.parametrize(
    "verb",
    [
        lambda cloud, vm, leave: cloud.reboot(vm, leave=leave),
        lambda cloud, vm, leave: cloud.migrate(vm, leave=leave),
        lambda cloud, vm, leave: cloud.confirm_resize(vm, leave=leave),
        lambda cloud, vm, leave: cloud.add_to_aggregate(RACK, "compute-1", leave=leave),
        lambda cloud, vm, leave: cloud.remove_from_aggregate(RACK, "compute-1", leave=leave),
    ],
    ids=["reboot", "migrate", "confirm_resize", "add_to_aggregate", "remove_from_aggregate"],
)
def test_change_is_not_made_without_leave(world, cloud, vm, verb):
    def leave():
        raise errors.LeaseLost(notification="n")

    with pytest.raises(errors.LeaseLost):
        verb(cloud, vm, leave)

    changes = ("reboot", "migrate", "confirm_resize", "add_to_aggregate", "remove_from_aggregate")
    assert not any(world.sim.calls[change] for change in changes)


# ---- many actions


def test_actions_are_the_newest_hundred(world, cloud, vm):
    for _ in range(150):
        world.sim.lock(vm, "again")

    found = cloud.actions(vm)

    assert [a.name for a in found] == ["lock"] * 100


def test_actions_of_a_deleted_vm_are_told(world, cloud, vm):
    world.sim.owner_action(vm, "delete")

    assert [a.name for a in cloud.actions(vm)] == ["delete", "create"]
    with pytest.raises(errors.CloudNotFound):
        cloud.server(vm)


def test_server_that_boots_from_a_volume_says_so(world, cloud):
    vm = world.sim.add_server("compute-1", "database", boots_from_volume=True)

    assert cloud.server(vm).boots_from_volume


# ---- an older Nova


def test_nova_below_2_58_tells_of_all_actions(world, cloud, vm):
    world.sim.settings.max_microversion = (2, 53)

    cloud.lock(vm, "recovery")

    assert [a.name for a in cloud.actions(vm)] == ["lock", "create"]


def test_nova_below_2_59_confirms_by_server_lists(world, cloud, dead_vm):
    world.sim.settings.max_microversion = (2, 53)

    assert not cloud.confirms_by_migrations
    cloud.lock(dead_vm, "not kept")
    cloud.evacuate(dead_vm)

    assert [m.server_id for m in cloud.evacuations("compute-1")] == [dead_vm]
    with pytest.raises(errors.CloudRefused):
        cloud.evacuations("compute-1", world.clock.now())


def test_nova_of_tomorrow_leaves_evacuated_vms_running(world, cloud, dead_vm):
    world.sim.settings.max_microversion = (2, 199)

    cloud.evacuate(dead_vm)
    world.clock.sleep(5)

    assert cloud.server(dead_vm).vm_state == "active"
