"""Whom our connections trust: certificates of a private authority, and none that is not right."""

import contextlib
import logging
import pathlib
import queue
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_messaging import conffixture

from masakari import errors, locks, nova, outage, rpc
from masakari.clock import SystemClock, wait_until
from masakari.cmd import database as database_
from masakari.db import session
from masakari.sim.cloud import SimCloud
from masakari.sim.http import SimServer
from masakari.tests import certificates, conftest, keeper, servers
from masakari.tests.contract.worlds import SteppingClock, configure
from masakari.tests.unit.db.clocks import ManualClock

pytestmark = pytest.mark.functional

CLOCK = SystemClock()
WRONG = {
    "authority": "unable to get local issuer certificate",
    "time": "certificate has expired",
    "name": "not valid for '127.0.0.1'",
}
"""What may be wrong with a server's certificate, and how that is told."""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> certificates.Authority:
    """The authority that clients trust."""
    return certificates.Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def wrong(
    ours: certificates.Authority, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, keeper.Pair]:
    """A certificate for each thing that may be wrong."""
    others = certificates.Authority(tmp_path_factory.mktemp("others"), "others")
    return {
        "authority": others.issue("authority"),
        "time": ours.issue("time", expired=True),
        "name": ours.issue("name", *certificates.ELSEWHERE),
    }


# ---- Keystone and Nova


class Cloud:
    """A simulated cloud whose Keystone and Nova speak TLS, each with a certificate of its own."""

    def __init__(self, server: SimServer, ours: certificates.Authority) -> None:
        port = int(server.url.rpartition(":")[2])
        good = ours.issue("good")
        self.keystone, self.nova = (
            servers.Gate(port, tls=certificates.context(good)) for _ in range(2)
        )
        server.keystone.base_url = f"https://127.0.0.1:{self.keystone.port}"
        server.keystone.nova_base_url = f"https://127.0.0.1:{self.nova.port}"


@pytest.fixture
def cloud(ours: certificates.Authority) -> Iterator[Cloud]:
    sim = SimCloud(CLOCK)
    sim.add_host("compute1")
    with SimServer(sim) as server:
        cloud = Cloud(server, ours)
        with cloud.keystone, cloud.nova:
            yield cloud


@pytest.fixture
def connect(
    cloud: Cloud, ours: certificates.Authority, tmp_path: pathlib.Path
) -> Callable[[], nova.NovaCloud]:
    """Connects to the cloud, trusting our authority."""
    url = f"https://127.0.0.1:{cloud.keystone.port}/v3"
    extra = f"[DEFAULT]\nnova_ca_certificates_file = {ours.file}\n"
    conf = configure(tmp_path, auth_url=url, extra=extra)
    return lambda: nova.connect(conf, SteppingClock(), retries=1)


def test_keystone_and_nova_with_our_certificates_are_trusted(
    connect: Callable[[], nova.NovaCloud],
) -> None:
    assert [s.host for s in connect().compute_services()] == ["compute1"]


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("service", ["keystone", "nova"])
def test_keystone_or_nova_with_a_wrong_certificate_is_refused(
    cloud: Cloud,
    connect: Callable[[], nova.NovaCloud],
    wrong: dict[str, keeper.Pair],
    service: str,
    what: str,
) -> None:
    gate = getattr(cloud, service)
    gate.tls = certificates.context(wrong[what])

    with pytest.raises(errors.CloudUnavailable) as e:
        connect().compute_services()

    said = f"{service.title()} is not available: the certificate of https://127.0.0.1:{gate.port}"
    assert str(e.value).startswith(said)
    assert WRONG[what] in str(e.value)


def test_without_our_authority_nobody_is_trusted(cloud: Cloud, tmp_path: pathlib.Path) -> None:
    conf = configure(tmp_path, auth_url=f"https://127.0.0.1:{cloud.keystone.port}/v3")

    with pytest.raises(errors.CloudUnavailable, match=r"^Keystone .* certificate .* is refused"):
        nova.connect(conf, SteppingClock(), retries=0).compute_services()


# ---- databases


TRUST = {
    "mariadb": {"ssl_ca": "{}"},
    "postgresql": {"sslmode": "verify-full", "sslrootcert": "{}"},
}
"""Options of the URL of the database."""
START = {"mariadb": keeper.mariadb, "postgresql": keeper.postgresql}
READ_AGAIN = {"mariadb": "FLUSH SSL", "postgresql": "SELECT pg_reload_conf()"}
REFUSED = {
    "mariadb": WRONG,
    "postgresql": {
        "authority": "certificate verify failed",
        "time": "certificate verify failed",
        "name": 'does not match host name "127.0.0.1"',
    },
}


@pytest.mark.parametrize("kind", servers.DATABASES)
def test_database_is_trusted_only_with_a_right_certificate(
    kind: str,
    conf: cfg.ConfigOpts,
    ours: certificates.Authority,
    wrong: dict[str, keeper.Pair],
    caplog: pytest.LogCaptureFixture,
) -> None:
    if reason := servers.missing(kind):
        pytest.skip(reason)
    with (
        keeper.directory_of(kind) as directory,
        START[kind](directory, tls=ours.issue("database")) as port,
    ):
        url = sa.make_url(servers.database_url(kind, port, servers.FIRST[kind]))
        trust = {name: value.format(ours.file) for name, value in TRUST[kind].items()}
        conf.set_override(
            "connection",
            url.update_query_dict(trust).render_as_string(hide_password=False),
            group="database",
        )
        said = {}
        assert answers(conf)
        for what, pair in wrong.items():
            keeper.lay_certificate(directory, pair)
            servers.execute(kind, port, READ_AGAIN[kind])
            caplog.clear()
            assert wait_until(CLOCK, lambda: not answers(conf), 10, 0.2), what
            said[what] = [r.getMessage() for r in caplog.records if r.levelno > logging.INFO]

    for what, lines in said.items():
        (line,) = lines
        assert line.startswith("the database is not available: "), line
        assert REFUSED[kind][what] in line
        assert servers.PASSWORD not in line


def answers(conf: cfg.ConfigOpts) -> bool:
    database = session.connect(conf, ManualClock())
    try:
        return database_.is_answering(database)
    finally:
        database.dispose()


# ---- the backend of locks


@pytest.fixture(params=["nothing", *WRONG])
def what(request: pytest.FixtureRequest) -> str:
    """What is wrong with the certificate."""
    return str(request.param)


@pytest.fixture
def pair(what: str, ours: certificates.Authority, wrong: dict[str, keeper.Pair]) -> keeper.Pair:
    """The certificate."""
    return ours.issue("good") if what == "nothing" else wrong[what]


def test_etcd_is_trusted_only_with_a_right_certificate(
    server: conftest.StartServer,
    ours: certificates.Authority,
    conf: cfg.ConfigOpts,
    caplog: pytest.LogCaptureFixture,
    *,
    what: str,
    pair: keeper.Pair,
) -> None:
    with servers.Gate(server("etcd").port, tls=certificates.context(pair)) as gate:
        url = f"etcd3+https://127.0.0.1:{gate.port}?ca_cert={ours.file}&timeout=2"
        conf.set_override("backend_url", url, group="coordination")
        with contextlib.closing(locks.connect(conf, CLOCK)) as found:
            problem = found.problem()

    said = [r.getMessage() for r in caplog.records if r.name == outage.__name__]
    if what == "nothing":
        assert (problem, said) == (None, [])
    else:
        assert len(said) == 1
        assert said[0].startswith("the lock backend is not available")
        assert WRONG[what] in said[0]


# ---- the message bus


def test_rabbitmq_is_trusted_only_with_a_right_certificate(
    rabbit_url: str,
    ours: certificates.Authority,
    conf: cfg.ConfigOpts,
    caplog: pytest.LogCaptureFixture,
    *,
    what: str,
    pair: keeper.Pair,
) -> None:
    rpc.register(conf)
    before, _, after = rabbit_url.rpartition(":")
    port, _, virtual_host = after.partition("/")
    for option, value in {
        "ssl": True,
        "ssl_ca_file": str(ours.file),
        "ssl_enforce_hostname_verification": True,
    }.items():
        conf.set_override(option, value, group="oslo_messaging_rabbit")
    caplog.set_level(logging.INFO)
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    with (
        conffixture.ConfFixture(conf),  # declares what oslo.messaging looks for on cfg.CONF only
        servers.Gate(int(port), tls=certificates.context(pair)) as gate,
    ):
        conf.set_override("transport_url", f"{before}:{gate.port}/{virtual_host}")
        bus = rpc.transport(conf)
        told = rpc.watch(CLOCK)
        client = rpc.EngineClient(conf, bus, told)
        if what != "nothing":
            client.recover("a hint")
            assert wait_until(CLOCK, lambda: told.is_told, 20, 0.1)
            gate.tls = certificates.context(ours.issue("good"))
            assert wait_until(CLOCK, lambda: not told.is_told, 20, 0.1)
        engine = rpc.server(conf, bus, heard.put)
        engine.start()
        client.recover("a hint")
        try:
            assert heard.get(timeout=20) == "a hint"
        finally:
            engine.stop()
            engine.wait()
            bus.cleanup()

    said = [r.getMessage() for r in caplog.records if r.name.startswith(("masakari", "oslo"))]
    if what == "nothing":
        assert said == []
    else:
        assert len(said) == 2
        assert said[0].startswith("the message bus is not available: ")
        assert WRONG[what] in said[0]
        assert servers.PASSWORD not in said[0]
        assert said[1].startswith("the message bus is available again, after ")
