"""What every cloud.Cloud does: in memory, over HTTP, and a real Nova (-m realcloud)."""

import datetime

import pytest

from masakari import errors
from masakari.tests.contract import worlds

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(params=["memory", "http", pytest.param("real", marks=pytest.mark.realcloud)])
def world(request, tmp_path):
    if request.param == "real":
        world = worlds.RealWorld(tmp_path)
    else:
        world = worlds.SimWorld(over_http=tmp_path if request.param == "http" else None)
    yield world
    world.close()


@pytest.fixture
def cloud(world):
    return world.cloud


@pytest.fixture
def source(world):
    return world.hosts[0]


@pytest.fixture
def vm(world, source):
    (vm,) = world.boot(source)
    return vm


def service(cloud, host):
    (found,) = cloud.compute_services(host)
    return found


def evacuate_and_wait(world, source, *vms):
    for vm in vms:
        world.cloud.evacuate(vm)
    world.eventually(
        lambda: (
            {m.server_id for m in world.cloud.evacuations(source) if m.status == "done"} >= set(vms)
        )
    )


# ---- compute services


def test_compute_services_lists_every_host(world, cloud):
    services = cloud.compute_services()

    assert {s.host for s in services} == set(world.hosts)
    assert all(s.is_enabled and not s.is_down and s.id and s.updated_at for s in services)


def test_compute_services_of_unknown_host_are_none(cloud):
    assert list(cloud.compute_services("nowhere")) == []


def test_disable_and_enable_service_are_idempotent(cloud, source):
    found = service(cloud, source)

    for _ in range(2):
        cloud.disable_service(found, "host failed")
    disabled = service(cloud, source)
    for _ in range(2):
        cloud.enable_service(found)
    enabled = service(cloud, source)

    assert (disabled.status, disabled.disabled_reason) == ("disabled", "host failed")
    assert (enabled.status, enabled.disabled_reason) == ("enabled", None)


def test_disable_unknown_service_is_not_found(cloud, source):
    found = service(cloud, source)

    with pytest.raises(errors.CloudNotFound):
        cloud.disable_service(type(found)(NOBODY, source, "enabled", "up"), "host failed")


def test_service_of_killed_host_is_down(world, cloud, source):
    world.kill(source)

    assert service(cloud, source).state == "down"
    assert not service(cloud, world.hosts[1]).is_down


# ---- servers


def test_servers_on_tells_all_about_them(world, cloud, source, vm):
    world.boot(world.hosts[1])

    (server,) = cloud.servers_on(source)

    assert (server.id, server.host, server.vm_state) == (vm, source, "active")
    assert (server.task_state, server.power_state, server.locked) == (None, 1, False)
    assert server.metadata["HA_Enabled"] == "True"
    assert server.name
    assert server.project_id
    assert cloud.server(vm) == server


def test_servers_on_unknown_host_are_none(cloud, vm):
    assert list(cloud.servers_on("nowhere")) == []


@pytest.mark.parametrize(
    "verb",
    [
        lambda cloud: cloud.server(NOBODY),
        lambda cloud: cloud.lock(NOBODY, "reason"),
        lambda cloud: cloud.unlock(NOBODY),
        lambda cloud: cloud.reset_state(NOBODY, "error"),
        lambda cloud: cloud.stop(NOBODY),
        lambda cloud: cloud.start(NOBODY),
        lambda cloud: cloud.evacuate(NOBODY),
    ],
    ids=["server", "lock", "unlock", "reset_state", "stop", "start", "evacuate"],
)
def test_unknown_server_is_not_found(cloud, verb):
    with pytest.raises(errors.CloudNotFound, match=NOBODY):
        verb(cloud)


def test_lock_and_unlock_are_idempotent(cloud, vm):
    for _ in range(2):
        cloud.lock(vm, "recovery 1")
    locked = cloud.server(vm)
    for _ in range(2):
        cloud.unlock(vm)
    unlocked = cloud.server(vm)

    assert (locked.locked, locked.locked_reason) == (True, "recovery 1")
    assert (unlocked.locked, unlocked.locked_reason) == (False, None)


def test_reset_state_sets_error_and_active(cloud, vm):
    cloud.reset_state(vm, "error")
    assert cloud.server(vm).vm_state == "error"

    cloud.reset_state(vm, "active")
    assert cloud.server(vm).vm_state == "active"


def test_stop_and_start_a_locked_vm(world, cloud, vm):
    cloud.lock(vm, "recovery 1")

    cloud.stop(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")
    assert cloud.server(vm).power_state == 4
    cloud.start(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "active")

    assert cloud.server(vm).power_state == 1


def test_start_of_active_vm_is_a_conflict(cloud, vm):
    with pytest.raises(errors.CloudConflict):
        cloud.start(vm)


def test_stop_of_stopped_vm_is_a_conflict(world, cloud, vm):
    cloud.stop(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")

    with pytest.raises(errors.CloudConflict):
        cloud.stop(vm)


# ---- evacuations


def test_evacuate_while_service_is_up_is_refused(cloud, source, vm):
    with pytest.raises(errors.CloudRefused, match="in use") as refused:
        cloud.evacuate(vm)

    assert refused.value.details["code"] == 400
    assert list(cloud.evacuations(source)) == []


def test_evacuate_moves_the_vm(world, cloud, source, vm):
    world.kill(source)

    evacuate_and_wait(world, source, vm)

    (move,) = cloud.evacuations(source)
    server = cloud.server(vm)
    assert (move.server_id, move.source, move.status) == (vm, source, "done")
    assert move.dest in world.hosts[1:]
    assert (server.host, server.vm_state, server.task_state) == (move.dest, "active", None)
    assert cloud.servers_on(source) == []


def test_evacuate_onto_a_named_host(world, cloud, source, vm):
    world.kill(source)

    cloud.evacuate(vm, world.hosts[2])
    world.eventually(lambda: cloud.evacuations(source)[0].status == "done")

    assert cloud.server(vm).host == world.hosts[2]


def test_evacuate_a_locked_vm(world, cloud, source, vm):
    cloud.lock(vm, "recovery 1")
    world.kill(source)

    evacuate_and_wait(world, source, vm)

    assert cloud.server(vm).locked


def test_evacuate_a_stopped_vm_leaves_it_stopped(world, cloud, source, vm):
    cloud.stop(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")
    world.kill(source)

    evacuate_and_wait(world, source, vm)

    assert (cloud.server(vm).vm_state, cloud.server(vm).task_state) == ("stopped", None)


def test_evacuate_a_vm_in_error_makes_it_active(world, cloud, source, vm):
    cloud.reset_state(vm, "error")
    world.kill(source)

    evacuate_and_wait(world, source, vm)

    assert cloud.server(vm).vm_state == "active"


def test_evacuate_onto_unknown_host_is_not_found(world, cloud, source, vm):
    world.kill(source)

    with pytest.raises(errors.CloudNotFound, match="nowhere"):
        cloud.evacuate(vm, "nowhere")


def test_evacuate_onto_its_own_host_is_refused(world, cloud, source, vm):
    world.kill(source)

    with pytest.raises(errors.CloudRefused, match="same one"):
        cloud.evacuate(vm, source)


def test_evacuate_again_at_once_is_accepted_so_one_must_look_before(world, cloud, source, vm):
    world.kill(source)
    cloud.evacuate(vm)

    cloud.evacuate(vm)

    assert [m.server_id for m in cloud.evacuations(source)] == [vm, vm]


def test_evacuations_since_leaves_older_ones_out(world, cloud, source):
    first, second = world.boot(source, 2)
    world.kill(source)
    evacuate_and_wait(world, source, first)
    world.clock.sleep(2)
    # Nova's clock, which is not ours, tells when
    last = datetime.datetime.fromisoformat(cloud.evacuations(source)[0].updated_at)
    since = last.replace(tzinfo=None) + datetime.timedelta(seconds=1)

    before = cloud.evacuations(source, since)
    evacuate_and_wait(world, source, second)
    after = cloud.evacuations(source, since)

    assert cloud.confirms_by_migrations
    assert list(before) == []
    assert [m.server_id for m in after] == [second]
    assert [m.server_id for m in cloud.evacuations(source)] == [second, first]


def test_evacuations_from_other_hosts_are_left_out(world, cloud, source, vm):
    world.kill(source)
    evacuate_and_wait(world, source, vm)

    assert list(cloud.evacuations(world.hosts[1])) == []


def test_host_that_returns_completes_its_evacuations(world, cloud, source):
    moved, stayed = world.boot(source, 2)
    world.kill(source)
    evacuate_and_wait(world, source, moved)

    world.revive(source)
    world.eventually(lambda: not service(cloud, source).is_down)
    world.eventually(lambda: [m.status for m in cloud.evacuations(source)] == ["completed"])
    world.eventually(lambda: cloud.server(stayed).vm_state == "stopped")

    assert [s.id for s in cloud.servers_on(source)] == [stayed]
