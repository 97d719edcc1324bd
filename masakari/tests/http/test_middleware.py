"""What surrounds the API: health, other origins, request ids."""

import pytest

from masakari.conf import middleware

ORIGIN = "https://dashboard.example.com"


@pytest.fixture
def root(api):
    """A client of everything, without a token."""
    api.root, api.headers = "", {}
    return api


@pytest.mark.parametrize("path", ["/healthcheck", "/healthcheck/"])
def test_health_is_told_without_a_token(root, path):
    answer = root.get(path)

    assert (answer.status, answer.text) == (200, "OK")
    assert answer.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert "X-Openstack-Request-Id" not in answer.headers


def test_disable_file_makes_it_unhealthy(conf, make_client, tmp_path):
    conf.set_override("auth_strategy", "noauth2")
    root = make_client(root="")
    switch = tmp_path / "disable"
    conf.set_override("disable_by_file_path", str(switch), "healthcheck")
    assert root.get("/healthcheck").status == 200

    switch.touch()

    assert root.get("/healthcheck").status == 503
    assert root.get("/").status == 200


def test_disable_file_is_where_deployments_expect_it(api, conf):
    assert conf.healthcheck.backends == ["disable_by_file"]
    assert conf.healthcheck.disable_by_file_path == "/etc/masakari/healthcheck_disable"


@pytest.fixture
def shared(conf, make_client):
    """A client of an API that another origin may use."""
    conf.set_override("auth_strategy", "noauth2")
    middleware.register(conf)
    conf.set_override("allowed_origin", [ORIGIN], "cors")
    return make_client()


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH"])
def test_browser_is_allowed_what_openstack_allows(shared, method):
    answer = shared.send(
        "OPTIONS",
        "/segments",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "X-Auth-Token, X-Tenant-Id",
        },
    )

    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Methods"] == method


@pytest.mark.parametrize(
    "asked",
    [
        {"Origin": "https://elsewhere.example.com", "Access-Control-Request-Method": "GET"},
        {"Origin": ORIGIN, "Access-Control-Request-Method": "TRACE"},
        {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "X-Other",
        },
    ],
    ids=["origin", "method", "header"],
)
def test_browser_is_not_allowed_more(shared, asked):
    answer = shared.send("OPTIONS", "/segments", headers=asked)

    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/segments", "/segments/unknown"])
def test_answers_to_browsers_can_be_read(shared, path):
    answer = shared.get(path, headers={"Origin": ORIGIN})

    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert "X-Openstack-Request-Id" in exposed
    assert "X-Subject-Token" in exposed


def test_each_request_has_its_own_id(api):
    ids = {api.get("/segments").headers["X-Openstack-Request-Id"] for _ in range(3)}

    assert len(ids) == 3
