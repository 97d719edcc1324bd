"""Clients may call a resource by its id, the integer, as well as by its uuid."""

import pytest

from masakari import db
from masakari.db.vmoves import NewMove
from masakari.states import RecoveryMethod

NOBODY = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def racks(api):
    """Two segments with a host each, whose ids differ from those of their segments."""
    first, second = api.segment("rack1"), api.segment("rack2")
    api.delete(f"/segments/{first['uuid']}/hosts/{api.host(first, 'compute9')['uuid']}")
    return (first, api.host(first, "compute1")), (second, api.host(second, "compute2"))


@pytest.fixture
def moves(api, racks, database):
    """Of two notifications, one each."""
    found = []
    for name, instance in (("compute1", 1), ("compute2", 2)):
        notification = api.notify(hostname=name).json["notification"]
        wanted = NewMove(
            instance_uuid=f"{NOBODY[:-1]}{instance}",
            instance_name=f"vm{instance}",
            source_host=name,
            rank=1,
        )
        uuid = notification["notification_uuid"]
        db.vmoves.prepare(database, uuid, 1, 1, [wanted])
        found.append((notification, api.get(f"/notifications/{uuid}/vmoves").json["vmoves"][0]))
    return found


def test_segment_by_its_id(api):
    rack = api.segment()
    uuid, id_ = rack["uuid"], rack["id"]

    assert api.get(f"/segments/{id_}").json == api.get(f"/segments/{uuid}").json
    changed = api.put(f"/segments/{id_}", {"segment": {"recovery_method": "rh_priority"}})
    assert changed.json["segment"]["recovery_method"] == RecoveryMethod.RH_PRIORITY
    assert api.delete(f"/segments/{id_}").status == 204
    assert api.get(f"/segments/{uuid}").status == 404
    assert api.get(f"/segments/{id_}").status == 404


def test_host_by_its_id(api, racks):
    (rack, host), _ = racks
    by_uuid = api.get(f"/segments/{rack['uuid']}/hosts/{host['uuid']}").json

    for segment in (rack["uuid"], rack["id"]):
        assert api.get(f"/segments/{segment}/hosts/{host['id']}").json == by_uuid
        assert api.get(f"/segments/{segment}/hosts").json == {"hosts": [by_uuid["host"]]}
    path = f"/segments/{rack['id']}/hosts"
    added = api.post(
        path, {"host": {"name": "compute3", "type": "COMPUTE", "control_attributes": "SSH"}}
    )
    assert added.json["host"]["failover_segment_id"] == rack["uuid"]
    changed = api.put(f"{path}/{host['id']}", {"host": {"type": "KVM"}})
    assert changed.json["host"]["type"] == "KVM"
    assert api.delete(f"{path}/{host['id']}").status == 204
    assert api.get(f"{path}/{host['uuid']}").status == 404


def test_host_by_its_id_belongs_to_the_segment(api, racks):
    (rack, _), (_, other) = racks

    for segment in (rack["uuid"], rack["id"]):
        path = f"/segments/{segment}/hosts/{other['id']}"
        assert api.get(path).status == 404
        assert api.put(path, {"host": {"type": "KVM"}}).status == 404
        assert api.delete(path).status == 404


def test_segment_by_its_id_is_under_recovery(api, racks):
    (rack, host), _ = racks
    api.notify()

    path = f"/segments/{rack['id']}"
    refusals = [
        api.put(path, {"segment": {"description": "d"}}),
        api.delete(path),
        api.put(f"{path}/hosts/{host['id']}", {"host": {"type": "KVM"}}),
        api.delete(f"{path}/hosts/{host['id']}"),
    ]

    assert [refused.status for refused in refusals] == [409] * 4
    assert {refused.headers["X-Masakari-Reason"] for refused in refusals} == {"under-recovery"}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_notification_by_its_id(api, racks, version):
    made = api.notify().json["notification"]

    by_id = api.get(f"/notifications/{made['id']}", version=version)

    by_uuid = api.get(f"/notifications/{made['notification_uuid']}", version=version)
    assert by_id.json == by_uuid.json


def test_move_by_its_id(api, moves):
    (first, move), (second, _) = moves

    for notification in (first["notification_uuid"], first["id"]):
        assert api.get(f"/notifications/{notification}/vmoves/{move['id']}").json["vmove"] == move
        assert api.get(f"/notifications/{notification}/vmoves").json == {"vmoves": [move]}
    for notification in (second["notification_uuid"], second["id"]):
        assert api.get(f"/notifications/{notification}/vmoves/{move['id']}").status == 404


@pytest.mark.parametrize(
    "name", ["0", "999", "-1", "1.0", "+1", "1e0", "%D9%A3", "9" * 19, "0" * 32, "1 "]
)
def test_other_numbers_are_nobodys(api, racks, moves, name):
    for path in (
        f"/segments/{name}",
        f"/segments/{name}/hosts",
        f"/segments/{racks[0][0]['id']}/hosts/{name}",
        f"/notifications/{name}",
        f"/notifications/{name}/vmoves",
        f"/notifications/{moves[0][0]['id']}/vmoves/{name}",
    ):
        answer = api.get(path)
        assert (answer.status, answer.error[0]) == (404, "itemNotFound"), path
