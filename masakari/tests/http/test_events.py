"""Which requests are announced, and how."""

import pytest

from masakari.db import session
from masakari.tests.heard import Heard
from masakari.tests.http.client import host_stopped


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def api(conf, make_client, heard):
    conf.set_override("auth_strategy", "noauth2")
    return make_client({"events": heard})


@pytest.fixture
def segment(api, heard):
    made = api.segment()
    heard.take()
    return made


@pytest.fixture
def host(api, segment, heard):
    made = api.host(segment)
    heard.take()
    return made


@pytest.fixture
def under_recovery(api, host, heard):
    assert api.notify().status == 202
    heard.take()


def data(event):
    return event.payload["masakari_object.data"]


def both(action, last="end"):
    return [f"{action}.start", f"{action}.{last}"]


def path(segment, host=None):
    return f"/segments/{segment['uuid']}" + (f"/hosts/{host['uuid']}" if host else "")


# ---- what succeeds


def test_segment_created(api, heard):
    made = api.segment(description="by the door")

    types, (start, end) = heard.take()
    assert types == both("segment.create")
    assert data(end) == {
        "id": made["id"],
        "uuid": made["uuid"],
        "name": "rack1",
        "service_type": "COMPUTE",
        "description": "by the door",
        "recovery_method": "auto",
        "enabled": True,
        "fault": None,
    }
    assert data(start) == {k: v for k, v in data(end).items() if k not in ("id", "uuid")}


def test_segment_updated_start_has_the_new_values(api, segment, heard):
    api.put(path(segment), {"segment": {"name": "rack2"}})

    types, (start, end) = heard.take()
    assert types == both("segment.update")
    assert data(start)["name"] == data(end)["name"] == "rack2"
    assert data(start)["uuid"] == data(end)["uuid"] == segment["uuid"]


def test_segment_deleted(api, segment, heard):
    assert api.delete(path(segment)).status == 204

    types, (start, end) = heard.take()
    assert types == both("segment.delete")
    assert data(start) == data(end)
    assert data(end)["uuid"] == segment["uuid"]


def test_host_created(api, segment, heard):
    made = api.host(segment)

    types, (start, end) = heard.take()
    assert types == both("host.create")
    inner = data(end)["failover_segment"]
    assert inner["masakari_object.name"] == "FailoverSegment"
    assert data(end)["uuid"] == made["uuid"]
    assert {k: v for k, v in data(end).items() if k not in ("id", "uuid")} == data(start)


def test_host_updated_and_deleted(api, segment, host, heard):
    api.put(path(segment, host), {"host": {"reserved": "True"}})
    api.delete(path(segment, host))

    types, (start, *_, end) = heard.take()
    assert types == [*both("host.update"), *both("host.delete")]
    assert data(start)["reserved"] is data(end)["reserved"] is True


def test_notification_created(api, host, heard):
    made = api.notify().json["notification"]

    types, (start, end) = heard.take()
    assert types == both("notification.create")
    assert data(end) == {
        "id": made["id"],
        "notification_uuid": made["notification_uuid"],
        "generated_time": "2026-01-01T00:00:00Z",
        "source_host_uuid": host["uuid"],
        "type": "COMPUTE_HOST",
        "payload": host_stopped()["payload"],
        "status": "new",
        "fault": None,
    }
    assert set(data(end)) - set(data(start)) == {"id", "notification_uuid"}


def test_both_events_are_one_group_with_who_asked(api, heard):
    answer = api.post(
        "/segments", {"segment": {"name": "a", "recovery_method": "auto", "service_type": "c"}}
    )

    ((start, end),) = heard.groups
    for event in (start, end):
        assert event.publisher == "masakari-api"
        assert event.context["request_id"] == answer.headers["X-Openstack-Request-Id"]
        assert event.context["user"] == "admin"
        assert not event.context["auth_token"]


def test_looking_is_not_announced(api, segment, host, heard):
    for where in ("/segments", path(segment), path(segment) + "/hosts", path(segment, host)):
        assert api.get(where).status == 200

    assert heard.groups == []


# ---- what does not


def test_segment_of_a_name_in_use(api, segment, heard):
    again = {"name": "rack1", "recovery_method": "auto", "service_type": "COMPUTE"}
    assert api.post("/segments", {"segment": again}).status == 409

    types, (start, error) = heard.take()
    assert types == both("segment.create", "error")
    assert error.priority == "ERROR"
    fault = data(error)["fault"]["masakari_object.data"]
    assert fault["exception"] == "SegmentExists"
    assert {k: v for k, v in data(start).items() if k != "fault"} == {
        k: v for k, v in data(error).items() if k != "fault"
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("kind", ["segment", "host"])
def test_change_during_a_recovery(api, segment, host, under_recovery, heard, *, kind, method):
    body = {"segment": {"name": "b"}} if kind == "segment" else {"host": {"type": "b"}}
    where = path(segment, host if kind == "host" else None)
    assert api.send(method, where, body if method == "PUT" else None).status == 409

    types, (_, error) = heard.take()
    assert types == both(f"{kind}.{'update' if method == 'PUT' else 'delete'}", "error")
    assert data(error)["uuid"] == (host if kind == "host" else segment)["uuid"]


def test_database_away_is_an_error_of_the_notification(api, host, heard, monkeypatch):
    monkeypatch.setattr(session.Database, "writing", None)  # calling it raises TypeError

    assert api.notify().status == 500

    types, (_, error) = heard.take()
    assert types == both("notification.create", "error")
    assert data(error)["source_host_uuid"] is None
    assert data(error)["fault"]["masakari_object.data"]["exception"] == "TypeError"


UNKNOWN = {"uuid": "00000000-0000-0000-0000-000000000000"}


@pytest.mark.parametrize(
    ("method", "where", "body", "status"),
    [
        ("POST", "/segments", {"segment": {"name": "no method"}}, 400),
        ("PUT", path(UNKNOWN), {"segment": {"name": "x"}}, 404),
        ("DELETE", path(UNKNOWN), None, 404),
        (
            "POST",
            path(UNKNOWN) + "/hosts",
            {"host": {"name": "compute1", "type": "a", "control_attributes": "b"}},
            404,
        ),
        ("PUT", path(UNKNOWN, UNKNOWN), {"host": {"reserved": True}}, 404),
        ("DELETE", path(UNKNOWN, UNKNOWN), None, 404),
        ("POST", "/notifications", {"notification": host_stopped(hostname="nobody")}, 400),
    ],
)
def test_refused_before_it_was_tried_says_nothing(api, heard, *, method, where, body, status):
    assert api.send(method, where, body).status == status

    assert heard.groups == []


def test_host_that_nova_does_not_know_says_nothing(api, segment, heard):
    body = {"name": "nobody", "type": "COMPUTE", "control_attributes": "SSH"}
    assert api.post(path(segment) + "/hosts", {"host": body}).status == 400

    assert heard.groups == []


def test_duplicate_report_says_nothing(api, host, under_recovery, heard):
    assert api.notify().status == 409

    assert heard.groups == []


def test_report_of_a_host_on_maintenance_says_nothing(api, segment, host, heard):
    api.put(path(segment, host), {"host": {"on_maintenance": True}})
    heard.take()

    assert api.notify().status == 409

    assert heard.groups == []
