"""masakari-manage check on a real RabbitMQ and with a real API that real monitors would ask."""

import contextlib
import pathlib
import uuid
from collections.abc import Callable, Iterator

import pytest
from oslo_config import cfg

from masakari import db, rpc
from masakari.api.app import make_app
from masakari.clock import SystemClock
from masakari.cmd.readiness import bus, monitors, stores
from masakari.cmd.readiness.findings import Finding, finding_of
from masakari.db.session import Database
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests import conftest, servers
from masakari.tests.functional.coordination.test_locks import URLS
from masakari.tests.functional.program import wait
from masakari.tests.http import live
from masakari.tests.unit.db import rows

pytestmark = pytest.mark.functional


def verdicts(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f.check, str(f.verdict)) for f in findings]


# ---- the bus


@pytest.fixture
def bus_conf(conf: cfg.ConfigOpts, rabbit_url: str) -> cfg.ConfigOpts:
    """Options with a topic and an exchange that nobody has used yet."""
    rpc.register(conf)
    conf.set_override("transport_url", rabbit_url)
    conf.set_override("masakari_topic", f"engine-{uuid.uuid4().hex}")
    conf.set_override("control_exchange", f"exchange-{uuid.uuid4().hex}")
    return conf


@pytest.fixture
def listening(bus_conf: cfg.ConfigOpts) -> Iterator[None]:
    """An engine hears what is announced."""
    transport = rpc.transport(bus_conf)
    server = rpc.server(bus_conf, transport, lambda _: None)
    server.start()
    yield
    server.stop()
    server.wait()
    transport.cleanup()


def test_bus_without_an_engine_is_left_as_it_was(bus_conf: cfg.ConfigOpts) -> None:
    wanted = [
        ("Message bus", "OK"),
        (f"Message bus: queue {bus_conf.masakari_topic}", "WARN"),
        (f"Message bus: send to exchange {bus_conf.control_exchange}", "WARN"),
    ]

    assert verdicts(bus.bus(bus_conf, SystemClock())) == wanted
    assert verdicts(bus.bus(bus_conf, SystemClock())) == wanted


def test_bus_with_an_engine(bus_conf: cfg.ConfigOpts, listening: None) -> None:
    wait("the engine listens", lambda: bus.bus(bus_conf, SystemClock())[1].verdict == "OK", 20)

    found = bus.bus(bus_conf, SystemClock())

    assert [str(f.verdict) for f in found] == ["OK", "OK", "OK"], found
    assert found[1].details == "engines that listen: 1"


def test_bus_that_refuses_the_password(bus_conf: cfg.ConfigOpts, rabbit_url: str) -> None:
    bus_conf.set_override("transport_url", rabbit_url.replace(servers.PASSWORD, "not-it"))

    (found,) = bus.bus(bus_conf, SystemClock())

    assert str(found.verdict) == "FAIL"
    assert "ACCESS_REFUSED" in found.details
    assert "not-it" not in found.details


# ---- locks


@pytest.mark.parametrize("kind", URLS)
def test_lock_is_taken_and_released(
    conf: cfg.ConfigOpts, server: conftest.StartServer, kind: str
) -> None:
    conf.set_override("backend_url", URLS[kind].format(port=server(kind).port), "coordination")

    assert str(finding_of("lock", stores.lock, conf, SystemClock()).verdict) == "OK"


# ---- monitors

CONFIG = """\
[api]
auth_url = {auth_url}
username = {user}
password = x
project_name = service
user_domain_name = Default
project_domain_name = Default
endpoint_override = {url}/v1
"""


@pytest.fixture
def api(
    migrated_conf: cfg.ConfigOpts, database: Database, tmp_path: pathlib.Path
) -> Iterator[Callable[[str], list[Finding]]]:
    """What is found with the configuration of monitors of that user."""
    cloud = SimCloud(SystemClock(), Settings(retries=0))
    with contextlib.ExitStack() as stack:
        keystone = stack.enter_context(SimServer(cloud))
        live.secure(migrated_conf, keystone.auth_url)
        store = stack.enter_context(contextlib.closing(db.progress.connect(migrated_conf)))
        application = make_app(
            migrated_conf, database=database, progress=store, cloud=cloud, engine=live.Engines()
        )
        url = stack.enter_context(live.listening(migrated_conf, application))

        def look(user: str) -> list[Finding]:
            path = tmp_path / "masakarimonitors.conf"
            path.write_text(CONFIG.format(auth_url=keystone.auth_url, user=user, url=url))
            return monitors.monitors([str(path)])

        yield look


def test_monitor_that_would_be_heard(
    api: Callable[[str], list[Finding]], database: Database
) -> None:
    rows.host(database)

    found = api("masakari")

    assert [str(f.verdict) for f in found] == ["OK", "OK"]
    assert found[0].details == "hosts in enabled segments: 1"
    assert db.notifications.every(database) == []


def test_monitor_that_may_not_send(api: Callable[[str], list[Finding]], database: Database) -> None:
    found = api("demo")

    assert [str(f.verdict) for f in found] == ["WARN", "FAIL"]
    assert "os_masakari_api:notifications:create" in found[1].details


def test_monitor_without_hosts_to_watch(api: Callable[[str], list[Finding]]) -> None:
    assert [str(f.verdict) for f in api("masakari")] == ["WARN", "OK"]
