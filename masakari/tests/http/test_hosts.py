"""Hosts: create, see, change, conflict, delete; and what Nova says to it."""

import pytest

from masakari.sim.cloud import Fault

UNKNOWN = "00000000-0000-4000-8000-000000000001"


def host(**changes):
    return {"host": {"name": "compute1", "type": "COMPUTE", "control_attributes": "SSH"} | changes}


@pytest.fixture
def rack(api):
    return api.segment()


@pytest.fixture
def hosts(rack):
    """Path of the hosts of a segment."""
    return f"/segments/{rack['uuid']}/hosts"


def test_create_minimal_returns_every_field_and_the_segment(api, rack, hosts):
    answer = api.post(hosts, host())

    assert answer.status == 201
    created = answer.json["host"]
    assert isinstance(created.pop("id"), int)
    assert len(created.pop("uuid")) == 36
    assert created == {
        "name": "compute1",
        "failover_segment_id": rack["uuid"],
        "failover_segment": rack,
        "type": "COMPUTE",
        "reserved": False,
        "control_attributes": "SSH",
        "on_maintenance": False,
        "created_at": "2026-01-01T00:00:00.000000",
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
    }


def test_story(api, rack, hosts):
    created = api.host(rack)
    path = f"{hosts}/{created['uuid']}"
    assert api.get(path).json == {"host": created}

    changes = {"type": "x", "control_attributes": "", "reserved": "True", "on_maintenance": "1"}
    changed = api.put(path, {"host": changes})
    assert changed.status == 200
    assert changed.json["host"] == created | {
        "type": "x",
        "control_attributes": "",
        "reserved": True,
        "on_maintenance": True,
        "updated_at": "2026-01-01T00:00:00.000000",
    }
    assert api.get(hosts).json == {"hosts": [changed.json["host"]]}

    gone = api.delete(path)
    assert (gone.status, gone.text) == (204, "")
    assert api.get(path).status == 404
    assert api.delete(path).status == 404
    assert api.get(hosts).json == {"hosts": []}
    assert api.host(rack)["name"] == "compute1"


def test_name_in_use_conflicts_in_every_segment(api, rack, hosts):
    api.host(rack)
    other = api.segment("rack2")

    for path in (hosts, f"/segments/{other['uuid']}/hosts"):
        refused = api.post(path, host())
        assert (refused.status, refused.error[0]) == (409, "conflictingRequest")
        assert refused.headers["X-Masakari-Reason"] == "name-in-use"
        assert "compute1" in refused.error[1]


def test_rename(api, rack, hosts):
    api.host(rack)
    second = f"{hosts}/{api.host(rack, 'compute2')['uuid']}"

    assert api.put(second, {"host": {"name": "compute1"}}).status == 409
    assert api.put(second, {"host": {"name": "compute3"}}).json["host"]["name"] == "compute3"
    refused = api.put(second, {"host": {"name": "nowhere"}})
    assert refused.status == 400
    assert "nowhere" in refused.error[1]


def test_nova_is_not_asked_about_an_unchanged_name(api, rack, hosts, cloud):
    path = f"{hosts}/{api.host(rack)['uuid']}"
    asked = sum(cloud.calls.values())

    assert api.put(path, {"host": {"name": "compute1", "type": "x"}}).status == 200

    assert sum(cloud.calls.values()) == asked


@pytest.mark.parametrize("name", ["compute99", "Compute1", "compute"])
def test_host_that_nova_does_not_know_is_refused(api, hosts, name):
    refused = api.post(hosts, host(name=name))

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert f"host {name}" in refused.error[1]


@pytest.mark.parametrize(
    ("error", "status", "fault"),
    [
        (403, 403, "forbidden"),
        (503, 503, "serviceUnavailable"),
        (500, 503, "serviceUnavailable"),
        (0, 503, "serviceUnavailable"),
        (404, 503, "serviceUnavailable"),
    ],
)
def test_nova_that_gives_no_answer(api, rack, hosts, cloud, *, error, status, fault):
    cloud.add_fault(Fault("compute_services", error=error))

    refused = api.post(hosts, host())

    assert (refused.status, refused.error[0]) == (status, fault)
    assert ("Retry-After" in refused.headers) is (status == 503)
    assert "Nova" in refused.error[1]
    assert api.get(hosts).json == {"hosts": []}
    assert api.host(rack)["name"] == "compute1"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "host.name"),
        ({"name": 5}, "host.name"),
        ({"name": "n" * 256}, "host.name"),
        ({"name": "a\n"}, "host.name"),
        ({"type": None}, "host.type"),
        ({"type": "COMPUTE_HOST"}, "host.type"),
        ({"type": "a b"}, "host.type"),
        ({"type": "a\n"}, "host.type"),
        ({"type": "t" * 256}, "host.type"),
        ({"control_attributes": None}, "host.control_attributes"),
        ({"control_attributes": 1}, "host.control_attributes"),
        ({"control_attributes": "\t"}, "host.control_attributes"),
        ({"control_attributes": "c" * 65536}, "host.control_attributes"),
        ({"reserved": None}, "host.reserved"),
        ({"reserved": "maybe"}, "host.reserved"),
        ({"on_maintenance": 2}, "host.on_maintenance"),
        ({"on_maintenance": []}, "host.on_maintenance"),
        ({"foo": 1}, "host.foo"),
        ({"failover_segment_id": UNKNOWN}, "host.failover_segment_id"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_invalid_field_is_named_in_create_and_update(api, rack, hosts, changes, field):
    path = f"{hosts}/{api.host(rack, 'compute2')['uuid']}"

    for refused in (api.post(hosts, host(**changes)), api.put(path, {"host": changes})):
        assert (refused.status, refused.error[0]) == (400, "badRequest")
        assert f"field {field}: " in refused.error[1]


@pytest.mark.parametrize("missing", ["name", "type", "control_attributes"])
def test_create_without_required_field_names_it(api, hosts, missing):
    body = host()
    del body["host"][missing]

    refused = api.post(hosts, body)

    assert refused.status == 400
    assert refused.error[1] == f"Invalid input for field host.{missing}: is required"


@pytest.mark.parametrize("body", [{}, {"host": {}}, {"host": []}])
def test_update_needs_a_field(api, rack, hosts, body):
    path = f"{hosts}/{api.host(rack)['uuid']}"

    assert api.put(path, body).status == 400


def test_type_and_control_attributes_may_be_empty(api, rack):
    created = api.host(rack, type="", control_attributes="a\nb")

    assert (created["type"], created["control_attributes"]) == ("", "a\nb")


@pytest.mark.parametrize(
    ("word", "value"),
    [("True", True), ("yes", True), ("0", False), ("Off", False), (True, True), (False, False)],
)
def test_flags_take_booleans_and_their_words(api, rack, hosts, word, value):
    created = api.host(rack, reserved=word, on_maintenance=word)
    assert (created["reserved"], created["on_maintenance"]) == (value, value)

    path = f"{hosts}/{created['uuid']}"
    api.put(path, {"host": {"reserved": not value}})
    assert api.put(path, {"host": {"reserved": word}}).json["host"]["reserved"] is value


def test_unknown_segment_is_not_found_and_nova_is_not_asked(api, cloud):
    path = f"/segments/{UNKNOWN}/hosts"

    for answer in (api.get(path), api.post(path, host()), api.get(f"{path}/{UNKNOWN}")):
        assert (answer.status, answer.error[0]) == (404, "itemNotFound")
    assert sum(cloud.calls.values()) == 0


def test_host_of_another_segment_is_not_found(api, rack):
    there = api.host(rack)["uuid"]
    path = f"/segments/{api.segment('rack2')['uuid']}/hosts/{there}"

    for answer in (
        api.get(path),
        api.put(path, {"host": {"type": "A"}}),
        api.put(path, {"host": {"name": "compute2"}}),
        api.delete(path),
    ):
        assert answer.status == 404


def test_under_recovery_hosts_can_only_be_added(api, rack, hosts):
    api.host(rack)
    second = f"{hosts}/{api.host(rack, 'compute2')['uuid']}"
    api.notify()

    for refused in (api.put(second, {"host": {"type": "A"}}), api.delete(second)):
        assert (refused.status, refused.error[0]) == (409, "conflictingRequest")
        assert refused.headers["X-Masakari-Reason"] == "under-recovery"
    assert api.host(rack, "compute3")


@pytest.fixture
def three(api, rack):
    api.host(rack, "compute1", type="a", reserved=True)
    api.host(rack, "compute2", type="b", on_maintenance=True, control_attributes="IPMI")
    api.host(rack, "compute3", type="a")
    api.host(api.segment("rack2"), "compute4")
    return api


def numbers(answer):
    assert answer.status == 200, answer
    return "".join(h["name"][-1] for h in answer.json["hosts"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "321"),
        ("?type=a", "31"),
        ("?type=nope", ""),
        ("?reserved=true", "1"),
        ("?reserved=False", "32"),
        ("?on_maintenance=1", "2"),
        ("?on_maintenance=no&type=a", "31"),
        ("?name=compute2", "2"),
        ("?name=compute4", ""),
        ("?control_attributes=SSH", "31"),
        (f"?failover_segment_id={UNKNOWN}", "321"),
        ("?sort_key=name&sort_dir=asc", "123"),
        ("?sort_key=type&sort_dir=asc&limit=2", "13"),
        ("?limit=0", ""),
    ],
)
def test_list(three, hosts, query, expected):
    assert numbers(three.get(hosts + query)) == expected


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("reserved=maybe", "reserved"),
        ("on_maintenance=2", "on_maintenance"),
        ("limit=-1", "limit"),
        ("marker=abc", "abc"),
        ("sort_key=nope", "sort_key"),
        ("sort_dir=x", "sort_dir"),
    ],
)
def test_list_with_invalid_parameter_names_it(three, hosts, query, named):
    refused = three.get(f"{hosts}?{query}")

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert named in refused.error[1]


@pytest.mark.parametrize("key", ["id", "uuid"])
def test_pages_follow_the_marker(three, hosts, key):
    first = three.get(f"{hosts}?limit=2&sort_key=name&sort_dir=asc").json["hosts"]

    rest = three.get(f"{hosts}?limit=2&sort_key=name&sort_dir=asc&marker={first[-1][key]}")

    assert numbers(rest) == "3"
