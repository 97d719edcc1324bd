"""API and engines as real processes, with MariaDB and RabbitMQ, against the cloud over HTTP."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait

pytestmark = pytest.mark.functional

VMS = 12

CONFIG = (
    AUTHTOKEN
    + """\
[DEFAULT]
transport_url = {bus}
auth_strategy = noauth2
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 1
host_failure_recovery_threads = 4
wait_period_after_service_update = 20
[database]
connection = {database}
[engine]
lease = 3
sweep_interval = 1
[nova]
timeout = 15
"""
)


class Deployment:
    """Two engines and an API; `cloud` is what really happens."""

    def __init__(self, directory, database, bus):
        self.cloud = SimCloud(SystemClock(), Settings(evacuation_s=1.5, service_down_time_s=2))
        for n in (1, 2, 3):
            self.cloud.add_host(f"compute{n}")
        for n in range(VMS):
            self.cloud.add_server("compute1", f"vm{n}", metadata={"HA_Enabled": "True"})
        self.keystone = SimServer(self.cloud)
        self._nova = contextlib.ExitStack()
        self._nova.callback(self.keystone.stop)
        port = free_port()
        self.api = Api(f"http://127.0.0.1:{port}/v1")
        self.config = directory / "masakari.conf"
        self.config.write_text(
            CONFIG.format(
                bus=bus,
                port=port,
                database=database,
                keystone=self.keystone.auth_url,
            )
        )
        names = ("masakari-api", "masakari-engine", "masakari-engine")
        self.server, self.engine, self.other = (
            Program(name, self.config, directory / f"{n}.log") for n, name in enumerate(names)
        )

    def __enter__(self):
        self.keystone.start()
        manage = Path(sys.executable).parent / "masakari-manage"
        subprocess.run([manage, "--config-file", self.config, "db", "sync"], check=True)
        self.server.start()
        self.engine.start()
        wait("the API answers", lambda: self.api.call("GET", "/segments")[0] == 200, 90)
        self.api.register(["compute1"])
        return self

    def __exit__(self, *_):
        for program in (self.server, self.engine, self.other):
            program.stop()
        self.take_nova_away()

    def take_nova_away(self):
        """Keystone's and Nova's connections are refused from now on."""
        self._nova.close()

    def report(self):
        """The host is dead; the path of the notification that says so."""
        self.cloud.power_off("compute1")
        return f"/notifications/{self.api.report('compute1')}"

    def notification(self, path):
        return self.api.call("GET", path)[1]["notification"]

    def has_moved(self, count):
        return len(self.cloud.ledger.evacuations) >= count

    def wait_until_finished(self, path):
        def ended():
            return self.notification(path)["status"] not in ("new", "running")

        wait("the recovery ends", ended, 90)
        notification = self.notification(path)
        assert notification["status"] == "finished", notification["message"]
        self.check()

    def check(self):
        """Every VM runs exactly once, was evacuated once, and is not locked."""
        running = self.cloud.running()
        assert len(running) == VMS
        promises.evacuated_once(self.cloud, "compute1", running)
        wait("nothing is locked", lambda: self.cloud.left_locked() == [], 30)


@pytest.fixture
def deployment(tmp_path, mariadb_url, rabbit_url):
    with Deployment(tmp_path, mariadb_url, rabbit_url) as deployment:
        yield deployment


def test_dead_host_is_recovered(deployment):
    path = deployment.report()

    deployment.wait_until_finished(path)

    vmoves = deployment.api.call("GET", path + "/vmoves")[1]["vmoves"]
    assert {m["status"] for m in vmoves} == {"succeeded"}
    assert {m["dest_host"] for m in vmoves} <= {"compute2", "compute3"}
    details = deployment.notification(path)["recovery_workflow_details"]
    assert [(d["name"], d["state"], d["progress"]) for d in details] == [
        ("DisableComputeServiceTask", "SUCCESS", 1.0),
        ("PrepareHAEnabledInstancesTask", "SUCCESS", 1.0),
        ("EvacuateInstancesTask", "SUCCESS", 1.0),
    ]


@pytest.mark.parametrize("evacuated", [1, 5])
def test_engine_killed_in_the_middle_and_restarted(deployment, evacuated):
    path = deployment.report()
    wait("some are on their way", lambda: deployment.has_moved(evacuated), 30)

    deployment.engine.kill()
    deployment.engine.start()

    deployment.wait_until_finished(path)


def test_engine_killed_in_the_middle_another_continues(deployment):
    deployment.other.start()
    deployment.other.wait_until_said("started")
    path = deployment.report()
    wait("some are on their way", lambda: deployment.has_moved(3), 30)

    owner = deployment.engine if deployment.engine.said("claimed") else deployment.other
    owner.kill()

    deployment.wait_until_finished(path)


def test_engine_told_to_stop_hands_over(deployment):
    path = deployment.report()
    wait("some are on their way", lambda: deployment.has_moved(3), 30)

    deployment.engine.stop()
    deployment.other.start()

    deployment.wait_until_finished(path)


def test_engine_told_to_stop_while_nova_is_away_ends_soon_and_hands_over(deployment):
    deployment.take_nova_away()
    deployment.report()
    deployment.engine.wait_until_said("claimed")

    began = time.monotonic()
    deployment.engine.stop()

    assert time.monotonic() - began < 10
    assert deployment.engine.returncode == 0
    assert not deployment.engine.said("running ->")
    assert not deployment.engine.said("Traceback")


@pytest.fixture
def without_bus(tmp_path, mariadb_url):
    bus = f"rabbit://nobody:nothing@127.0.0.1:{free_port()}/"
    with Deployment(tmp_path, mariadb_url, bus) as deployment:
        yield deployment


def test_bus_away_report_is_accepted_at_once_and_found_by_the_sweep(without_bus):
    began = time.monotonic()
    path = without_bus.report()
    took = time.monotonic() - began

    without_bus.wait_until_finished(path)
    assert took < 5  # connecting to a bus that is away takes tens of seconds
