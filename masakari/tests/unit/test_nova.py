"""Access to Nova: credentials, sessions, versions and logs, against the simulated Keystone."""

import contextlib
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests as requests_
from oslo_config import cfg

from masakari import conf as options
from masakari import errors, nova
from masakari.clock import SystemClock
from masakari.nova import client
from masakari.sim.cloud import Fault, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.contract.worlds import SteppingClock, configure


@pytest.fixture
def clock():
    return SteppingClock()


@pytest.fixture
def sim(clock):
    sim = SimCloud(clock)
    sim.add_host("compute-1")
    return sim


@pytest.fixture
def server(sim):
    with SimServer(sim) as server:
        yield server


@pytest.fixture
def connect(server, clock, tmp_path):
    def connect(extra="", **kwargs):
        conf = configure(tmp_path, auth_url=server.auth_url, extra=extra)
        return nova.connect(conf, clock, **kwargs)

    return connect


def only_token(server):
    (token,) = server.keystone.issued
    return token


def requests(server, kind):
    return sum(n for name, n in server.stats.kinds.items() if name.startswith(kind))


# ---- credentials


def test_connect_uses_keystone_authtoken(server, connect):
    connect().compute_services()

    assert (only_token(server).user, only_token(server).project) == ("masakari", "service")


def test_connect_prefers_privileged_user(server, connect):
    connect(
        "[DEFAULT]\nos_privileged_user_name = admin\nos_privileged_user_password = other\n"
        "os_privileged_user_tenant = admin\n"
    ).compute_services()

    assert (only_token(server).user, only_token(server).project) == ("admin", "admin")


@pytest.mark.parametrize("domain", ["default", "Default"])
def test_connect_privileged_user_alone_is_enough(server, clock, tmp_path, domain):
    conf = configure(
        tmp_path,
        auth_url="",
        authtoken=False,
        extra="[DEFAULT]\nos_privileged_user_name = nova\nos_privileged_user_password = secret\n"
        f"os_privileged_user_tenant = service\nos_privileged_user_auth_url = {server.auth_url}\n"
        f"os_user_domain_name = {domain}\nos_project_domain_name = {domain}\n",
    )

    with pytest.raises(errors.CloudForbidden, match="Policy"):
        nova.connect(conf, clock).compute_services()

    assert (only_token(server).user, only_token(server).project) == ("nova", "service")


def test_connect_system_scope_replaces_project(server, connect):
    connect("[DEFAULT]\nos_system_scope = all\n").compute_services()

    assert only_token(server).system


def test_connect_ignores_environment(connect, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("OS_AUTH_URL", "http://127.0.0.1:1/v3")
    monkeypatch.setenv("OS_REGION_NAME", "Elsewhere")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")

    assert len(connect().compute_services()) == 1


def test_connect_wrong_password_is_unavailable_at_once(server, connect, clock):
    began = clock.monotonic()
    cloud = connect(
        "[DEFAULT]\nos_privileged_user_name = masakari\nos_privileged_user_password = wrong\n"
    )

    with pytest.raises(errors.CloudUnavailable, match="refuses our credentials"):
        cloud.compute_services()

    assert clock.monotonic() == began


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["[keystone_authtoken] auth_type", "os_privileged_user_name"]),
        (
            "[keystone_authtoken]\nauth_type = password\nusername = m\npassword = p\n",
            ["[keystone_authtoken] auth_url"],
        ),
        (
            "[keystone_authtoken]\nauth_type = password\nauth_url = keystone:5000\n",
            ["[keystone_authtoken] auth_url", "keystone:5000"],
        ),
        (
            "[keystone_authtoken]\nauth_type = password\nauth_url = http://k:port/v3\n",
            ["[keystone_authtoken] auth_url", "http://k:port/v3"],
        ),
        ("[keystone_authtoken]\nauth_type = magic\n", ["[keystone_authtoken] auth_type", "magic"]),
        ("[DEFAULT]\nos_privileged_user_name = m\n", ["[DEFAULT] os_privileged_user_password"]),
        (
            "[DEFAULT]\nnova_catalog_admin_info = compute\n",
            ["[DEFAULT] nova_catalog_admin_info", "'compute'"],
        ),
        (
            "[DEFAULT]\nnova_catalog_admin_info = compute:nova:secretURL\n",
            ["[DEFAULT] nova_catalog_admin_info", "secretURL"],
        ),
        (
            "[DEFAULT]\nnova_ca_certificates_file = /nowhere.pem\n"
            "[keystone_authtoken]\nauth_type = password\nauth_url = https://keystone/v3\n",
            ["[DEFAULT] nova_ca_certificates_file", "/nowhere.pem"],
        ),
    ],
)
def test_connect_invalid_option_is_named(tmp_path, clock, text, words):
    conf = configure(tmp_path, auth_url="", authtoken=False, extra=text)

    with pytest.raises(errors.ConfigInvalid) as invalid:
        nova.connect(conf, clock)

    assert all(word in str(invalid.value) for word in words)


@pytest.mark.parametrize(
    "value", ["compute:nova:publicURL", "compute:Compute Service:internalURL", "compute::admin"]
)
def test_connect_catalogue_info_in_the_forms_of_the_field(connect, value):
    cloud = connect(f"[DEFAULT]\nnova_catalog_admin_info = {value}\n")

    assert len(cloud.compute_services()) == 1


def test_connect_other_region_is_unavailable_and_names_options(connect):
    cloud = connect("[DEFAULT]\nos_region_name = Elsewhere\n", retries=0)

    with pytest.raises(errors.CloudUnavailable, match="os_region_name"):
        cloud.compute_services()


# ---- the monitors' access


def monitor_conf(tmp_path, text):
    path = tmp_path / "masakarimonitors.conf"
    path.write_text(text)
    conf = cfg.ConfigOpts()
    options.register_monitors(conf)
    conf(["--config-file", str(path)], project="masakarimonitors")
    return conf


@pytest.mark.parametrize("kind", ["password", "v3password"])
@pytest.mark.parametrize("group", ["api", "keystone_authtoken"])
def test_connect_monitor_uses_either_group(server, clock, tmp_path, group, kind):
    text = (
        f"[{group}]\nauth_type = {kind}\nauth_url = {server.auth_url}\nusername = admin\n"
        "password = secret\nproject_name = service\n"
        "user_domain_id = default\nproject_domain_name = Default\n"
    )

    cloud = nova.connect_monitor(monitor_conf(tmp_path, text), clock)

    assert [s.host for s in cloud.compute_services()] == ["compute-1"]
    assert only_token(server).user == "admin"


def test_connect_monitor_without_credentials_names_option(clock, tmp_path):
    with pytest.raises(errors.ConfigInvalid, match=r"\[api\] auth_url"):
        nova.connect_monitor(monitor_conf(tmp_path, ""), clock)


def test_connect_monitor_other_region_names_its_options(server, clock, tmp_path):
    text = (
        f"[api]\nauth_url = {server.auth_url}\nusername = admin\npassword = secret\n"
        "project_name = service\nuser_domain_id = default\nproject_domain_id = default\n"
        "region = Elsewhere\n"
    )

    with pytest.raises(errors.CloudUnavailable, match=r"\[api\] region"):
        nova.connect_monitor(monitor_conf(tmp_path, text), clock).compute_services()


# ---- sessions


def test_session_is_one_for_all_threads(server, connect):
    cloud = connect()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: cloud.compute_services(), range(100)))

    assert requests(server, "keystone POST") == 1
    assert requests(server, "nova GET /os-services") == 100
    assert requests(server, "nova GET") == 101  # one discovery


def test_session_with_expired_token_gets_a_new_one(server, connect):
    cloud = connect()
    cloud.compute_services()

    server.keystone.expire_tokens()

    assert len(cloud.compute_services()) == 1
    assert len(server.keystone.issued) == 2


def test_session_survives_cut_connections(server, connect):
    cloud = connect()
    cloud.compute_services()

    server.cut_connections()

    assert len(cloud.compute_services()) == 1


def test_session_keystone_away_at_first_is_waited_out(server, connect, clock, sim):
    server.keystone.failure = 503
    cloud = connect(retries=2)
    with pytest.raises(errors.CloudUnavailable, match="503"):
        cloud.compute_services()

    server.keystone.failure = 0

    assert len(cloud.compute_services()) == 1


def test_session_nobody_listening_is_unavailable(clock, tmp_path):
    conf = configure(tmp_path, auth_url="http://127.0.0.1:9/v3")

    with pytest.raises(errors.CloudUnavailable, match=r"127\.0\.0\.1"):
        nova.connect(conf, clock).compute_services()

    assert clock.monotonic() == pytest.approx(45.5)


def test_session_interrupted_pause_is_the_end_of_the_retries(tmp_path):
    clock = SystemClock()
    clock.interrupt()
    cloud = nova.connect(configure(tmp_path, auth_url="http://127.0.0.1:9/v3"), clock, retries=100)

    with pytest.raises(errors.CloudUnavailable, match="ending"):
        cloud.compute_services()


def test_session_slow_answer_ends_at_the_timeout(connect, sim):
    answer = threading.Event()
    sim.add_fault(Fault("compute_services", times=None, hook=lambda _: answer.wait(60)))
    cloud = connect("[nova]\ntimeout = 0.1\n", retries=1)

    with pytest.raises(errors.CloudUnavailable, match="timed out"):
        cloud.compute_services()

    answer.set()
    assert sim.calls["compute_services"] == 2


def test_evacuate_slow_answer_is_told_and_not_asked_for_again(connect, sim, clock):
    sim.add_host("compute-2")
    vm = sim.add_server("compute-1", "web1")
    sim.power_off("compute-1")
    clock.sleep(10)
    answer = threading.Event()
    sim.add_fault(Fault("evacuate", when="after", hook=lambda _: answer.wait(60)))

    with pytest.raises(errors.CloudUnavailable):
        connect("[nova]\ntimeout = 0.2\n").evacuate(vm)

    answer.set()
    assert sim.calls["evacuate"] == 1


# ---- microversions


@pytest.mark.parametrize(
    ("offered", "confirms", "reason"),
    [((2, 53), False, None), ((2, 60), True, None), ((2, 94), True, "r"), ((2, 99), True, "r")],
)
def test_microversion_is_the_highest_up_to_2_94(connect, sim, offered, confirms, reason):
    sim.settings.max_microversion = offered
    vm = sim.add_server("compute-1", "web1")
    cloud = connect()

    cloud.lock(vm, "r")

    assert cloud.confirms_by_migrations is confirms
    assert sim.vm(vm).locked_reason == reason


@pytest.mark.parametrize(("lowest", "highest"), [((2, 1), (2, 52)), ((2, 95), (2, 99))])
def test_microversion_missing_is_unavailable_and_names_range(connect, sim, lowest, highest):
    sim.settings.min_microversion, sim.settings.max_microversion = lowest, highest

    with pytest.raises(errors.CloudUnavailable, match=r"2\.53 to 2\.94"):
        connect(retries=0).compute_services()


# ---- messages


def test_log_has_a_line_per_call_and_no_secrets(server, connect, caplog):
    caplog.set_level(logging.DEBUG)

    connect().compute_services()

    lines = [r.getMessage() for r in caplog.records if r.name.startswith("masakari.nova")]
    assert any("GET /os-services" in line and "req-" in line for line in lines)
    secrets = ['"secret"', *server.keystone.token_ids()]
    assert not [secret for secret in secrets if secret in caplog.text]


def test_refusal_message_has_bounded_length(connect, sim):
    vm = sim.add_server("compute-1", "web1")

    with pytest.raises(errors.CloudRefused) as refused:
        connect().reset_state(vm, "x" * 5000)

    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("Sat, 21 Nov 2026 08:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 07:00:00 GMT", 0),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    response = requests_.Response()
    response.headers["Date"] = "Sat, 21 Nov 2026 08:00:00 GMT"
    if value is not None:
        response.headers["Retry-After"] = value

    assert client.retry_after(response) == seconds


# ---- a network that fails, in words for people


@pytest.fixture
def closing_port():
    """Where connections are taken and closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close():
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=close, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def unavailable(clock, tmp_path, url, extra=""):
    conf = configure(tmp_path, auth_url=f"{url}/v3", extra=extra)
    with pytest.raises(errors.CloudUnavailable) as e:
        nova.connect(conf, clock, retries=0).compute_services()
    return str(e.value)


def test_connection_refused_says_by_whom(clock, tmp_path):
    assert unavailable(clock, tmp_path, "http://127.0.0.1:9") == (
        "Keystone is not available: no connection to http://127.0.0.1:9 (Connection refused)"
    )


def test_connection_closed_says_by_whom(clock, tmp_path, closing_port):
    url = f"http://127.0.0.1:{closing_port}"

    assert unavailable(clock, tmp_path, url).startswith(
        f"Keystone is not available: no answer from {url} ("
    )


def test_connection_without_an_answer_timed_out(clock, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        assert unavailable(clock, tmp_path, url, "[nova]\ntimeout = 0.1\n") == (
            f"Keystone is not available: no answer from {url} (timed out)"
        )
