"""keystonemiddleware in front of the API, asking the simulated Keystone over HTTP."""

import socket

import pytest

from masakari import context
from masakari.api import known_tokens
from masakari.clock import SystemClock, wait_until
from masakari.errors import ConfigInvalid

ADMIN = ("alice", "admin")
VALIDATION = "keystone GET /v3/auth/tokens"


@pytest.fixture
def authtoken(secured, keystone):
    """Sets options of [keystone_authtoken]; tokens are not cached."""

    def override(**values):
        for name, value in values.items():
            secured.set_override(name, value, "keystone_authtoken")

    secured.set_override("auth_strategy", "keystone")
    override(auth_url=keystone.auth_url, token_cache_time=-1)
    return override


@pytest.fixture
def with_tokens(authtoken, make_client):
    """Makes a client with a token and, if need be, a service's token."""

    def make(token, service_token=None):
        headers = {"X-Auth-Token": token}
        if service_token:
            headers["X-Service-Token"] = service_token
        return make_client(headers=headers)

    return make


@pytest.fixture
def grant(keystone):
    """Makes tokens, of a project if nothing else is said."""
    return lambda *who, **more: keystone.keystone.grant(*who, **({"project": "admin"} | more))


# ---- tokens that end


def test_token_that_expires_between_two_requests_is_refused(with_tokens, grant, keystone):
    token = grant(*ADMIN)
    client = with_tokens(token)
    assert client.get("/segments").status == 200

    keystone.keystone.expire_tokens()

    assert client.get("/segments").status == 401


def test_token_that_expires_while_it_is_cached_is_refused(authtoken, with_tokens, grant):
    authtoken(token_cache_time=300)
    client = with_tokens(grant(*ADMIN, life_s=0.5))
    client.get("/segments")

    def is_refused():
        return client.get("/segments").status == 401

    assert wait_until(SystemClock(), is_refused, 20, 0.05)


@pytest.mark.parametrize(("cached_s", "status"), [(-1, 401), (300, 200)])
def test_revoked_token_is_valid_while_it_is_cached(
    authtoken, make_client, keystone, cached_s, status
):
    authtoken(token_cache_time=cached_s)
    token = keystone.keystone.grant(*ADMIN, project="admin")
    client = make_client(headers={"X-Auth-Token": token})
    assert client.get("/segments").status == 200

    keystone.keystone.revoke(token)

    assert client.get("/segments").status == status


def test_cached_token_is_not_asked_for_again(authtoken, with_tokens, grant, keystone):
    authtoken(token_cache_time=300)
    client = with_tokens(grant(*ADMIN))
    keystone.stats.clear()

    assert {client.get("/segments").status for _ in range(5)} == {200}

    assert keystone.stats.kinds[VALIDATION] == 1


def test_shortcut_sets_and_removes_the_headers_that_keystonemiddleware_does(
    authtoken, make_client, grant, monkeypatch
):
    """Of all that a client may send and Keystone may say, nothing else reaches the API."""
    authtoken(token_cache_time=300)
    seen = []
    asked = context.RequestContext.from_environ

    def spy(environ, **more):
        seen.append({k: v for k, v in environ.items() if k.startswith(("HTTP_X", "HTTP_OPENS"))})
        return asked(environ, **more)

    monkeypatch.setattr(context.RequestContext, "from_environ", spy)
    forged = {"-".join(n.split("_")[1:]).title(): "forged" for n in known_tokens.HEADERS}
    client = make_client(headers=forged | {"X-Auth-Token": grant(*ADMIN), "X-Other": "stays"})

    assert {client.get("/segments").status for _ in range(2)} == {200}

    by_library, by_shortcut = seen
    assert by_library == by_shortcut
    assert "forged" not in str(by_library)
    assert by_library["HTTP_X_OTHER"] == "stays"


# ---- services that pass a user's request on


SERVICE = ("nova", "service")


@pytest.mark.parametrize(
    ("service", "life_s", "status"),
    [
        (SERVICE, 60, 200),
        (("nova", "member"), 60, 401),
        (SERVICE, -1, 401),
        (None, 0, 401),
    ],
    ids=["service", "other role", "expired, too", "none"],
)
def test_expired_token_beside_a_services_token(with_tokens, grant, service, life_s, status):
    service_token = grant(*service, project="service", life_s=life_s) if service else None
    client = with_tokens(grant(*ADMIN, life_s=-60), service_token)

    assert client.get("/segments").status == status


def test_token_that_expired_long_ago_is_refused_beside_a_services_token(with_tokens, grant):
    service_token = grant(*SERVICE, project="service")
    client = with_tokens(grant(*ADMIN, life_s=-3 * 86400), service_token)

    assert client.get("/segments").status == 401


def test_which_roles_make_a_services_token_is_an_option(authtoken, with_tokens, grant):
    authtoken(service_token_roles=["ops"])
    expired = grant(*ADMIN, life_s=-60)

    assert with_tokens(expired, grant("nova", "ops")).get("/segments").status == 200
    assert with_tokens(expired, grant(*SERVICE)).get("/segments").status == 401


def test_services_token_must_have_the_role_where_it_is_required(authtoken, with_tokens, grant):
    valid, not_a_service = grant(*ADMIN), grant("nova", "member")
    authtoken(service_token_roles_required=False)
    assert with_tokens(valid, not_a_service).get("/segments").status == 200

    authtoken(service_token_roles_required=True)

    assert with_tokens(valid, not_a_service).get("/segments").status == 401
    assert with_tokens(valid, grant(*SERVICE)).get("/segments").status == 200


def test_services_token_gives_the_user_no_rights(with_tokens, grant):
    client = with_tokens(grant("demo", "member"), grant(*SERVICE))

    assert client.get("/segments").status == 403


# ---- application credentials that are good for some requests only


@pytest.mark.parametrize(
    ("rule", "statuses"),
    [
        ({"method": "GET", "path": "/v1/segments"}, {"GET": 200, "POST": 401}),
        ({"method": "GET", "path": "/v1/*"}, {"GET": 200, "POST": 401}),
        ({"method": "POST", "path": "/v1/**"}, {"GET": 401, "POST": 400}),
        ({"method": "GET", "path": "/v1/segments", "service": "compute"}, {"GET": 401}),
        (None, {"GET": 401, "POST": 401}),
    ],
)
def test_access_rules_of_an_application_credential(with_tokens, grant, rule, statuses):
    rules = () if rule is None else ({"id": "1", "service": "instance-ha"} | rule,)
    client = with_tokens(grant(*ADMIN, access_rules=rules))

    for method, status in statuses.items():
        body = {} if method == "POST" else None
        assert client.send(method, "/segments", body).status == status


def test_access_rules_know_us_by_the_service_type(authtoken, with_tokens, grant):
    authtoken(service_type="compute")
    rule = {"id": "1", "service": "instance-ha", "method": "GET", "path": "/v1/segments"}

    assert with_tokens(grant(*ADMIN, access_rules=(rule,))).get("/segments").status == 401


# ---- a Keystone that does not answer


def refused_politely(answer):
    assert (answer.status, answer.error[0]) == (503, "serviceUnavailable")
    assert "Keystone" in answer.error[1]
    assert answer.headers["Retry-After"].isdigit()
    return True


@pytest.mark.parametrize("status", [500, 503])
def test_keystone_that_is_ill_is_a_503(with_tokens, grant, keystone, status):
    client = with_tokens(grant(*ADMIN))
    keystone.keystone.failure = status
    try:
        assert refused_politely(client.get("/segments"))
    finally:
        keystone.keystone.failure = 0

    assert client.get("/segments").status == 200


def test_keystone_that_accepts_and_says_nothing_is_a_503(authtoken, with_tokens):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        authtoken(auth_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v3", http_connect_timeout=1)

        assert refused_politely(with_tokens("t").get("/segments"))


def test_keystone_is_waited_for_no_longer_than_that_by_default(secured, authtoken, with_tokens):
    with_tokens("t")

    assert secured.keystone_authtoken.http_connect_timeout == 10


def test_keystone_whose_certificate_cannot_be_checked_is_a_503(
    authtoken, with_tokens, keystone, caplog
):
    authtoken(auth_url=keystone.auth_url.replace("http:", "https:"))  # it speaks no TLS at all

    assert refused_politely(with_tokens("t").get("/segments"))
    assert "[keystone_authtoken]" in caplog.text


def test_keystone_that_refuses_our_own_credentials_is_a_503(authtoken, with_tokens, grant):
    authtoken(password="wrong")

    assert refused_politely(with_tokens(grant(*ADMIN)).get("/segments"))


def test_token_of_many_characters_is_refused(with_tokens):
    assert with_tokens("x" * 8000).get("/segments").status == 401


@pytest.mark.parametrize("token", ["t\u00f6ken", "../../v3", "a b", " ", "%00"])
def test_token_of_odd_characters_is_refused(with_tokens, token):
    assert with_tokens(token).get("/segments").status == 401


# ---- memcached


def test_library_of_memcached_that_is_missing_is_told_at_start(authtoken, with_tokens):
    authtoken(memcached_servers=["127.0.0.1:11211"], memcache_sasl_enabled=True)

    with pytest.raises(ConfigInvalid, match=r"\] memcached_servers: .*python-binary-memcached"):
        with_tokens("t")


def test_encryption_without_a_key_is_told_at_start(authtoken, with_tokens):
    authtoken(memcached_servers=["127.0.0.1:11211"], memcache_security_strategy="ENCRYPT")

    with pytest.raises(ConfigInvalid, match=r"memcache_security_strategy: .*memcache_secret_key"):
        with_tokens("t")


def test_memcached_that_is_away_is_done_without(authtoken, with_tokens, grant):
    authtoken(memcached_servers=["127.0.0.1:1"], token_cache_time=300)
    client = with_tokens(grant(*ADMIN))

    assert {client.get("/segments").status for _ in range(3)} == {200}
