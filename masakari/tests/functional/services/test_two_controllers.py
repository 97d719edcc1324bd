"""The installation guide's two controllers, as written there: hosts with a systemd of their own.

HAProxy is a third host; database, bus, etcd, Keystone and Nova are at the name `controller`, on
ports of their own.
"""

import contextlib
import importlib.util
import os

import pytest
import sqlalchemy as sa

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests import conftest, servers
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.load import Load
from masakari.tests.functional.program import wait
from masakari.tests.functional.services import guide
from masakari.tests.functional.services.host import Host
from masakari.tests.functional.world import host as world

pytestmark = pytest.mark.functional

VMS = 12
TOKEN = {"X-Auth-Token": "admin-token"}
PORT = 15869
"""HAProxy's."""
CONFIGURATION, PROXY = "/etc/masakari/masakari.conf", "/etc/haproxy/haproxy.cfg"
UWSGI = ("/etc/masakari/uwsgi.ini", "/etc/systemd/system/masakari-api.service.d/uwsgi.conf")
SERVICES = ("masakari-api", "masakari-engine")
OUT_OF_SERVICE = "/etc/masakari/healthcheck_disable"
SOONER = """
[DEFAULT]
wait_period_after_service_update = 60
[engine]
lease = 4
sweep_interval = 1
"""
"""What takes longer with the defaults."""


class Pair:
    """Two controllers behind HAProxy; `cloud` is what really happens."""

    def __init__(self, lan, cloud):
        self.cloud = cloud
        self.front = lan.add("front", 100, Host)
        self.controllers = [lan.add(f"controller{n}", n, Host) for n in (1, 2)]
        self.url = f"http://{self.front.address}:{PORT}"
        self.api = Api(f"{self.url}/v1", TOKEN)
        self._names = {"controller": lan.gateway} | {c.name: c.address for c in self.controllers}
        self._asked = 0

    def install(self, addresses):
        """The guide's files are written, with what is at *addresses*; its units are enabled."""
        lines = [f"{address} {name}\n" for name, address in self._names.items()]
        for host in (self.front, *self.controllers):
            host.start()
            host.write("/etc/hosts", "".join(["127.0.0.1 localhost\n", *lines]), "644", "root")
        for host in self.controllers:
            host.install()
            host.write(CONFIGURATION, guide.file(CONFIGURATION, addresses) + SOONER)
            for file in UWSGI:
                host.write(file, guide.file(file, addresses), "644", "root")
            host.systemctl("daemon-reload")
            host.systemctl("enable", *SERVICES)
        manage = "/opt/masakari/bin/masakari-manage"
        self.controllers[0].run("runuser", "-u", "masakari", "--", manage, "db", "sync")
        self.front.write(PROXY, guide.file(PROXY, addresses), "644", "root")

    def serve(self):
        """All that is to run runs, and both APIs are asked."""
        for host in self.controllers:
            if not host.is_on:
                host.start()
            host.systemctl("start", "--no-block", *SERVICES)
        for host in self.controllers:
            for name in SERVICES:
                host.wait(f"{name} runs", lambda h=host, n=name: is_active(h, n), 120)
        self.front.systemctl("start", "haproxy")
        wait("both are asked", lambda: self.who_is_asked() == {"controller1", "controller2"}, 120)

    def who_is_asked(self):
        """The controllers that have answered some requests."""
        self._asked += 1
        page = f"/segments?limit={self._asked}"
        statuses = [self.api.call("GET", page)[0] for _ in range(10)]
        if statuses != [200] * 10:
            return set()
        logs = {host.name: host.journal("masakari-api") for host in self.controllers if host.is_on}
        return {name for name, log in logs.items() if f"GET /v1{page} =>" in log}

    def wait_until_proxy_says(self, *words):
        def is_said():
            lines = self.front.journal("haproxy").splitlines()
            return any(all(word in line for word in words) for line in lines)

        wait(f"HAProxy says {words}", is_said, 60)

    @contextlib.contextmanager
    def load(self):
        """Requests to HAProxy meanwhile, of which none fails."""
        load = Load(PORT, "/v1/segments", TOKEN, address=self.front.address, rate=20)
        try:
            yield
        finally:
            load.end()
        assert load.failures == load.refused == []
        assert set(load.answers) == {200}


def is_active(host, name):
    return host.show(name, "ActiveState") == "active"


@pytest.fixture(scope="module")
def installed(server, tmp_path_factory):
    if importlib.util.find_spec("pyuwsgi") is None:
        pytest.skip("uWSGI is missing: pip install pyuwsgi")
    if reason := world.missing("haproxy", systemd=True):
        pytest.skip(reason)
    cloud = SimCloud(SystemClock(), Settings(evacuation_s=1.5, service_down_time_s=2))
    for n in (1, 2, 3):
        cloud.add_host(f"compute{n}")
    for n in range(VMS):
        cloud.add_server("compute1", f"vm{n}")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(conftest.fresh_database(server, "mariadb", "controllers"))
        lan = world.Lan(tmp_path_factory.mktemp("lan"))
        stack.callback(lan.down)
        port = {
            kind: stack.enter_context(servers.Gate(server(kind).port, address=lan.gateway)).port
            for kind in ("mariadb", "rabbitmq", "etcd")
        }
        pair = Pair(lan, cloud)
        sim = stack.enter_context(SimServer(cloud, host=lan.gateway, ha_url=f"{pair.url}/v1"))
        pair.database = sa.create_engine(url, poolclass=sa.NullPool)
        account = f"masakari:{servers.PASSWORD}@controller"
        host = f"w{conftest.worker_number()}"
        pair.install(
            {
                "masakari:secret@controller/masakari": (
                    f"{account}:{port['mariadb']}/{pair.database.url.database}"
                ),
                "openstack:secret@controller/": f"{account}:{port['rabbitmq']}/{host}",
                "http://controller1:2379": f"http://controller:{port['etcd']}",
                "http://controller:5000/v3": sim.auth_url,
            }
        )
        yield pair


@pytest.fixture
def pair(installed):
    """Both controllers serve."""
    installed.serve()
    return installed


def test_haproxy_takes_the_file_of_the_guide(pair):
    assert pair.front.run("haproxy", "-c", "-f", PROXY) == "Configuration file is valid\n"

    found = pair.api.call("GET", "/")[1]["version"]["links"]

    assert {link["href"] for link in found if link["rel"] == "self"} == {f"{pair.url}/v1/"}


def test_who_is_taken_out_of_service_is_asked_nothing(pair):
    with pair.load():
        pair.controllers[0].write(OUT_OF_SERVICE, "")
        pair.wait_until_proxy_says("masakari/controller1 is DOWN", "code: 503")
        meanwhile = pair.who_is_asked()
        pair.controllers[0].run("rm", OUT_OF_SERVICE)
        wait("both are asked", lambda: len(pair.who_is_asked()) == 2, 60)

    assert meanwhile == {"controller2"}


def test_controller_dies_in_the_middle_of_a_recovery_the_other_ends_it(pair):
    pair.api.register(["compute1", "compute2", "compute3"])
    with pair.load():
        pair.cloud.power_off("compute1")
        uuid = pair.api.report("compute1")
        wait("some VMs move", lambda: len(pair.cloud.ledger.evacuations) >= VMS // 4, 120)
        found = []
        wait("an engine has it", lambda: found.extend(owners(pair)) or found, 60)
        first = found[0]

        first.stop()

        pair.wait_until_proxy_says(f"masakari/{first.name} is DOWN")
        path = f"/notifications/{uuid}"
        wait("the recovery is finished", lambda: status(pair, path) == "finished", 180)
    promises.evacuated_once(pair.cloud, "compute1", [f"vm{n}" for n in range(VMS)])
    (other,) = (host for host in pair.controllers if host is not first)
    assert uuid in other.journal("masakari-engine")


@pytest.mark.skipif(
    os.environ.get("MASAKARI_THOROUGH") != "1", reason="half a minute: make soak runs it"
)
def test_each_is_restarted_under_load(pair):
    with pair.load():
        for host in pair.controllers:
            host.systemctl("restart", *SERVICES)
            wait("both are asked", lambda: len(pair.who_is_asked()) == 2, 120)


def owners(pair):
    """The controllers whose engine has the recovery: one, or none for a moment."""
    with pair.database.connect() as connection:
        name = connection.exec_driver_sql("SELECT owner FROM notifications").scalar_one()
    return [host for host in pair.controllers if name and name.startswith(f"{host.name}:")]


def status(pair, path):
    return pair.api.call("GET", path)[1]["notification"]["status"]
