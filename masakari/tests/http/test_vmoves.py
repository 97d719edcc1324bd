"""VM moves: what an engine wrote can be seen."""

import pytest

from masakari import db
from masakari.db.vmoves import NewMove

UNKNOWN = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def notification(api):
    api.host(api.segment())
    return api.notify().json["notification"]["notification_uuid"]


@pytest.fixture
def moves(database, notification):
    """vm1 arrived, vm2 failed, vm3 waits."""
    wanted = [
        NewMove(
            instance_uuid=f"00000000-0000-4000-8000-00000000000{number}",
            instance_name=f"vm{number}",
            source_host="compute1",
            rank=number,
            vm_state="active",
            task_state=None,
            power_state=1,
        )
        for number in (1, 2, 3)
    ]
    rows = db.vmoves.prepare(database, notification, 1, 1, wanted)
    for row, status, dest in ((rows[0], "succeeded", "compute2"), (rows[1], "failed", None)):
        db.vmoves.start(database, row.uuid, lock=False)
        db.vmoves.finish(
            database, row.uuid, status=status, dest_host=dest, message="done", locked=False
        )
    return [row.uuid for row in rows]


def test_show_returns_every_field(api, notification, moves):
    shown = api.get(f"/notifications/{notification}/vmoves/{moves[0]}", version="1.3")

    assert shown.status == 200
    move = shown.json["vmove"]
    assert isinstance(move.pop("id"), int)
    assert move == {
        "uuid": moves[0],
        "notification_uuid": notification,
        "instance_uuid": UNKNOWN,
        "instance_name": "vm1",
        "source_host": "compute1",
        "dest_host": "compute2",
        "start_time": move["start_time"],
        "end_time": move["end_time"],
        "type": "evacuation",
        "status": "succeeded",
        "message": "done",
        "created_at": "2026-01-01T00:00:00.000000",
        "updated_at": "2026-01-01T00:00:00.000000",
        "deleted_at": None,
        "deleted": False,
    }
    assert move["start_time"].startswith("2026-01-01T00:00:00.")
    assert move["end_time"].startswith("2026-01-01T00:00:00.")


@pytest.mark.parametrize("version", [None, "1.0", "1.3"])
def test_moves_are_there_at_every_version(api, notification, moves, version):
    listed = api.get(f"/notifications/{notification}/vmoves", version=version)

    assert (listed.status, len(listed.json["vmoves"])) == (200, 3)


def names(answer):
    assert answer.status == 200, answer
    return "".join(m["instance_name"][-1] for m in answer.json["vmoves"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "321"),
        ("?status=failed", "2"),
        ("?status=nope", ""),
        ("?type=evacuation", "321"),
        ("?type=migration", ""),
        ("?sort_key=instance_name&sort_dir=asc", "123"),
        ("?sort_key=instance_name&sort_dir=asc&limit=2", "12"),
        ("?limit=0", ""),
    ],
)
def test_list(api, notification, moves, query, expected):
    assert names(api.get(f"/notifications/{notification}/vmoves{query}")) == expected


@pytest.mark.parametrize("key", ["id", "uuid"])
def test_pages_follow_the_marker(api, notification, moves, key):
    path = f"/notifications/{notification}/vmoves?sort_key=instance_name&sort_dir=asc"
    first = api.get(path + "&limit=1").json["vmoves"][0]

    assert names(api.get(f"{path}&marker={first[key]}")) == "23"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("marker=abc", "abc"),
        ("sort_key=nope", "sort_key"),
        ("sort_dir=x", "sort_dir"),
        ("limit=-1", "limit"),
    ],
)
def test_list_with_invalid_parameter_names_it(api, notification, moves, query, named):
    refused = api.get(f"/notifications/{notification}/vmoves?{query}")

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert named in refused.error[1]


@pytest.mark.parametrize("uuid", [UNKNOWN, "abc", "999"])
def test_unknown_move_is_not_found(api, notification, moves, uuid):
    answer = api.get(f"/notifications/{notification}/vmoves/{uuid}")

    assert (answer.status, answer.error[0]) == (404, "itemNotFound")


@pytest.mark.parametrize("uuid", [UNKNOWN, "abc"])
def test_unknown_notification_is_not_found(api, notification, moves, uuid):
    for path in (f"/notifications/{uuid}/vmoves", f"/notifications/{uuid}/vmoves/{moves[0]}"):
        answer = api.get(path)
        assert (answer.status, answer.error[0]) == (404, "itemNotFound")


def test_move_of_another_notification_is_not_found(api, notification, moves):
    payload = {"event": "STARTED", "host_status": "NORMAL", "cluster_status": "ONLINE"}
    other = api.notify(payload=payload).json["notification"]["notification_uuid"]

    assert api.get(f"/notifications/{other}/vmoves/{moves[0]}").status == 404
    assert api.get(f"/notifications/{other}/vmoves").json == {"vmoves": []}


def test_notification_of_another_type_has_no_moves(api, notification, moves):
    process = {"process_name": "nova-compute", "event": "STOPPED"}
    answer = api.notify(type="PROCESS", payload=process)
    other = answer.json["notification"]["notification_uuid"]

    for path in (f"/notifications/{other}/vmoves", f"/notifications/{other}/vmoves/{moves[0]}"):
        refused = api.get(path)
        assert (refused.status, refused.error[0]) == (400, "badRequest")
