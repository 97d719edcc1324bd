"""masakari-standalone as an operator of a lab runs it, and as kill -9 leaves it."""

import contextlib
import signal
import time

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait

pytestmark = pytest.mark.functional

VMS = 8
CONFIG = (
    AUTHTOKEN
    + """\
[DEFAULT]
auth_strategy = noauth2
masakari_api_listen_port = {port}
state_path = {directory}
[host]
monitoring_interval = 0.5
second_opinion_addresses = {addresses}
second_opinion_refused = dead
"""
)


class Lab:
    """A simulated cloud and one masakari-standalone; `cloud` is what really happens."""

    def __init__(self, directory):
        self.cloud = SimCloud(SystemClock(), Settings(evacuation_s=1.5, service_down_time_s=2))
        hosts = [f"compute{n}" for n in (1, 2, 3)]
        for host in hosts:
            self.cloud.add_host(host)
        for n in range(VMS):
            self.cloud.add_server("compute1", f"vm{n}")
        self.server = SimServer(self.cloud)
        self.server.start()
        self._nova = contextlib.ExitStack()
        self._nova.callback(self.server.stop)
        port = free_port()
        self.api = Api(f"http://127.0.0.1:{port}/v1")
        self.config = config = directory / "masakari.conf"
        config.write_text(
            CONFIG.format(
                port=port,
                directory=directory,
                keystone=self.server.auth_url,
                addresses=",".join(f"{h}=127.0.0.1:{self.server.listeners.port(h)}" for h in hosts),
            )
        )
        assert len(config.read_text().splitlines()) <= 15
        self.program = Program("masakari-standalone", config, directory / "masakari.log")

    def start(self):
        self.program.start()
        wait("the API answers", lambda: self.api.call("GET", "/segments")[0] == 200, 90)

    def restart(self):
        """As kill -9 and the service manager do."""
        self.program.kill()
        self.start()

    def stop(self):
        self.program.stop()
        self.take_nova_away()

    def take_nova_away(self):
        """Keystone's and Nova's connections are refused from now on."""
        self._nova.close()

    def wait_until_recovered(self):
        def is_recovered():
            notifications = self.api.notifications()
            return notifications and {n["status"] for n in notifications} == {"finished"}

        # killed within a request to Nova: the lease ends after 20 s, its fate is known 60 s later
        wait("the recovery is finished", is_recovered, 180)
        wait("nothing is locked", lambda: self.cloud.left_locked() == [], 30)
        running = self.cloud.running()
        assert len(running) == VMS
        promises.evacuated_once(self.cloud, "compute1", running)


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    try:
        lab.start()
        lab.api.register(["compute1", "compute2", "compute3"])
        yield lab
    finally:
        lab.stop()


MOMENTS = {
    "after it was reported": lambda lab: bool(lab.api.notifications()),
    "after the first evacuation": lambda lab: bool(lab.cloud.ledger.evacuations),
    "when all are on their way": lambda lab: len(lab.cloud.ledger.evacuations) == VMS,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_restarted_loses_nothing_and_does_nothing_twice(lab, moment):
    lab.cloud.power_off("compute1")
    wait(moment, lambda: MOMENTS[moment](lab), 30)

    lab.restart()

    lab.wait_until_recovered()


def test_host_that_died_while_nobody_watched_is_recovered(lab):
    lab.program.kill()
    lab.cloud.power_off("compute1")

    lab.start()

    lab.wait_until_recovered()


def test_told_to_stop_ends_with_status_0_and_without_a_traceback(lab):
    lab.program.stop()

    assert lab.program.returncode == 0
    assert "Traceback" not in lab.program.log.read_text()


def test_nova_away_clients_are_told_soon_and_nobody_waits_at_the_end(lab):
    lab.take_nova_away()
    lab.api.report("compute1")
    lab.program.wait_until_said("claimed")
    segment = lab.api.call("GET", "/segments")[1]["segments"][0]["uuid"]
    host = {"name": "compute9", "type": "COMPUTE", "control_attributes": "SSH"}

    began = time.monotonic()
    status, _ = lab.api.call("POST", f"/segments/{segment}/hosts", {"host": host})
    answered = time.monotonic()
    lab.program.stop()
    ended = time.monotonic()

    assert status == 503
    assert answered - began < 10
    assert ended - answered < 10
    assert lab.program.returncode == 0
    log = lab.program.log.read_text()
    assert "Traceback" not in log
    assert "running ->" not in log  # it goes on after the next start


def test_sighup_with_a_broken_configuration_changes_nothing(lab):
    lab.config.write_text("neither an option nor a group")

    lab.program.signal(signal.SIGHUP)

    lab.program.wait_until_said("SIGHUP: the options stay as they were")
    assert lab.api.call("GET", "/segments")[0] == 200
    lab.program.stop()
    assert lab.program.returncode == 0


def test_without_authentication_it_listens_on_loopback_only(lab):
    assert "listening on 127.0.0.1 port" in lab.program.log.read_text()
