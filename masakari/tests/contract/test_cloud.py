"""What every cloud.Cloud does: in memory, over HTTP, and a real Nova (-m realcloud)."""

import datetime

import pytest

from masakari import errors
from masakari.cloud import Aggregate
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
    assert server.user_id
    assert not server.boots_from_volume
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
        lambda cloud: cloud.reboot(NOBODY),
        lambda cloud: cloud.migrate(NOBODY),
        lambda cloud: cloud.confirm_resize(NOBODY),
        lambda cloud: cloud.actions(NOBODY),
    ],
    ids=[
        "server",
        "lock",
        "unlock",
        "reset_state",
        "stop",
        "start",
        "evacuate",
        "reboot",
        "migrate",
        "confirm_resize",
        "actions",
    ],
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


def test_reboot_brings_a_vm_in_error_back(world, cloud, source, vm):
    world.crash(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")
    cloud.reset_state(vm, "error")

    cloud.reboot(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "active")

    server = cloud.server(vm)
    assert (server.task_state, server.power_state, server.host) == (None, 1, source)
    assert cloud.actions(vm)[0].name == "reboot"


# ---- what was done to a server


def test_actions_are_told_newest_first_with_who_asked(world, cloud, vm):
    cloud.stop(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")
    world.clock.sleep(1)
    cloud.start(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "active")

    start, stop, create = cloud.actions(vm)

    assert [a.name for a in (start, stop, create)] == ["start", "stop", "create"]
    assert create.user_id == cloud.server(vm).user_id
    assert start.user_id == stop.user_id
    assert stop.user_id not in (None, create.user_id)
    assert create.started_at <= stop.started_at < start.started_at
    assert start.message is None
    assert len({start.request_id, stop.request_id, create.request_id}) == 3


def test_actions_are_timed_in_utc(world, cloud, vm):
    (create,) = cloud.actions(vm)

    assert create.started_at.tzinfo is None
    assert abs(world.clock.now() - create.started_at) < datetime.timedelta(minutes=1)


def test_actions_name_nobody_when_nova_stops_a_dead_vm(world, cloud, vm):
    world.crash(vm)

    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")

    (stop, *_) = cloud.actions(vm)
    assert (stop.name, stop.user_id) == ("stop", None)


def test_actions_name_the_owner_who_stops_a_vm(world, cloud, vm):
    world.owner_stops(vm)

    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")

    (stop, *_) = cloud.actions(vm)
    assert (stop.name, stop.user_id) == ("stop", cloud.server(vm).user_id)


# ---- cold migrations


def migrate_and_wait(world, vm):
    world.cloud.migrate(vm)
    world.eventually(lambda: world.cloud.server(vm).vm_state == "resized")


def test_migrate_and_confirm_moves_the_vm(world, cloud, source, vm):
    migrate_and_wait(world, vm)
    resized = cloud.server(vm)
    cloud.confirm_resize(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "active")

    server = cloud.server(vm)
    assert (resized.task_state, resized.power_state) == (None, 1)
    assert resized.host in world.hosts[1:]
    assert (server.host, server.task_state, server.power_state) == (resized.host, None, 1)
    assert cloud.servers_on(source) == []
    assert [a.name for a in cloud.actions(vm)] == ["confirmResize", "migrate", "create"]


def test_migrate_a_stopped_vm_leaves_it_stopped(world, cloud, source, vm):
    cloud.stop(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")

    migrate_and_wait(world, vm)
    resized = cloud.server(vm)
    cloud.confirm_resize(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "stopped")

    assert (resized.power_state, cloud.server(vm).power_state) == (4, 4)
    assert cloud.server(vm).host != source


def test_migrate_a_locked_vm(world, cloud, source, vm):
    cloud.lock(vm, "recovery 1")

    migrate_and_wait(world, vm)

    assert cloud.server(vm).locked


def test_migrate_again_at_once_is_a_conflict(cloud, vm):
    cloud.migrate(vm)

    with pytest.raises(errors.CloudConflict, match="while it is in"):
        cloud.migrate(vm)


def test_migrate_a_vm_in_error_is_a_conflict(cloud, vm):
    cloud.reset_state(vm, "error")

    with pytest.raises(errors.CloudConflict, match="vm_state error"):
        cloud.migrate(vm)


def test_migrate_while_service_is_down_is_a_conflict(world, cloud, source, vm):
    world.kill(source)

    with pytest.raises(errors.CloudConflict, match="unavailable"):
        cloud.migrate(vm)


def test_migrate_without_another_host_leaves_the_vm_as_it_was(world, cloud, source, vm):
    for host in world.hosts[1:]:
        cloud.disable_service(service(cloud, host), "full")

    cloud.migrate(vm)
    world.eventually(lambda: cloud.server(vm).task_state is None)

    server = cloud.server(vm)
    assert (server.vm_state, server.host, server.power_state) == ("active", source, 1)
    world.eventually(lambda: cloud.actions(vm)[0].message == "Error")


def test_confirm_resize_of_vm_that_was_not_moved_is_a_conflict(cloud, vm):
    with pytest.raises(errors.CloudConflict, match="vm_state active"):
        cloud.confirm_resize(vm)


def test_confirm_resize_while_service_it_left_is_down_is_a_conflict(world, cloud, source, vm):
    migrate_and_wait(world, vm)
    world.kill(source)

    with pytest.raises(errors.CloudConflict, match="unavailable"):
        cloud.confirm_resize(vm)

    assert cloud.server(vm).vm_state == "resized"


def test_has_unconfirmed_move_until_it_is_confirmed(world, cloud, vm):
    before = cloud.has_unconfirmed_move(vm)
    migrate_and_wait(world, vm)
    resized = cloud.has_unconfirmed_move(vm)
    cloud.confirm_resize(vm)
    world.eventually(lambda: cloud.server(vm).vm_state == "active")

    assert (before, resized, cloud.has_unconfirmed_move(vm)) == (False, True, False)


def test_has_unconfirmed_move_after_its_state_was_reset(world, cloud, vm):
    migrate_and_wait(world, vm)

    cloud.reset_state(vm, "active")

    assert cloud.has_unconfirmed_move(vm)
    with pytest.raises(errors.CloudConflict):
        cloud.confirm_resize(vm)


# ---- aggregates


def aggregate(cloud, name):
    return next(a for a in cloud.aggregates() if a.name == name)


def test_aggregates_tells_all_about_them(world, cloud):
    world.add_aggregate("rack", world.hosts[:2])
    world.add_aggregate("room", world.hosts[2:], zone="az2")

    rack, room = aggregate(cloud, "rack"), aggregate(cloud, "room")

    assert rack.id != room.id
    assert (set(rack.hosts), rack.availability_zone) == (set(world.hosts[:2]), None)
    assert (set(room.hosts), room.availability_zone) == (set(world.hosts[2:]), "az2")
    assert (rack.metadata, room.metadata) == ({}, {"availability_zone": "az2"})


def test_add_to_aggregate_and_remove_again(world, cloud):
    world.add_aggregate("rack", world.hosts[:1])
    rack, host = aggregate(cloud, "rack"), world.hosts[1]

    cloud.add_to_aggregate(rack, host)
    joined = aggregate(cloud, "rack").hosts
    for _ in range(2):
        cloud.remove_from_aggregate(rack, host)

    assert set(joined) == {world.hosts[0], host}
    assert aggregate(cloud, "rack").hosts == (world.hosts[0],)


def test_add_to_aggregate_member_is_a_conflict(world, cloud, source):
    world.add_aggregate("rack", [source])

    with pytest.raises(errors.CloudConflict, match="already has host"):
        cloud.add_to_aggregate(aggregate(cloud, "rack"), source)


def test_add_to_aggregate_of_another_zone_is_a_conflict(world, cloud, source):
    world.add_aggregate("here", [source], zone="az1")
    world.add_aggregate("there", zone="az2")

    with pytest.raises(errors.CloudConflict, match="already in availability zone"):
        cloud.add_to_aggregate(aggregate(cloud, "there"), source)

    assert aggregate(cloud, "there").hosts == ()


@pytest.mark.usefixtures("vm")
def test_add_to_aggregate_that_changes_the_zone_of_vms_is_a_conflict(world, cloud, source):
    world.add_aggregate("there", zone="az2")

    with pytest.raises(errors.CloudConflict, match=r"would change from 'None' to 'az2'"):
        cloud.add_to_aggregate(aggregate(cloud, "there"), source)


def test_add_to_aggregate_unknown_host_is_not_found(world, cloud):
    world.add_aggregate("rack")

    with pytest.raises(errors.CloudNotFound, match="nowhere"):
        cloud.add_to_aggregate(aggregate(cloud, "rack"), "nowhere")


def test_aggregate_that_is_gone_is_not_found_and_has_no_members(cloud, source):
    gone = Aggregate(id=999999, name="gone", hosts=(source,))

    with pytest.raises(errors.CloudNotFound, match="999999"):
        cloud.add_to_aggregate(gone, source)
    cloud.remove_from_aggregate(gone, source)


@pytest.mark.usefixtures("vm")
def test_remove_from_aggregate_that_changes_the_zone_of_vms_is_a_conflict(world, cloud, source):
    # Nova refuses it for hosts with VMs, which may come after the host
    world.add_aggregate("plain", [source])
    world.add_aggregate("other", world.hosts[1:2], zone="az2")
    world.boot(world.hosts[1])

    with pytest.raises(errors.CloudConflict, match=r"would change from 'az2' to 'None'"):
        cloud.remove_from_aggregate(aggregate(cloud, "other"), world.hosts[1])
    cloud.remove_from_aggregate(aggregate(cloud, "plain"), source)
    cloud.remove_from_aggregate(aggregate(cloud, "other"), source)

    assert aggregate(cloud, "plain").hosts == ()
    assert aggregate(cloud, "other").hosts == world.hosts[1:2]


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
