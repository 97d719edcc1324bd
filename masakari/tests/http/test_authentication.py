"""Who may do what: Keystone's tokens, policies, and the mode without authentication."""

import pathlib

import pytest
import webob

from masakari.api import operation, policy, versions
from masakari.api.auth import KeystoneContext
from masakari.clock import SystemClock
from masakari.sim.keystone import project_id
from masakari.tests.http.client import Client

UUID = "00000000-0000-4000-8000-000000000001"
OPERATIONS = [op for op in operation.in_order() if op.rules]


def call(client, op):
    """The operation with ids that nobody has and, if it takes one, a body that is no good."""
    path = op.paths[0]
    for variable in ("segment_id", "host_id", "notification_id", "vmove_id", "alias"):
        path = path.replace(f"{{{variable}}}", UUID)
    version = versions.text(op.since)
    return client.send(op.method, path, {} if op.body else None, version=version)


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: f"{op.method} {op.paths[0]}")
@pytest.mark.parametrize("user", ["demo", "reader"])
def test_only_administrators_get_past_the_policy(as_user, user, op):
    refused = call(as_user(user), op)

    assert (refused.status, refused.error[0]) == (403, "forbidden")
    assert any(rule in refused.error[1] for rule in op.rules)
    version = versions.text(op.since)
    assert refused.headers["OpenStack-API-Version"] == f"instance-ha {version}"


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: f"{op.method} {op.paths[0]}")
@pytest.mark.parametrize("user", ["admin", "masakari"])
def test_administrators_get_past_the_policy(as_user, user, op):
    assert call(as_user(user), op).status in (200, 400, 404)


@pytest.mark.parametrize("user", [None, "nobody"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/", None),
        ("GET", "/segments", None),
        ("POST", "/notifications", {}),
        ("GET", "/nowhere", None),
    ],
)
def test_without_a_valid_token_nothing_is_told(as_user, user, method, path, body):
    refused = as_user(user).send(method, path, body, version="9.9")

    assert refused.status == 401
    assert refused.json["error"]["code"] == 401
    assert refused.headers["Content-Type"] == "application/json"
    assert refused.headers["WWW-Authenticate"] == 'Keystone uri="http://keystone.example.com"'
    assert refused.headers["X-Openstack-Request-Id"].startswith("req-")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_accept_header_does_not_matter_to_the_refusal(as_user, accept):
    refused = as_user(None).get("/segments", headers={"Accept": accept})

    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == 'Keystone uri="http://keystone.example.com"'


@pytest.mark.parametrize("user", ["demo", "reader", "admin"])
def test_everyone_with_a_token_reads_the_version_document(as_user, user):
    assert as_user(user).get("/").status == 200


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/elsewhere"])
def test_outside_v1_no_token_is_needed(as_user, path):
    client = as_user(None)
    client.root = ""

    assert client.get(path).status in (200, 300)


def test_identity_in_headers_of_the_client_does_not_count(as_user):
    forged = {"X-Roles": "admin", "X-User-Id": "u", "X-Identity-Status": "Confirmed"}

    assert as_user("demo").get("/segments", headers=forged).status == 403
    assert as_user(None).get("/segments", headers=forged).status == 401


def test_project_in_the_path_must_be_the_tokens(as_user):
    admin = as_user("admin")

    assert admin.get(f"/{project_id('admin')}/segments").status == 200
    refused = admin.get(f"/{project_id('demo')}/segments")
    assert (refused.status, refused.error[0]) == (400, "badRequest")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html"])
def test_keystone_that_is_away_is_a_503(secured, make_client, accept):
    client = make_client(headers={"X-Auth-Token": "t"})

    answer = client.get("/segments", headers={"Accept": accept})

    assert (answer.status, answer.error[0]) == (503, "serviceUnavailable")
    assert "Keystone" in answer.error[1]
    assert "<" not in answer.error[1]
    assert answer.headers["Retry-After"].isdigit()


def test_token_without_a_user_is_refused(conf):
    inner = webob.Response("never seen")
    application = KeystoneContext(inner, policy.Policy(conf, SystemClock()))

    refused = Client(application, headers={}).get("/segments")

    assert (refused.status, refused.error[0]) == (401, "unauthorized")


# ---- extensions


EXTENSIONS = ["extensions", "notifications", "os-hosts", "segments", "versions", "vmoves"]


def test_extensions_are_listed_by_alias(as_user):
    listed = as_user("admin").get("/extensions").json["extensions"]

    assert [e["alias"] for e in listed] == EXTENSIONS
    assert listed[2] == {
        "name": "Hosts",
        "alias": "os-hosts",
        "description": "Hosts controller",
        "namespace": "",
        "updated": "",
        "links": [],
    }


@pytest.mark.parametrize("alias", EXTENSIONS)
def test_extension_is_shown(as_user, alias):
    assert as_user("admin").get(f"/extensions/{alias}").json["extension"]["alias"] == alias


def test_unknown_extension_is_not_found(as_user):
    answer = as_user("admin").get("/extensions/none")

    assert (answer.status, answer.error[0]) == (404, "itemNotFound")


# ---- without authentication


@pytest.mark.parametrize("token", [None, "", "me", "me:0123456789abcdef0123456789abcdef"])
def test_noauth2_makes_everyone_administrator(api, token):
    api.headers = {} if token is None else {"X-Auth-Token": token}

    assert api.get("/segments").status == 200
    assert api.get("/0123456789abcdef0123456789abcdef/segments").status == 200


# ---- the surface


def test_table_of_operations_is_the_published_one():
    published = pathlib.Path(operation.__file__).with_name("operations.txt")

    assert published.read_text() == operation.table(), "run: python -m masakari.api"
