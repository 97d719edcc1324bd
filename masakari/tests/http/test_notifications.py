"""Notifications: report, see, conflict; and their progress."""

import pytest

from masakari import db
from masakari.tests.http.client import host_stopped

UNKNOWN = "00000000-0000-4000-8000-000000000001"
STARTED = {"event": "STARTED", "host_status": "NORMAL", "cluster_status": "ONLINE"}
PROCESS = {"process_name": "nova-compute", "event": "STOPPED"}
VM = {"instance_uuid": UNKNOWN, "event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}


@pytest.fixture
def host(api):
    return api.host(api.segment())


def test_report_returns_every_field_and_is_announced(api, host, engines):
    answer = api.notify()

    assert answer.status == 202
    reported = answer.json["notification"]
    assert isinstance(reported.pop("id"), int)
    uuid = reported.pop("notification_uuid")
    assert len(uuid) == 36
    assert reported == {
        "generated_time": "2026-01-01T00:00:00.123456",
        "source_host_uuid": host["uuid"],
        "type": "COMPUTE_HOST",
        "payload": host_stopped()["payload"],
        "status": "new",
        "failover_segment_uuid": host["failover_segment_id"],
        "message": None,
        "created_at": "2026-01-01T00:00:00.000000",
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
    }
    assert engines.announced == [uuid]
    shown = api.get(f"/notifications/{uuid}").json
    assert shown == {"notification": answer.json["notification"]}
    assert api.get("/notifications").json == {"notifications": [answer.json["notification"]]}


@pytest.mark.parametrize("version", ["1.0", "1.3"])
def test_create_and_list_have_no_progress(api, host, version):
    created = api.post("/notifications", {"notification": host_stopped()}, version=version)

    assert "recovery_workflow_details" not in created.json["notification"]
    listed = api.get("/notifications", version=version)
    assert "recovery_workflow_details" not in listed.json["notifications"][0]


@pytest.mark.parametrize(
    ("version", "there"), [(None, False), ("1.0", False), ("1.1", True), ("latest", True)]
)
def test_show_has_progress_from_1_1_on(api, host, version, there):
    uuid = api.notify().json["notification"]["notification_uuid"]

    shown = api.get(f"/notifications/{uuid}", version=version).json["notification"]

    assert shown.get("recovery_workflow_details") == ([] if there else None)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2017-04-21 17:29:55", "2017-04-21T17:29:55.000000"),
        ("2026-11-21T03:05:55.123456", "2026-11-21T03:05:55.123456"),
        ("2026-11-21T03:05:55Z", "2026-11-21T03:05:55.000000"),
        ("2026-11-21T03:05:55+01:30", "2026-11-21T01:35:55.000000"),
        ("2026-11-21T03:05:55+01:75", "2026-11-21T00:50:55.000000"),
        ("2026-11-21", "2026-11-21T00:00:00.000000"),
        ("0001-01-01", "0001-01-01T00:00:00.000000"),
        ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"),
    ],
)
def test_generated_time_is_stored_as_utc(api, host, given, stored):
    answer = api.notify(generated_time=given)

    assert answer.json["notification"]["generated_time"] == stored
    assert api.notify(generated_time=given).headers["X-Masakari-Reason"] == "duplicate"


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("COMPUTE_HOST", {"event": "STOPPED"}),
        ("COMPUTE_HOST", STARTED),
        ("COMPUTE_HOST", {"event": "STOPPED", "host_status": "UNKNOWN"}),
        ("PROCESS", PROCESS),
        ("PROCESS", PROCESS | {"process_name": "p" * 255}),
        ("VM", VM),
        ("VM", VM | {"event": "anything", "vir_domain_event": "größe \U0001f600"}),
        ("VM", VM | {"instance_uuid": UNKNOWN.replace("-", "").upper()}),
    ],
    ids=repr,
)
def test_payloads_come_back_as_they_were(api, host, kind, payload):
    answer = api.notify(type=kind, payload=payload)

    assert answer.status == 202, answer
    uuid = answer.json["notification"]["notification_uuid"]
    assert api.get(f"/notifications/{uuid}").json["notification"]["payload"] == payload


@pytest.mark.parametrize(
    ("proof", "version", "status"),
    [
        ("fenced", "1.4", 202),
        ("power-off", "1.4", 202),
        ("hearsay", "1.4", 400),
        ("fenced", "1.3", 400),
    ],
)
def test_proof_of_a_dead_host_comes_back_from_1_4_on(api, host, proof, version, status):
    said = host_stopped(payload={"event": "STOPPED", "proof": proof})
    answer = api.post("/notifications", {"notification": said}, version=version)

    assert answer.status == status
    if status == 202:
        assert answer.json["notification"]["payload"]["proof"] == proof
    else:
        assert "payload.proof" in answer.error[1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "HOST"}, "type"),
        ({"type": None}, "type"),
        ({"hostname": ""}, "hostname"),
        ({"hostname": "a b"}, "hostname"),
        ({"hostname": "compute1\n"}, "hostname"),
        ({"hostname": "h" * 256}, "hostname"),
        ({"hostname": 1}, "hostname"),
        ({"generated_time": "yesterday"}, "generated_time"),
        ({"generated_time": ""}, "generated_time"),
        ({"generated_time": 1}, "generated_time"),
        ({"generated_time": "0001-01-01T00:00:00+14:00"}, "generated_time"),
        ({"generated_time": "2026-02-30T00:00:00"}, "generated_time"),
        ({"payload": []}, "payload"),
        ({"payload": None}, "payload"),
        ({"payload": {}}, "payload.event"),
        ({"payload": {"event": 1}}, "payload.event"),
        ({"payload": {"event": "stopped"}}, "payload.event"),
        ({"payload": {"event": "STOPPED", "host_status": "OK"}}, "payload.host_status"),
        ({"payload": {"event": "STOPPED", "cluster_status": "BAD"}}, "payload.cluster_status"),
        ({"payload": {"event": "STOPPED", "more": "x"}}, "payload.more"),
        ({"payload": {"event": "STOPPED", "ä": "x"}}, "payload"),
        ({"payload": {"host_status": "NORMAL"}}, "payload.event"),
        ({"type": "VM"}, "payload.cluster_status"),
        ({"type": "VM", "payload": {**VM, "event": ""}}, "payload.event"),
        ({"type": "VM", "payload": {**VM, "event": "e" * 256}}, "payload.event"),
        ({"type": "VM", "payload": {**VM, "event": "\ud800"}}, "payload.event"),
        ({"type": "VM", "payload": {**VM, "instance_uuid": "abc"}}, "payload.instance_uuid"),
        ({"type": "VM", "payload": {**VM, "x": "y"}}, "payload.x"),
        ({"type": "PROCESS", "payload": {**PROCESS, "event": "DIED"}}, "payload.event"),
        ({"type": "PROCESS", "payload": {**PROCESS, "process_name": ""}}, "payload.process_name"),
        ({"type": "PROCESS", "payload": {**PROCESS, "x": "y"}}, "payload.x"),
        (
            {"type": "PROCESS", "payload": {**PROCESS, "process_name": "p" * 256}},
            "payload.process_name",
        ),
        ({"foo": 1}, "foo"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_invalid_field_is_named(api, host, engines, changes, field):
    refused = api.notify(**changes)

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert f"field notification.{field}: " in refused.error[1]
    assert "X-Masakari-Reason" not in refused.headers
    assert engines.announced == []


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(PROCESS, name) for name in PROCESS] + [(VM, name) for name in VM],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_payload_without_required_field_names_it(api, host, kind, missing):
    payload = {name: value for name, value in kind.items() if name != missing}

    refused = api.notify(type="PROCESS" if kind is PROCESS else "VM", payload=payload)

    assert refused.error[1] == (
        f"Invalid input for field notification.payload.{missing}: is required"
    )


@pytest.mark.parametrize("missing", list(host_stopped()))
def test_required_field_that_is_missing_is_named(api, host, missing):
    body = host_stopped()
    del body[missing]

    refused = api.post("/notifications", {"notification": body})

    assert refused.error[1] == f"Invalid input for field notification.{missing}: is required"


def test_unknown_host_is_refused(api, host, engines):
    refused = api.notify(hostname="compute7")

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert refused.headers["X-Masakari-Reason"] == "unknown-host"
    assert "compute7" in refused.error[1]
    assert engines.announced == []


def test_host_of_deleted_segment_is_unknown(api, host):
    api.delete(f"/segments/{host['failover_segment_id']}")

    assert api.notify().headers["X-Masakari-Reason"] == "unknown-host"


@pytest.mark.parametrize(
    "changes",
    [{}, {"payload": STARTED}, {"type": "PROCESS", "payload": PROCESS}],
    ids=["stopped", "started", "process"],
)
def test_host_on_maintenance_by_hand_refuses_everything(api, host, engines, changes):
    path = f"/segments/{host['failover_segment_id']}/hosts/{host['uuid']}"
    api.put(path, {"host": {"on_maintenance": True}})

    refused = api.notify(**changes)

    assert (refused.status, refused.error[0]) == (409, "conflictingRequest")
    assert refused.headers["X-Masakari-Reason"] == "maintenance"
    assert engines.announced == []


def test_host_that_recovery_put_on_maintenance_may_start(api, host, database):
    uuid = api.notify().json["notification"]["notification_uuid"]
    db.hosts.begin_maintenance(database, host["uuid"], by=uuid)

    assert api.notify(payload=STARTED).status == 202
    again = api.notify(generated_time="2026-01-01T01:00:00")
    assert again.headers["X-Masakari-Reason"] == "maintenance"


def test_host_of_a_failed_process_is_heard_and_its_vms_are_not(api, host, database):
    failed = api.notify(type="PROCESS", payload=PROCESS).json["notification"]
    db.hosts.begin_maintenance(database, host["uuid"], by=failed["notification_uuid"])

    vm = {"instance_uuid": host["uuid"], "event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}
    refused = api.notify(type="VM", payload=vm)
    assert (refused.status, refused.headers["X-Masakari-Reason"]) == (409, "maintenance")
    for changes in (
        {},
        {"payload": STARTED},
        {"type": "PROCESS", "payload": {**PROCESS, "process_name": "libvirtd"}},
        {"type": "PROCESS", "payload": {**PROCESS, "event": "STARTED"}},
    ):
        assert api.notify(**changes).status == 202


def test_notification_keeps_the_id_of_its_request_to_itself(api, host, database):
    answer = api.notify()

    uuid = answer.json["notification"]["notification_uuid"]
    asked_by = db.notifications.get(database, uuid).request_id
    assert asked_by == answer.headers["x-openstack-request-id"]
    assert asked_by.startswith("req-")
    assert asked_by not in api.get(f"/notifications/{uuid}").text


def test_equal_notification_is_a_duplicate(api, host, engines):
    first = api.notify().json["notification"]["notification_uuid"]

    refused = api.notify(generated_time="2026-01-01T00:02:59")

    assert (refused.status, refused.error[0]) == (409, "conflictingRequest")
    assert refused.headers["X-Masakari-Reason"] == "duplicate"
    assert engines.announced == [first]


@pytest.mark.parametrize(
    "failure", [{"type": "VM", "payload": VM}, {"type": "PROCESS", "payload": PROCESS}]
)
def test_what_fails_again_after_it_was_answered_is_no_duplicate(
    api, host, database, engines, failure
):
    first = api.notify(**failure).json["notification"]["notification_uuid"]
    db.leases.claim(database, first, owner="engine-a", lease_s=60)
    again = {**failure, "generated_time": "2026-01-01T00:00:01"}
    assert api.notify(**again).headers["X-Masakari-Reason"] == "duplicate"

    db.leases.settle(database, first, owner="engine-a", status="finished", message="m")

    second = api.notify(**again)
    assert second.status == 202
    assert engines.announced == [first, second.json["notification"]["notification_uuid"]]
    for at in ("2026-01-01T00:00:00.123456", "2026-01-01T00:00:01"):
        late = api.notify(**again | {"generated_time": at})
        assert (late.status, late.headers["X-Masakari-Reason"]) == (409, "duplicate")


@pytest.mark.parametrize(
    "changes",
    [
        {"generated_time": "2026-01-01T00:03:01"},
        {"payload": STARTED},
        {"type": "PROCESS", "payload": PROCESS},
        {"hostname": "compute2"},
    ],
    ids=["later", "other payload", "other type", "other host"],
)
def test_different_notification_is_no_duplicate(api, host, changes):
    api.host(api.segment("rack2"), "compute2")
    api.notify()

    assert api.notify(**changes).status == 202


def test_duplicate_window_is_an_option(api, host, conf):
    conf.set_override("duplicate_notification_detection_interval", 10)
    api.notify()

    assert api.notify(generated_time="2026-01-01T00:00:11").status == 202


def seen_by(api, uuid, version="1.4"):
    shown = api.get(f"/notifications/{uuid}", version=version).json["notification"]
    return shown.get("witnesses")


def test_monitors_that_see_one_death_in_other_words_are_its_witnesses(api, host, engines):
    first = api.notify(headers={"X-Masakari-Monitor": "a on ctl1"})
    uuid = first.json["notification"]["notification_uuid"]

    refused = api.notify(
        payload={"event": "STOPPED", "host_status": "NORMAL"},
        generated_time="2026-01-01T00:00:07",
        headers={"X-Masakari-Monitor": "b on ctl2"},
    )

    assert (refused.status, refused.headers["X-Masakari-Reason"]) == (409, "duplicate")
    assert engines.announced == [uuid]
    one, other = seen_by(api, uuid)
    assert one["reported_by"].startswith("a on ctl1 (user ")
    assert one["payload"] == first.json["notification"]["payload"]
    assert other.pop("created_at") is not None
    assert other.pop("reported_by").startswith("b on ctl2 (user ")
    assert other == {
        "generated_time": "2026-01-01T00:00:07.000000",
        "payload": {"event": "STOPPED", "host_status": "NORMAL"},
    }
    assert seen_by(api, uuid, "1.3") is None


@pytest.mark.parametrize("name", ["", " ", "größe", "a\tb", "x" * 129])
def test_monitor_without_a_proper_name_is_known_by_its_user_and_address(api, host, name):
    answer = api.notify(headers={"X-Masakari-Monitor": name.encode().decode("latin-1")})

    (one,) = seen_by(api, answer.json["notification"]["notification_uuid"])
    assert one["reported_by"].startswith("user ")
    assert " from " in one["reported_by"]


def test_monitor_behind_many_proxies_is_known_by_what_fits(api, host):
    headers = {"X-Masakari-Monitor": "m" * 128}
    api.environ["REMOTE_ADDR"] = ", ".join(["2001:db8::1"] * 40)

    answer = api.notify(headers=headers)

    assert answer.status == 202
    (one,) = seen_by(api, answer.json["notification"]["notification_uuid"])
    assert len(one["reported_by"]) == 255


def hung(**changes):
    return {**VM, "event": "QEMU_GUEST_AGENT_ERROR", **changes}


@pytest.mark.parametrize(
    ("kind", "payloads", "is_one"),
    [
        ("VM", (VM, hung()), True),
        ("VM", (VM, hung(instance_uuid=UNKNOWN.replace("1", "2"))), False),
        ("VM", (VM | {"vir_domain_event": "STOPPED_SHUTDOWN"}, hung()), False),
        (
            "COMPUTE_HOST",
            (host_stopped()["payload"], {"event": "STOPPED", "host_status": "UNKNOWN"}),
            False,
        ),
        ("PROCESS", (PROCESS, PROCESS | {"process_name": "libvirtd"}), False),
    ],
    ids=["VM", "other VM", "event of no failure", "nobody vouches", "other process"],
)
@pytest.mark.usefixtures("host")
def test_what_is_one_failure(api, kind, payloads, is_one):
    first, second = payloads
    assert api.notify(type=kind, payload=first).status == 202
    again = {"type": kind, "payload": second, "generated_time": "2026-01-01T00:00:07"}

    assert api.notify(**again).status == (409 if is_one else 202)


@pytest.mark.usefixtures("host")
def test_only_equal_payloads_are_one_failure_without_a_window(api, conf):
    conf.set_override("notification_correlation_interval", 0)
    api.notify(type="VM", payload=VM)

    assert api.notify(type="VM", payload=hung()).status == 202


@pytest.mark.parametrize("uuid", ["abc", "999", UNKNOWN])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_unknown_id_is_not_found(api, host, uuid, version):
    api.notify()

    answer = api.get(f"/notifications/{uuid}", version=version)

    assert (answer.status, answer.error[0]) == (404, "itemNotFound")


@pytest.fixture
def three(api, host):
    api.host(api.segment("rack2"), "compute2")
    api.notify(generated_time="2026-01-01T00:00:00")
    api.notify(generated_time="2026-01-01T01:00:00", type="PROCESS", payload=PROCESS)
    api.notify(generated_time="2026-01-01T02:00:00", type="VM", payload=VM, hostname="compute2")
    return api


def types(answer):
    assert answer.status == 200, answer
    return "".join(n["type"][0] for n in answer.json["notifications"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "VPC"),
        ("?type=VM", "V"),
        ("?type=nope", ""),
        ("?status=new", "VPC"),
        ("?status=error", ""),
        ("?status=nope", ""),
        ("?source_host_uuid=abc", ""),
        ("?generated-since=2026-01-01T01:00:00", "VP"),
        ("?generated-since=2026-01-01T03:00:00%2B01:00", "V"),
        ("?generated-since=2026-01-01%2001:00:00&type=PROCESS", "P"),
        ("?generated-since=2100-01-01T00:00:00", ""),
        ("?generated_since=2100-01-01T00:00:00", "VPC"),
        ("?sort_key=generated_time&sort_dir=asc", "CPV"),
        ("?sort_key=type&sort_dir=asc&limit=2", "CP"),
        ("?limit=0", ""),
    ],
)
def test_list(three, query, expected):
    assert types(three.get("/notifications" + query)) == expected


def test_list_of_one_host(three, host):
    assert types(three.get(f"/notifications?source_host_uuid={host['uuid']}")) == "PC"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("generated-since=tomorrow", "generated-since"),
        ("generated-since=", "generated-since"),
        ("generated-since=2026-01-01T01:00:00+01:00", "generated-since"),
        ("marker=abc", "abc"),
        ("limit=x", "limit"),
        ("sort_key=hostname", "sort_key"),
        ("sort_key=id&sort_dir=x", "sort_dir"),
    ],
)
def test_list_with_invalid_parameter_names_it(three, query, named):
    refused = three.get(f"/notifications?{query}")

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert named in refused.error[1]


@pytest.mark.parametrize("key", ["id", "notification_uuid"])
def test_pages_follow_the_marker(three, key):
    first = three.get("/notifications?limit=2&sort_key=id&sort_dir=asc").json["notifications"]

    rest = three.get(f"/notifications?sort_key=id&sort_dir=asc&marker={first[-1][key]}")

    assert types(rest) == "V"
