"""Each server is restarted in the middle of a recovery: every VM is recovered, none twice."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests import servers
from masakari.tests.conftest import TOLD_AT_THE_END
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait

pytestmark = pytest.mark.functional

VMS = 100 if os.environ.get("MASAKARI_THOROUGH") == "1" else 20
SERVERS = ("mariadb", "postgresql", "rabbitmq", "etcd")
RESTARTED = {
    "mariadb": ("mariadb", "rabbitmq", "etcd", "cloud"),
    "postgresql": ("postgresql",),
}
"""{the database: what is restarted while it keeps the recovery}"""
CONFIG = (
    AUTHTOKEN
    + """\
[DEFAULT]
transport_url = rabbit://masakari:{password}@127.0.0.1:{rabbitmq}/w0
auth_strategy = noauth2
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 1
state_path = {directory}
host_failure_recovery_threads = 10
wait_period_after_service_update = 60
process_unfinished_notifications_interval = 2
[database]
connection = {database}
[coordination]
backend_url = etcd3+http://127.0.0.1:{etcd}?timeout=3
[engine]
lease = 6
sweep_interval = 1
retry_limit = 20
"""
)


class Deployment:
    """An API and two engines; `cloud` is what really happens, and outlives its web server."""

    def __init__(self, directory, ports, database, recoveries):
        self.cloud = SimCloud(SystemClock(), Settings(evacuation_s=1.5, service_down_time_s=2))
        self._mortal = [f"mortal{n}" for n in range(recoveries)]
        for host in self._mortal:
            self.cloud.add_host(host)
            for n in range(VMS):
                self.cloud.add_server(host, f"{host}-vm{n}")
        for n in range(3):
            self.cloud.add_host(f"spare{n}")
        self._sim = SimServer(self.cloud)
        self._sim.start()
        port = free_port()
        self.api = Api(f"http://127.0.0.1:{port}/v1")
        self._config = directory / "masakari.conf"
        self._config.write_text(
            CONFIG.format(
                **ports,
                password=servers.PASSWORD,
                port=port,
                directory=directory,
                database=database,
                keystone=self._sim.auth_url,
            )
        )
        self.programs = [
            Program(name, self._config, directory / f"{n}.log")
            for n, name in enumerate(("masakari-api", "masakari-engine", "masakari-engine"))
        ]

    def __enter__(self):
        manage = pathlib.Path(sys.executable).parent / "masakari-manage"
        subprocess.run([manage, "--config-file", self._config, "db", "sync"], check=True)
        for program in self.programs:
            program.start()
        wait("the API answers", lambda: self.api.call("GET", "/segments")[0] == 200, 90)
        for engine in self.programs[1:]:
            engine.wait_until_said("listening on the message bus")
        self.api.register(self._mortal)
        return self

    def __exit__(self, *_):
        with contextlib.ExitStack() as stack:
            stack.callback(self._sim.stop)
            for program in self.programs:
                stack.callback(program.stop)

    def restart_cloud(self):
        """Keystone, which forgets its tokens, and Nova: the port refuses for two seconds."""
        port = int(self._sim.url.rpartition(":")[2])
        self._sim.stop()
        SystemClock().sleep(2)
        self._sim = SimServer(self.cloud, port=port)
        self._sim.start()

    def die(self):
        """One more host dies; (its name, the names of its VMs, the path of the notification)."""
        host = self._mortal.pop()
        victims = {name for name, hosts in self.cloud.running().items() if host in hosts}
        self.cloud.power_off(host)
        return host, victims, f"/notifications/{self.api.report(host)}"

    def evacuated(self, host):
        """Ids of the VMs that Nova was asked to move from there, one for each time."""
        return [e.server_id for e in self.cloud.ledger.evacuations if e.source == host]

    def check(self, host, victims):
        """Every VM runs exactly once, was evacuated once, and is not locked."""
        promises.evacuated_once(self.cloud, host, victims)
        wait("nothing is locked", lambda: self.cloud.left_locked() == [], 30)
        for program in self.programs:
            assert program.returncode is None
            assert not program.said("Traceback"), program.log


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    for kind in SERVERS:
        if reason := servers.missing(kind):
            pytest.skip(reason)
    directory = tmp_path_factory.mktemp("private")
    with contextlib.ExitStack() as stack:
        yield {
            kind: stack.enter_context(servers.Private(kind, directory / f"{kind}.log"))
            for kind in SERVERS
        }


@pytest.fixture(scope="module")
def deployment(request, private, tmp_path_factory):
    ports = {kind: server.port for kind, server in private.items()}
    with (
        servers.fresh_database(request.param, ports[request.param], "masakari") as url,
        Deployment(
            tmp_path_factory.mktemp("restarts"), ports, url, len(RESTARTED[request.param])
        ) as deployment,
    ):
        yield deployment


@pytest.mark.parametrize(
    ("deployment", "what"),
    [(database, what) for database, restarted in RESTARTED.items() for what in restarted],
    indirect=["deployment"],
)
def test_restart_in_the_middle_of_a_recovery(deployment, private, record_property, what):
    host, victims, path = deployment.die()
    wait("some are on their way", lambda: len(deployment.evacuated(host)) >= VMS // 4, 60)
    before, began = len(deployment.evacuated(host)), time.monotonic()

    (deployment.restart_cloud if what == "cloud" else private[what].restart)()

    restarted_s = time.monotonic() - began

    def is_finished():
        status, answer = deployment.api.call("GET", path)
        return status == 200 and answer["notification"]["status"] == "finished"

    wait("the recovery is finished", is_finished, 180)
    took_s = time.monotonic() - began
    deployment.check(host, victims)
    record_property(
        TOLD_AT_THE_END,
        f"{what} restarted (away for {restarted_s:.1f} s) after {before} of {len(victims)} VMs: "
        f"all recovered {took_s:.1f} s later, by {len(deployment.evacuated(host))} evacuations",
    )
