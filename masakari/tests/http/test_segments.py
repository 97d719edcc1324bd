"""Segments: create, see, change, conflict, delete."""

import json
from urllib import parse

import pytest


def segment(**changes):
    return {
        "segment": {"name": "rack1", "recovery_method": "auto", "service_type": "COMPUTE"} | changes
    }


def test_create_minimal_returns_every_field(api):
    answer = api.post("/segments", segment())

    assert answer.status == 201
    created = answer.json["segment"]
    assert isinstance(created.pop("id"), int)
    assert len(created.pop("uuid")) == 36
    assert created.pop("created_at") == "2026-01-01T00:00:00.000000"
    assert created == {
        "name": "rack1",
        "service_type": "COMPUTE",
        "enabled": True,
        "description": None,
        "recovery_method": "auto",
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
    }


def test_story(api):
    uuid = api.segment()["uuid"]
    assert api.get(f"/segments/{uuid}").json["segment"]["name"] == "rack1"

    changed = api.put(f"/segments/{uuid}", {"segment": {"name": "rack2", "description": "x"}})
    assert changed.status == 200
    assert changed.json["segment"]["name"] == "rack2"
    assert changed.json["segment"]["updated_at"] == "2026-01-01T00:00:00.000000"

    assert [s["name"] for s in api.get("/segments").json["segments"]] == ["rack2"]

    gone = api.delete(f"/segments/{uuid}")
    assert (gone.status, gone.text) == (204, "")
    assert gone.headers["Content-Type"] == "application/json"
    assert api.get(f"/segments/{uuid}").status == 404
    assert api.delete(f"/segments/{uuid}").status == 404
    assert api.get("/segments").json == {"segments": []}


def test_name_in_use_conflicts_until_deleted(api):
    first = api.segment()

    refused = api.post("/segments", segment())
    assert (refused.status, refused.error[0]) == (409, "conflictingRequest")
    assert refused.headers["X-Masakari-Reason"] == "name-in-use"
    assert "rack1" in refused.error[1]

    api.delete(f"/segments/{first['uuid']}")
    assert api.post("/segments", segment()).status == 201


def test_rename_to_name_in_use_conflicts(api):
    api.segment("rack1")
    other = api.segment("rack2")

    refused = api.put(f"/segments/{other['uuid']}", {"segment": {"name": "rack1"}})

    assert refused.status == 409


def test_rename_to_own_name_succeeds(api):
    uuid = api.segment()["uuid"]

    assert api.put(f"/segments/{uuid}", {"segment": {"name": "rack1"}}).status == 200


@pytest.mark.parametrize("method", ["auto", "reserved_host", "auto_priority", "rh_priority"])
def test_every_recovery_method_is_accepted(api, method):
    assert api.segment(recovery_method=method)["recovery_method"] == method


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "segment.name"),
        ({"name": None}, "segment.name"),
        ({"name": 12}, "segment.name"),
        ({"name": "n" * 256}, "segment.name"),
        ({"name": "a\tb"}, "segment.name"),
        ({"name": " a"}, "segment.name"),
        ({"name": "a\u00a0"}, "segment.name"),
        ({"name": "smile \U0001f600"}, "segment.name"),
        ({"name": "\ud800"}, "segment.name"),
        ({"recovery_method": "AUTO"}, "segment.recovery_method"),
        ({"recovery_method": None}, "segment.recovery_method"),
        ({"service_type": ""}, "segment.service_type"),
        ({"service_type": 7}, "segment.service_type"),
        ({"service_type": "s" * 256}, "segment.service_type"),
        ({"description": 5}, "segment.description"),
        ({"description": "bell\a"}, "segment.description"),
        ({"description": "tab\t"}, "segment.description"),
        ({"description": "d" * 65536}, "segment.description"),
        ({"enabled": "maybe"}, "segment.enabled"),
        ({"enabled": 1}, "segment.enabled"),
        ({"enabled": None}, "segment.enabled"),
        ({"extra": 1}, "segment.extra"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_create_with_invalid_field_names_it(api, changes, field):
    refused = api.post("/segments", segment(**changes), version="1.2")

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert f"field {field}: " in refused.error[1]
    assert len(refused.error[1]) < 300
    assert api.get("/segments").json["segments"] == []


def test_description_is_limited_in_bytes_not_in_characters(api):
    body = json.dumps(segment(description="ä" * 32768), ensure_ascii=False)

    refused = api.post("/segments", raw=body.encode())

    assert "segment.description" in refused.error[1]


@pytest.mark.parametrize("missing", ["name", "recovery_method", "service_type"])
def test_create_without_required_field_names_it(api, missing):
    body = segment()
    del body["segment"][missing]

    refused = api.post("/segments", body)

    assert refused.status == 400
    assert refused.error[1] == f"Invalid input for field segment.{missing}: is required"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "segment"),
        ([], "body"),
        ("a", "body"),
        ({"segment": []}, "segment"),
        ({"segment": {}, "other": {}}, "other"),
    ],
    ids=repr,
)
def test_create_with_wrong_envelope_names_it(api, body, field):
    refused = api.post("/segments", body)

    assert refused.status == 400
    assert f"field {field}" in refused.error[1]


@pytest.mark.parametrize(
    "name", ["größe-漢", "n" * 255, "a b", "a\u00a0b"], ids=["letters", "longest", "space", "nbsp"]
)
def test_names_may_have_every_printable_character(api, name):
    assert api.segment(name)["name"] == name


@pytest.mark.parametrize("field", ["name", "service_type", "description"])
def test_emoji_is_refused_by_its_code_point(api, field):
    refused = api.post("/segments", segment(**{field: "rack \U0001f600"}))

    assert refused.status == 400
    assert f"field segment.{field}: " in refused.error[1]
    assert "U+1F600" in refused.error[1]
    assert "printable" not in refused.error[1]


@pytest.mark.parametrize("text", ["", "a\nb", "d" * 65535, None], ids=lambda t: repr(t)[:20])
def test_description_may_be_empty_long_or_null(api, text):
    assert api.segment(description=text)["description"] == text


@pytest.mark.parametrize(
    ("word", "enabled"),
    [
        *dict.fromkeys(
            ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", True], True
        ).items(),
        *dict.fromkeys(
            ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", False], False
        ).items(),
    ],
)
def test_enabled_takes_booleans_and_their_words(api, word, enabled):
    uuid = api.segment(enabled=word)["uuid"]
    assert api.get(f"/segments/{uuid}").json["segment"]["enabled"] is enabled

    api.put(f"/segments/{uuid}", {"segment": {"enabled": not enabled}}, version="1.2")
    changed = api.put(f"/segments/{uuid}", {"segment": {"enabled": word}}, version="1.2")
    assert changed.json["segment"]["enabled"] is enabled


@pytest.mark.parametrize("version", [None, "1.0", "1.1"])
def test_enabled_before_1_2_is_refused_with_the_version_that_has_it(api, version):
    refused = api.post("/segments", segment(enabled=True), version=version)

    assert refused.status == 400
    assert "segment.enabled" in refused.error[1]
    assert "instance-ha 1.2" in refused.error[1]


def test_enabled_before_1_2_is_refused_in_updates(api):
    uuid = api.segment()["uuid"]

    assert api.put(f"/segments/{uuid}", {"segment": {"enabled": True}}).status == 400


@pytest.mark.parametrize("body", [{}, {"segment": {}}, {"segment": {"name": "a", "foo": "b"}}])
def test_update_without_known_fields_is_refused(api, body):
    uuid = api.segment()["uuid"]

    refused = api.put(f"/segments/{uuid}", body)

    assert refused.status == 400
    assert api.get(f"/segments/{uuid}").json["segment"]["name"] == "rack1"


@pytest.mark.parametrize("uuid", ["abc", "999", "00000000-0000-4000-8000-000000000001", "a" * 300])
def test_unknown_ids_are_not_found(api, uuid):
    api.segment()

    for answer in (
        api.get(f"/segments/{uuid}"),
        api.put(f"/segments/{uuid}", {"segment": {"name": "x"}}),
        api.delete(f"/segments/{uuid}"),
    ):
        assert (answer.status, answer.error[0]) == (404, "itemNotFound")


def test_delete_takes_the_hosts_along(api):
    rack = api.segment()
    api.host(rack)

    assert api.delete(f"/segments/{rack['uuid']}").status == 204

    assert api.get(f"/segments/{rack['uuid']}/hosts").status == 404
    assert api.host(api.segment("rack2"))["name"] == "compute1"


def test_under_recovery_only_the_brake_works(api):
    rack = api.segment()
    api.host(rack)
    api.notify()
    path = f"/segments/{rack['uuid']}"

    for refused in (
        api.put(path, {"segment": {"description": "x"}}),
        api.put(path, {"segment": {"enabled": False, "description": "x"}}, version="1.2"),
        api.put(path, {"segment": {"enabled": True}}, version="1.2"),
        api.delete(path),
    ):
        assert (refused.status, refused.error[0]) == (409, "conflictingRequest")
        assert refused.headers["X-Masakari-Reason"] == "under-recovery"

    braked = api.put(path, {"segment": {"enabled": "no"}}, version="1.2")
    assert braked.json["segment"]["enabled"] is False


@pytest.fixture
def four(api):
    api.segment("a", recovery_method="auto", service_type="x")
    api.segment("b", recovery_method="rh_priority", service_type="x", enabled=False)
    api.segment("c", recovery_method="auto", service_type="y")
    api.segment("d", recovery_method="auto", service_type="y", enabled=False)
    return api


def names(answer):
    assert answer.status == 200, answer
    return "".join(s["name"] for s in answer.json["segments"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "dcba"),
        ("?recovery_method=rh_priority", "b"),
        ("?recovery_method=nope", ""),
        ("?service_type=x", "ba"),
        ("?service_type=nope", ""),
        ("?enabled=False", "db"),
        ("?enabled=True", "ca"),
        ("?enabled=0", "db"),
        ("?enabled=y", "ca"),
        ("?enabled=off&service_type=y", "d"),
        ("?name=a", "dcba"),
        ("?nonsense=1&page_size=2", "dcba"),
        ("?sort_key=name&sort_dir=asc", "abcd"),
        ("?sort_key=name", "dcba"),
        ("?sort_key=service_type&sort_key=name&sort_dir=asc&sort_dir=desc", "badc"),
        ("?sort_key=name&sort_key=name&sort_dir=asc&sort_dir=desc", "abcd"),
        ("?sort_dir=asc", "abcd"),
        ("?limit=2", "dc"),
        ("?limit=0", ""),
        ("?limit=5000", "dcba"),
        ("?limit=" + "9" * 100, "dcba"),
    ],
)
def test_list(four, query, expected):
    assert names(four.get("/segments" + query)) == expected


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("enabled=maybe", "enabled"),
        ("enabled=", "enabled"),
        ("limit=abc", "limit"),
        ("limit=", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%C2%B2", "limit"),
        ("page_size=x", "page_size"),
        ("page_size=-1", "page_size"),
        ("marker=abc", "abc"),
        ("marker=99", "99"),
        ("marker=" + "9" * 30, "9" * 30),
        ("marker=00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000001"),
        ("sort_key=nope", "sort_key"),
        ("sort_key=name,uuid&sort_dir=asc,desc", "sort_key"),
        ("sort_dir=up", "sort_dir"),
        ("sort_key=name&sort_dir=asc&sort_dir=asc", "sort_dir"),
    ],
)
def test_list_with_invalid_parameter_names_it(four, query, named):
    refused = four.get("/segments?" + query)

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert named in refused.error[1]


@pytest.mark.parametrize("key", ["id", "uuid"])
def test_pages_follow_the_marker(four, key):
    seen, query = "", ""
    while page := four.get(f"/segments?limit=2&sort_key=service_type{query}").json["segments"]:
        seen += "".join(s["name"] for s in page)
        query = f"&marker={page[-1][key]}"

    assert seen == "dcba"


def test_marker_of_deleted_segment_is_refused(four):
    last = four.get("/segments?limit=1").json["segments"][0]
    four.delete(f"/segments/{last['uuid']}")

    assert four.get(f"/segments?marker={last['id']}").status == 400


def test_list_that_the_server_cuts_off_links_to_the_rest(four, conf):
    conf.set_override("osapi_max_limit", 3)

    first = four.get("/segments?sort_key=name&sort_dir=asc")

    assert names(first) == "abc"
    (link,) = first.json["segments_links"]
    assert link["rel"] == "next"
    rest = four.get(link["href"].removeprefix("http://localhost/v1"))
    assert names(rest) == "d"
    assert list(rest.json) == ["segments"]


def test_links_carry_the_query_and_one_marker(four, conf):
    conf.set_override("osapi_max_limit", 1)
    seen, answer = "", four.get("/segments?sort_key=service_type&sort_key=name&sort_dir=asc")

    while "segments_links" in answer.json:
        seen += names(answer)
        (link,) = answer.json["segments_links"]
        query = parse.parse_qs(parse.urlsplit(link["href"]).query)
        assert query == {
            "sort_key": ["service_type", "name"],
            "sort_dir": ["asc"],
            "marker": [str(answer.json["segments"][0]["id"])],
        }
        answer = four.get(link["href"].removeprefix("http://localhost/v1"))

    assert seen + names(answer) == "abcd"


@pytest.mark.parametrize("query", ["?limit=2", "?limit=5000", ""])
def test_list_that_the_server_does_not_cut_off_has_no_link(four, conf, query):
    conf.set_override("osapi_max_limit", 4 if not query else 3)

    answer = four.get("/segments" + (query or "?enabled=true"))

    assert list(answer.json) == ["segments"]
    assert "Link" not in answer.headers
