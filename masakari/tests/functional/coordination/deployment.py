"""An API and two engines, whose locks are elsewhere, and a segment with reserved hosts."""

import contextlib
import subprocess
import sys
from pathlib import Path

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait

DEAD = ("compute1", "compute2")
SPARES = ("spare1", "spare2")
VMS = 4
CONFIG = (
    AUTHTOKEN
    + """\
[DEFAULT]
transport_url = {bus}
auth_strategy = noauth2
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 1
wait_period_after_service_update = 20
process_unfinished_notifications_interval = 2
[database]
connection = {database}
[engine]
retry_limit = 100
lease = 3
sweep_interval = 0.5
[coordination]
backend_url = {locks}
"""
)


class Deployment:
    """Two engines and an API; `cloud` is what really happens."""

    def __init__(self, directory, database, bus, locks, *, dead=DEAD, spares=SPARES):
        self.cloud = SimCloud(SystemClock(), Settings(evacuation_s=1.5, service_down_time_s=2))
        for host in dead:
            self.cloud.add_host(host)
            for n in range(VMS):
                self.cloud.add_server(host, f"{host}-vm{n}")
        for host in spares:
            self.cloud.add_host(host, disabled=True)
        self._mortal = dead
        self._nova = SimServer(self.cloud)
        port = free_port()
        self.api = Api(f"http://127.0.0.1:{port}/v1")
        self._config = directory / "masakari.conf"
        self._config.write_text(
            CONFIG.format(
                bus=bus, port=port, database=database, locks=locks, keystone=self._nova.auth_url
            )
        )
        self._server = Program("masakari-api", self._config, directory / "api.log")
        self.engines = [
            Program("masakari-engine", self._config, directory / f"engine{n}.log") for n in (1, 2)
        ]
        self._programs = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._nova.start()
            stack.callback(self._nova.stop)
            manage = Path(sys.executable).parent / "masakari-manage"
            subprocess.run([manage, "--config-file", self._config, "db", "sync"], check=True)
            for program in (self._server, *self.engines):
                stack.callback(program.stop)
                program.start()
            for engine in self.engines:
                engine.wait_until_said("listening on the message bus")
            wait("the API answers", lambda: self.api.call("GET", "/segments")[0] == 200, 90)
            self._programs = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._programs.close()

    def register(self, reserved):
        """A segment; its reserved hosts are added in that order."""
        segment = {
            "name": "rack1",
            "recovery_method": "reserved_host",
            "service_type": "compute",
        }
        uuid = self.api.call("POST", "/segments", {"segment": segment})[1]["segment"]["uuid"]
        self._hosts = f"/segments/{uuid}/hosts"
        for name in self._mortal:
            self.add(name, reserved=False)
        for name in reserved:
            self.add(name, reserved=True)

    def add(self, name, *, reserved):
        host = {"name": name, "type": "COMPUTE", "control_attributes": "SSH", "reserved": reserved}
        status, answer = self.api.call("POST", self._hosts, {"host": host})
        assert status == 201, answer

    def reserved(self):
        hosts = self.api.call("GET", self._hosts)[1]["hosts"]
        return {host["name"] for host in hosts if host["reserved"]}

    def die(self, hosts=DEAD):
        """All of these at once; {host: path of its notification}."""
        for host in hosts:
            self.cloud.power_off(host)
        return {host: f"/notifications/{self.api.report(host)}" for host in hosts}

    def status(self, path):
        return self.api.call("GET", path)[1]["notification"]["status"]

    def moved(self, hosts=DEAD):
        """{dead host: where its VMs run}"""
        running = self.cloud.running()
        return {
            host: {where for n in range(VMS) for where in running.get(f"{host}-vm{n}", ())}
            for host in hosts
        }
