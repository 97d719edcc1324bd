"""What is wrong with a request is said in one envelope, whatever it is."""

import json

import pytest

from masakari import db

SEGMENT = {"segment": {"name": "rack1", "recovery_method": "auto", "service_type": "COMPUTE"}}
UUID = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/segments/",
        f"/segments/{UUID}/hosts/{UUID}/more",
        "/0123456789abcdef0123456789abcdef",
        "/0123456789abcdef0123456789abcdef/",
        "/not-a-project/segments",
        "/segments/%00",
        "/versions/v2",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_unknown_path_is_not_found(api, method, path):
    answer = api.send(method, path)

    assert (answer.status, answer.error[0]) == (404, "itemNotFound")
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/segments", "GET, POST"),
        (f"/segments/{UUID}", "DELETE, GET, PUT"),
        (f"/segments/{UUID}/hosts", "GET, POST"),
        (f"/segments/{UUID}/hosts/{UUID}", "DELETE, GET, PUT"),
        ("/notifications", "GET, POST"),
        (f"/notifications/{UUID}", "GET"),
        (f"/notifications/{UUID}/vmoves", "GET"),
        (f"/notifications/{UUID}/vmoves/{UUID}", "GET"),
        ("/extensions", "GET"),
        ("/extensions/segments", "GET"),
        ("/", "GET"),
        ("/segments/new", ""),
        (f"/segments/{UUID}/action", ""),
        ("/0123456789abcdef0123456789abcdef/notifications/new", ""),
    ],
)
def test_other_methods_are_not_allowed(api, path, allowed):
    for method in {"HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"} - set(allowed.split(", ")):
        answer = api.send(method, path)
        assert answer.status == 405, (method, answer)
        assert answer.headers["Allow"] == allowed
        assert answer.headers["OpenStack-API-Version"] == "instance-ha 1.0"
        assert method == "HEAD" or answer.error[0] == "badMethod"


@pytest.mark.parametrize("path", ["/segments", "/nowhere", f"/segments/{UUID}"])
def test_options_is_answered_with_nothing(api, path):
    answer = api.send("OPTIONS", path)

    assert (answer.status, answer.text) == (200, "")


@pytest.mark.parametrize("path", ["/segments.json", "//segments"])
def test_variants_of_paths_are_tolerated(api, path):
    api.segment()

    assert len(api.get(path).json["segments"]) == 1


def test_json_suffix_of_members_is_tolerated(api):
    uuid = api.segment()["uuid"]

    assert api.get(f"/segments/{uuid}.json").json["segment"]["uuid"] == uuid


def test_project_in_the_path_must_be_the_tokens(api):
    api.segment()

    assert len(api.get("/0123456789abcdef0123456789abcdef/segments").json["segments"]) == 1
    refused = api.get("/fedcba9876543210fedcba9876543210/segments")
    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert "fedcba9876543210fedcba9876543210" in refused.error[1]


def test_form_of_project_ids_is_an_option(conf, make_client):
    conf.set_override("auth_strategy", "noauth2")
    conf.set_override("project_id_regex", "[a-z]+", "osapi_v1")
    api = make_client(headers={"X-Auth-Token": "admin:demo"})

    assert api.get("/demo/segments").status == 200
    assert api.get("/0123/segments").status == 404


@pytest.mark.parametrize(
    "raw",
    [None, b"", b"{", b"hello", b"\xff", b"[" * 100000, b"9" * 5000],
    ids=["none", "empty", "cut off", "words", "not UTF-8", "deep", "long number"],
)
@pytest.mark.parametrize("path", ["/segments", "/notifications"])
def test_body_that_is_no_json_is_a_bad_request(api, path, raw):
    for content_type in ("application/json", ""):
        refused = api.post(path, raw=raw, headers={"Content-Type": content_type})

        assert (refused.status, refused.error[0]) == (400, "badRequest")
        assert "body" in refused.error[1]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        "application/vnd.openstack.masakari+json",
        "text/plain",
        "",
    ],
)
def test_content_types_of_json(api, content_type):
    raw = json.dumps(SEGMENT).encode()

    assert api.post("/segments", raw=raw, headers={"Content-Type": content_type}).status == 201


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/xml"])
def test_other_content_types_are_not_supported(api, content_type):
    raw = json.dumps(SEGMENT).encode()

    refused = api.post("/segments", raw=raw, headers={"Content-Type": content_type})

    assert (refused.status, refused.error[0]) == (415, "badMediaType")
    assert content_type in refused.error[1]


def test_body_of_delete_does_not_matter(api):
    uuid = api.segment()["uuid"]

    assert api.delete(f"/segments/{uuid}", raw=b"{", headers={"Content-Type": "x/y"}).status == 204


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_accept_header_does_not_matter_to_errors(api, accept):
    refused = api.get("/segments?limit=x", headers={"Accept": accept})

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert "limit" in refused.error[1]
    assert refused.headers["OpenStack-API-Version"] == "instance-ha 1.0"


def test_accept_header_does_not_matter(api):
    answer = api.get("/segments", headers={"Accept": "application/xml"})

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("told", [True, False], ids=["content-length", "chunked"])
@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html"])
def test_too_large_body_is_refused(api, conf, told, accept):
    conf.set_override("max_request_body_size", 200, "oslo_middleware")
    raw = json.dumps(SEGMENT).encode() + b" " * 200
    chunked = {} if told else {"Transfer-Encoding": "chunked"}

    refused = api.send("POST", "/segments", raw=raw, headers=chunked | {"Accept": accept})

    assert (refused.status, refused.error[0]) == (413, "overLimit")
    assert refused.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert "larger than" in refused.error[1].lower()
    assert not {"%", "<"} & set(refused.error[1])
    assert refused.headers["X-Openstack-Request-Id"].startswith("req-")


@pytest.mark.parametrize("query", ["?name=%FF", "?limit=%ff"])
def test_query_that_is_not_utf8_is_a_bad_request(api, query):
    refused = api.get("/segments" + query)

    assert (refused.status, refused.error[0]) == (400, "badRequest")


@pytest.mark.parametrize("path", ["/segments/%FF", "/%FF"])
def test_path_that_is_not_utf8_is_a_bad_request(api, path):
    refused = api.get(path)

    assert (refused.status, refused.error[0]) == (400, "badRequest")


def test_path_outside_that_is_not_utf8_is_a_bad_request(api):
    api.root = ""

    assert api.get("/%FF").status == 400


def test_defect_is_a_500_without_its_name(conf, make_client, caplog):
    class Broken:
        def recover(self, uuid):
            raise RuntimeError("the secret cause")

    conf.set_override("auth_strategy", "noauth2")
    api = make_client({"engine": Broken()})
    api.host(api.segment())

    answer = api.notify()

    assert (answer.status, answer.error[0]) == (500, "masakariFault")
    assert "RuntimeError" not in answer.text
    assert "secret" not in answer.text
    assert answer.headers["OpenStack-API-Version"] == "instance-ha 1.0"
    assert [r.exc_info[0] for r in caplog.records if r.exc_info] == [RuntimeError]


def test_database_that_is_away_is_a_503(conf, make_client, clock):
    conf.set_override("auth_strategy", "noauth2")
    conf.set_override("connection", "mysql+pymysql://u:secret@127.0.0.1:1/masakari", "database")
    api = make_client({"database": db.session.connect(conf, clock)})

    answer = api.get("/segments")

    assert (answer.status, answer.error[0]) == (503, "serviceUnavailable")
    assert answer.headers["Retry-After"].isdigit()
    assert "secret" not in answer.text
