"""The operator's hand: segments that are only observed, recoveries cancelled and retried."""

import pytest

from masakari import db
from masakari.tests.heard import Heard

VM = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def api(conf, make_client, heard):
    conf.set_override("auth_strategy", "noauth2")
    return make_client({"events": heard})


@pytest.fixture
def host(api):
    return api.host(api.segment())


@pytest.fixture
def uuid(api, host, heard, engines):
    """Of a new notification."""
    made = api.notify().json["notification"]["notification_uuid"]
    heard.take()
    engines.announced.clear()
    return made


@pytest.fixture
def settle(database):
    """An engine takes the notification and ends it."""

    def settle(uuid, status, message="m"):
        db.leases.claim(database, uuid, owner="engine-a", lease_s=60)
        if status != "running":
            db.leases.settle(database, uuid, owner="engine-a", status=status, message=message)

    return settle


def act(api, uuid, what, version="1.4"):
    return api.post(f"/notifications/{uuid}/action", {what: None}, version=version)


# ---- observe-only


@pytest.mark.parametrize(("version", "shown"), [(None, None), ("1.3", None), ("1.4", False)])
def test_segments_tell_from_1_4_on_whether_they_are_only_observed(api, host, version, shown):
    path = f"/segments/{host['failover_segment_id']}"

    one = api.get(path, version=version).json["segment"]
    (listed,) = api.get("/segments", version=version).json["segments"]
    within = api.get(f"{path}/hosts/{host['uuid']}", version=version).json["host"]
    (of_list,) = api.get(f"{path}/hosts", version=version).json["hosts"]

    for segment in (one, listed, within["failover_segment"], of_list["failover_segment"]):
        assert segment.get("observe_only") is shown
        assert ("observe_only" in segment) == (shown is not None)


@pytest.mark.parametrize(("given", "stored"), [(True, True), ("yes", True), ("off", False)])
def test_observe_only_is_set_with_the_segment_or_later(api, given, stored):
    body = {"name": "a", "recovery_method": "auto", "service_type": "COMPUTE"}
    created = api.post("/segments", {"segment": body | {"observe_only": given}}, version="1.4")
    assert created.json["segment"]["observe_only"] is stored

    path = f"/segments/{created.json['segment']['uuid']}"
    changed = api.put(path, {"segment": {"observe_only": not stored}}, version="1.4")

    assert changed.json["segment"]["observe_only"] is not stored
    assert api.get(path, version="1.4").json == changed.json


@pytest.mark.parametrize("given", [None, 1, "maybe", []])
def test_observe_only_is_a_boolean(api, given):
    path = f"/segments/{api.segment()['uuid']}"

    refused = api.put(path, {"segment": {"observe_only": given}}, version="1.4")

    assert refused.status == 400
    assert "field segment.observe_only: " in refused.error[1]


def test_older_versions_do_not_accept_observe_only_and_name_the_one_that_does(api):
    path = f"/segments/{api.segment()['uuid']}"

    refused = api.put(path, {"segment": {"observe_only": True}}, version="1.3")

    assert refused.status == 400
    assert "observe_only: is not a known property" in refused.error[1]
    assert "it is from version 1.4 on" in refused.error[1]


def test_filter_counts_from_1_4_on(api):
    api.segment("rack1")
    body = {"name": "rack2", "recovery_method": "auto", "service_type": "COMPUTE"}
    api.post("/segments", {"segment": body | {"observe_only": True}}, version="1.4")

    def names(query, version="1.4"):
        listed = api.get(f"/segments?{query}", version=version).json["segments"]
        return sorted(segment["name"] for segment in listed)

    assert names("observe_only=True") == ["rack2"]
    assert names("observe_only=off") == ["rack1"]
    assert names("observe_only=True", "1.3") == ["rack1", "rack2"]
    assert api.get("/segments?observe_only=perhaps", version="1.4").status == 400
    assert api.get("/segments?observe_only=perhaps", version="1.3").status == 200
    for version in ("1.3", "1.4"):
        assert api.get("/segments?sort_key=observe_only", version=version).status == 400


def test_under_recovery_a_segment_can_only_become_observed(api, host, uuid):
    path = f"/segments/{host['failover_segment_id']}"

    on = api.put(path, {"segment": {"observe_only": True}}, version="1.4")
    off = api.put(path, {"segment": {"observe_only": False}}, version="1.4")

    assert (on.status, off.status) == (200, 409)
    assert off.headers["X-Masakari-Reason"] == "under-recovery"


@pytest.fixture(params=["everywhere", "in the segment"])
def observe(request, api, conf, host):
    """Failures are only observed, or not."""

    def observe(is_on):
        if request.param == "everywhere":
            conf.set_override("observe_only", is_on, "engine")
        else:
            path = f"/segments/{host['failover_segment_id']}"
            answer = api.put(path, {"segment": {"observe_only": is_on}}, version="1.4")
            assert answer.status == 200

    return observe


def test_observed_failure_is_a_duplicate_only_while_it_is_observed(api, uuid, settle, observe):
    observe(True)
    settle(uuid, "ignored", "observe-only: would evacuate nothing.")
    assert api.notify().headers["X-Masakari-Reason"] == "duplicate"

    observe(False)

    assert api.notify().status == 202
    assert api.notify().headers["X-Masakari-Reason"] == "duplicate"


# ---- cancel and retry


def test_cancel_what_is_new_ends_it(api, uuid, heard, engines):
    answer = act(api, uuid, "cancel")

    assert answer.status == 202
    assert answer.headers["OpenStack-API-Version"] == "instance-ha 1.4"
    cancelled = answer.json["notification"]
    assert cancelled["status"] == "failed"
    assert cancelled["message"].startswith("cancelled-by-operator: ")
    assert api.get(f"/notifications/{uuid}").json == answer.json
    types, (start, end) = heard.take()
    assert types == ["notification.update.start", "notification.update.end"]
    said = [event.payload["masakari_object.data"]["status"] for event in (start, end)]
    assert said == ["failed", "failed"]
    assert engines.announced == []


def test_cancel_what_runs_is_honoured_later(api, uuid, settle):
    settle(uuid, "running")

    first, second = act(api, uuid, "cancel"), act(api, uuid, "cancel")

    assert (first.status, second.status) == (202, 202)
    assert first.json == second.json
    assert first.json["notification"]["status"] == "running"
    assert first.json["notification"]["message"].startswith("cancelled-by-operator: ")


@pytest.mark.parametrize("status", ["failed", "ignored"])
def test_retry_makes_it_new_and_announces_it(api, uuid, settle, engines, status):
    settle(uuid, status)

    first, second = act(api, uuid, "retry"), act(api, uuid, "retry")

    assert (first.status, second.status) == (202, 202)
    assert first.json["notification"]["status"] == "new"
    assert engines.announced == [uuid, uuid]


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ("finished", "cancel"),
        ("failed", "cancel"),
        ("ignored", "cancel"),
        ("finished", "retry"),
        ("running", "retry"),
        ("error", "retry"),
    ],
)
def test_status_that_does_not_allow_it_conflicts(api, uuid, settle, status, what):
    settle(uuid, status)

    refused = act(api, uuid, what)

    assert (refused.status, refused.error[0]) == (409, "conflictingRequest")
    assert refused.headers["X-Masakari-Reason"] == "wrong-status"
    assert f"is {status}" in refused.error[1]


@pytest.mark.parametrize("what", ["cancel", "retry"])
def test_unknown_notification_is_not_found(api, what):
    assert act(api, VM, what).status == 404


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "body: is empty"),
        ({"cancel": None, "retry": None}, "body: has more properties than 1"),
        ({"stop": None}, "stop: is not a known property"),
        ({"cancel": {}}, "cancel: is object, must be null"),
        ({"retry": "now"}, "retry: is string, must be null"),
        ([], "body: is array, must be object"),
        (None, "has no body"),
    ],
)
def test_body_names_one_action(api, uuid, body, problem):
    refused = api.post(f"/notifications/{uuid}/action", body, version="1.4")

    assert refused.status == 400
    assert problem in refused.error[1]


@pytest.mark.parametrize("version", [None, "1.0", "1.3"])
def test_older_versions_have_no_actions(api, uuid, version):
    refused = act(api, uuid, "cancel", version)

    assert (refused.status, refused.headers["Allow"]) == (405, "")
    assert api.get(f"/notifications/{uuid}").json["notification"]["status"] == "new"


@pytest.fixture
def as_reader(secured, make_client, keystone, tmp_path):
    """Makes a client of a reader, where the policy file says so."""

    def make(rules):
        policy = tmp_path / "policy.yaml"
        policy.write_text(rules)
        secured.set_override("policy_file", str(policy), "oslo_policy")
        secured.set_override("auth_strategy", "keystone")
        secured.set_override("auth_url", keystone.auth_url, "keystone_authtoken")
        return make_client(headers={"X-Auth-Token": "reader-token"})

    return make


@pytest.mark.parametrize(
    ("allowed", "statuses"), [("cancel", (202, 403)), ("retry", (403, 409)), (None, (403, 403))]
)
def test_each_action_has_a_rule(uuid, as_reader, allowed, statuses):
    reader = as_reader(f'"os_masakari_api:notifications:{allowed}": "role:reader"')

    retried = act(reader, uuid, "retry")
    cancelled = act(reader, uuid, "cancel")
    unreadable = reader.post(f"/notifications/{uuid}/action", {}, version="1.4")

    assert (cancelled.status, retried.status) == statuses
    assert unreadable.status == (403 if allowed is None else 400)
