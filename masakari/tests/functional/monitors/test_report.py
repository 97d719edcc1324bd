"""The real connection to the API: openstacksdk, over HTTP, to an API that plays a script."""

import pytest
from oslo_config import cfg

import masakari.conf
from masakari import errors
from masakari.clock import SystemClock
from masakari.monitors import report
from masakari.monitors.report import Answer, Unanswered
from masakari.sim import cloud as sim_cloud
from masakari.sim import http as sim_http
from masakari.sim.wire import Request, Response, WireServer
from masakari.tests import certificates, servers

NOTIFICATION = {
    "type": "COMPUTE_HOST",
    "hostname": "compute1",
    "generated_time": "2026-01-01T00:00:00.000000",
    "payload": {"event": "STOPPED"},
}


class Api:
    """Segments with hosts, paged as OpenStack's API does, and one answer for each POST."""

    def __init__(self) -> None:
        self.segments: dict[str, tuple[bool, list[str]]] = {}
        self.answers: list[Response] = []
        self.malformed: dict[str, object] = {}
        """{what a page has: what it is instead}; None is an answer without a body."""
        self.posted: list[object] = []
        self.requests: list[Request] = []
        self.server = WireServer(self._answer)
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        parts = request.path.strip("/").split("/")
        if request.method == "POST":
            self.posted.append(request.json()["notification"])
            return self.answers.pop(0)
        if parts in ([""], ["v1"]):
            return Response(200, self._versions())
        if parts == ["v1", "segments"]:
            rows = [
                {"id": n, "uuid": name, "name": name, "enabled": enabled}
                for n, (name, (enabled, _)) in enumerate(self.segments.items(), 1)
            ]
            return self._page(request, "segments", rows)
        names = self.segments[parts[2]][1]
        rows = [{"id": n, "uuid": f"u-{n}", "name": name} for n, name in enumerate(names, 1)]
        return self._page(request, "hosts", rows)

    def _versions(self) -> dict[str, object]:
        link = {"rel": "self", "href": f"{self.server.url}/v1/"}
        version = {"id": "v1.0", "status": "CURRENT", "version": "1.3", "min_version": "1.0"}
        return {"versions": [version | {"links": [link]}]}

    def _page(self, request: Request, key: str, rows: list[dict[str, object]]) -> Response:
        if key in self.malformed:
            return Response(200, self.malformed[key])
        limit = min(int(request.query.get("limit", 1000)), 3)
        after = int(request.query.get("marker", 0))
        return Response(200, {key: [row for row in rows if int(str(row["id"])) > after][:limit]})


@pytest.fixture
def api():
    api = Api()
    yield api
    api.stop()


def configuration(tmp_path, text):
    path = tmp_path / "masakarimonitors.conf"
    path.write_text(text)
    conf = cfg.ConfigOpts()
    masakari.conf.register_monitors(conf)
    conf([], project="masakarimonitors", default_config_files=[str(path)], default_config_dirs=[])
    return conf


@pytest.fixture
def client(api, tmp_path):
    """The client of an API without authentication."""
    text = f"[api]\nauth_type = none\nendpoint_override = {api.server.url}\ntimeout = 1\n"
    return report.connect(configuration(tmp_path, text))


def test_watched_names_the_hosts_of_enabled_segments_on_all_pages(api, client):
    api.segments = {f"s{n}": (True, [f"s{n}-h{m}" for m in range(n)]) for n in range(8)}
    api.segments["off"] = (False, ["off-h0"])

    watched = client.watched()

    assert sorted(watched) == sorted(f"s{n}-h{m}" for n in range(8) for m in range(n))


def test_notify_sends_the_notification_as_it_is(api, client):
    api.answers = [Response(202, {"notification": {}})]

    answer = client.notify(NOTIFICATION)

    assert answer == Answer(202)
    assert api.posted == [NOTIFICATION]
    assert api.requests[-1].path == "/v1/notifications"


PROVEN = NOTIFICATION | {"payload": {"event": "STOPPED", "proof": "fenced"}}
NOT_ACCEPTABLE = Response(406, {"computeFault": {"code": 406, "message": "maximum is 1.3"}})


@pytest.mark.parametrize(
    ("answers", "posted"),
    [
        ([Response(202, {"notification": {}})], [PROVEN]),
        ([NOT_ACCEPTABLE, Response(202, {"notification": {}})], [PROVEN, NOTIFICATION]),
    ],
    ids=["ours", "OpenStack's"],
)
def test_notify_tells_of_the_proof_to_whom_it_says_something(api, client, answers, posted):
    api.answers = list(answers)

    assert client.notify(PROVEN) == Answer(202)

    assert api.posted == posted
    asked = [r.headers.get("openstack-api-version") for r in api.requests if r.method == "POST"]
    assert asked == ["instance-ha 1.4", None][: len(posted)]


def fault(code, message):
    return {"conflictingRequest": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (
            Response(409, fault(409, "No."), {"X-Masakari-Reason": "maintenance"}),
            "maintenance",
        ),
        (Response(409, fault(409, "No."), {"X-Masakari-Reason": "duplicate"}), "duplicate"),
        (Response(409, fault(409, "the host is already under maintenance.")), "maintenance"),
        (Response(409, fault(409, "Notification of type 'X' is Duplicate.")), "duplicate"),
        (Response(409, fault(409, "Something else.")), None),
        (Response(409, ["no", "envelope"]), None),
        (Response(400, fault(400, "Host with name h could not be found.")), None),
        (
            Response(400, fault(400, "No."), {"X-Masakari-Reason": "unknown-host"}),
            "unknown-host",
        ),
        (Response(503, {}), None),
    ],
)
def test_notify_refused_tells_status_and_reason(api, client, response, reason):
    api.answers = [response]

    answer = client.notify(NOTIFICATION)

    assert (answer.status, answer.reason) == (response.status, reason)


def test_notify_api_away_was_certainly_not_heard(api, client):
    api.stop()

    with pytest.raises(Unanswered) as caught:
        client.notify(NOTIFICATION)

    assert caught.value.maybe_heard is False


def test_notify_api_goes_away_between_two_calls_was_certainly_not_heard(api, client):
    client.watched()
    api.stop()

    with pytest.raises(Unanswered) as caught:
        client.notify(NOTIFICATION)

    assert caught.value.maybe_heard is False


def test_notify_connection_cut_instead_of_an_answer_may_have_been_heard(api, client):
    api.answers = [Response(0), Response(0)]
    client.watched()

    with pytest.raises(Unanswered) as caught:
        client.notify(NOTIFICATION)

    assert caught.value.maybe_heard is True


def test_notify_after_an_outage_connects_again(api, client):
    api.answers = [Response(0), Response(202, {})]
    with pytest.raises(Unanswered):
        client.notify(NOTIFICATION)

    assert client.notify(NOTIFICATION) == Answer(202)


def test_watched_api_away_is_unanswered(api, client):
    api.stop()

    with pytest.raises(Unanswered) as caught:
        client.watched()

    assert str(caught.value) == (
        f"Masakari is not available: no connection to {api.server.url} (Connection refused)"
    )


@pytest.mark.parametrize("key", ["segments", "hosts"])
@pytest.mark.parametrize(
    "answer", [None, {}, [], {"segments": 5, "hosts": 5}, {"segments": [5], "hosts": [{"name": 5}]}]
)
def test_watched_malformed_answer_is_unanswered(api, client, key, answer):
    api.segments = {"s1": (True, ["h1"])}
    api.malformed = {key: answer}

    with pytest.raises(
        Unanswered, match=r"^an answer is not as Masakari's or Keystone's are \(\w+\)$"
    ):
        client.watched()

    api.malformed = {}
    assert client.watched() == ["h1"]


@pytest.mark.parametrize("status", [202, 400, 409, 500])
def test_notify_needs_no_more_of_a_malformed_answer_than_its_status(api, client, status):
    api.answers = [Response(status, None)]

    assert client.notify(NOTIFICATION) == Answer(status)


@pytest.mark.parametrize("service", ["Keystone", "Masakari"])
def test_certificate_that_is_not_trusted_is_named_in_a_sentence(tmp_path, service):
    authority = certificates.Authority(tmp_path, "nobody trusts it")
    with servers.Gate(9, tls=certificates.context(authority.issue("server"))) as gate:
        url = f"https://127.0.0.1:{gate.port}"
        text = (
            f"[api]\nauth_type = none\nendpoint_override = {url}\n"
            if service == "Masakari"
            else "[api]" + CREDENTIALS.format(auth_url=f"{url}/v3")
        )

        with pytest.raises(Unanswered) as caught:
            report.connect(configuration(tmp_path, text)).watched()

    assert str(caught.value) == (
        f"{service} is not available: the certificate of {url} is refused "
        "(unable to get local issuer certificate)"
    )


CREDENTIALS = """
auth_type = password
auth_url = {auth_url}
username = masakari
password = secret
project_name = service
user_domain_name = Default
project_domain_name = Default
"""


@pytest.fixture
def keystone(api):
    """A Keystone whose catalogue names the API."""
    cloud = sim_cloud.SimCloud(SystemClock())
    with sim_http.SimServer(cloud, ha_url=f"{api.server.url}/v1") as server:
        yield server


@pytest.mark.parametrize("group", ["api", "keystone_authtoken"])
def test_connect_finds_the_api_in_the_catalogue(api, keystone, tmp_path, group):
    api.answers = [Response(202, {})]
    text = f"[{group}]" + CREDENTIALS.format(auth_url=keystone.auth_url)

    client = report.connect(configuration(tmp_path, text))

    assert client.notify(NOTIFICATION) == Answer(202)
    assert "x-auth-token" in api.requests[-1].headers


def test_connect_keystone_away_is_unanswered_and_not_heard(api, tmp_path):
    with sim_http.SimServer(sim_cloud.SimCloud(SystemClock())) as keystone:
        text = "[api]" + CREDENTIALS.format(auth_url=keystone.auth_url)
        client = report.connect(configuration(tmp_path, text))

    with pytest.raises(Unanswered) as caught:
        client.notify(NOTIFICATION)

    assert caught.value.maybe_heard is False
    assert api.posted == []


def test_connect_wrong_password_is_unanswered_and_not_heard(api, keystone, tmp_path):
    text = "[api]" + CREDENTIALS.format(auth_url=keystone.auth_url).replace("secret", "wrong")
    client = report.connect(configuration(tmp_path, text))

    with pytest.raises(Unanswered, match="401") as caught:
        client.notify(NOTIFICATION)

    assert caught.value.maybe_heard is False


@pytest.mark.parametrize(
    "malformed",
    [Response(201, {"token": {}}), Response(201, 3, {"X-Subject-Token": "t"})],
    ids=["no token", "no object"],
)
def test_notify_malformed_token_in_place_of_an_expired_one_is_unanswered(api, tmp_path, malformed):
    ha = {"region": "RegionOne", "interface": "public", "url": f"{api.server.url}/v1"}
    catalog = [{"type": "instance-ha", "name": "masakari", "endpoints": [ha]}]
    token = {
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2999-01-01T00:00:00.000000Z",
        "catalog": catalog,
    }
    good = Response(201, {"token": token}, {"X-Subject-Token": "t"})
    answers = [good, malformed, good]

    def answer(request: Request) -> Response:
        if request.method == "POST":
            return answers.pop(0)
        links = [{"rel": "self", "href": f"{keystone.url}/v3/"}]
        return Response(200, {"version": {"id": "v3.14", "status": "stable", "links": links}})

    keystone = WireServer(answer)
    keystone.start()
    text = "[api]" + CREDENTIALS.format(auth_url=f"{keystone.url}/v3")
    client = report.connect(configuration(tmp_path, text))
    api.answers = [Response(401, {}), Response(202, {})]

    try:
        with pytest.raises(Unanswered, match=r"^an answer is not as Masakari's or Keystone's are"):
            client.notify(NOTIFICATION)

        assert client.notify(NOTIFICATION) == Answer(202)
    finally:
        keystone.stop()


def test_connect_own_api_without_authentication_needs_no_credentials(api, tmp_path):
    api.answers = [Response(202, {})]
    conf = configuration(tmp_path, "[DEFAULT]\nauth_strategy = noauth2\n")
    masakari.conf.register(conf)

    client = report.connect(conf, endpoint=api.server.url)

    assert client.notify(NOTIFICATION) == Answer(202)


def test_connect_own_api_with_authentication_takes_the_credentials_of_the_api(
    api, keystone, tmp_path
):
    api.answers = [Response(202, {})]
    text = "[keystone_authtoken]" + CREDENTIALS.format(auth_url=keystone.auth_url)
    conf = configuration(tmp_path, text)
    masakari.conf.register(conf)

    client = report.connect(conf, endpoint=api.server.url)

    assert client.notify(NOTIFICATION) == Answer(202)
    assert "x-auth-token" in api.requests[-1].headers


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("", r"\[api\] auth_url"),
        ("[api]\nauth_type = none\n", r"\[api\] endpoint_override"),
        ("[api]\nauth_type = carrier-pigeon\n", r"\[api\] auth_type"),
        ("[api]\nusername = masakari\n", r"\[api\] auth_url"),
    ],
)
def test_connect_without_usable_credentials_names_the_option(tmp_path, text, option):
    with pytest.raises(errors.ConfigInvalid, match=option):
        report.connect(configuration(tmp_path, text))
