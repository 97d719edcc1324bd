"""A deployment whose services can each be taken away, made slow, and given back."""

import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass

import sqlalchemy as sa

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests import servers
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import STOPPED
from masakari.tests.functional.program import Program, free_port, wait

IS_THOROUGH = os.environ.get("MASAKARI_THOROUGH") == "1"
AWAY_S = 30.0 if IS_THOROUGH else 2.0
"""So long a service is away in the middle."""
SLOW_S = 5.0 if IS_THOROUGH else 0.5
"""So much later each piece of an answer comes from a service that is slow."""
SOON_S = 20.0
"""No request takes longer, whatever is away."""
DATABASE, BUS, KEYSTONE, NOVA, LOCKS = "database", "bus", "keystone", "nova", "locks"
CONFIG = """\
[DEFAULT]
transport_url = {bus}
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 1
state_path = {directory}
wait_period_after_service_update = 60
process_unfinished_notifications_interval = 2
[database]
connection = {database}
[coordination]
backend_url = etcd3+http://127.0.0.1:{locks}?timeout=3
[engine]
lease = 6
sweep_interval = 1
retry_limit = 20
[nova]
retries = 8
[health]
engine_port = {engine_port}
hostmonitor_port = {monitor_port}
[api]
timeout = 15
[host]
monitoring_driver = nova
monitoring_interval = 0.5
api_retry_interval = 1
second_opinion_addresses = {addresses}
second_opinion_refused = dead
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:{keystone}/v3
username = masakari
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
http_connect_timeout = 5
http_request_max_retries = 1
"""


@dataclass(frozen=True)
class Answer:
    """What the API said, and how long that took; status 0: nobody answered."""

    status: int
    document: dict
    retry_after_s: int | None
    took_s: float


class Site:
    """API, engine and host monitor, each service behind a gate; `cloud` is what really happens."""

    def __init__(self, directory, *, database, bus, locks_port, hosts=14, vms=2):
        self.cloud = SimCloud(SystemClock(), Settings(evacuation_s=1.0, service_down_time_s=2))
        self.hosts = [f"compute{n}" for n in range(1, hosts + 1)]
        for host in self.hosts:
            self.cloud.add_host(host)
            for n in range(vms):
                self.cloud.add_server(host, f"{host}-vm{n}")
        self.sim = SimServer(self.cloud)
        self.sim.start()
        sim_port = int(self.sim.url.rpartition(":")[2])
        direct, (before, _, after) = sa.make_url(database), bus.rpartition(":")
        bus_port, _, virtual_host = after.partition("/")
        self.gates = {
            DATABASE: servers.Gate(direct.port),
            BUS: servers.Gate(int(bus_port)),
            KEYSTONE: servers.Gate(sim_port),
            NOVA: servers.Gate(sim_port),
            LOCKS: servers.Gate(locks_port),
        }
        self.sim.keystone.base_url = f"http://127.0.0.1:{self.gates[KEYSTONE].port}"
        self.sim.keystone.nova_base_url = f"http://127.0.0.1:{self.gates[NOVA].port}"
        self.port, self.engine_port, self.monitor_port = (free_port() for _ in range(3))
        self.sim.keystone.ha_url = f"http://127.0.0.1:{self.port}/v1"
        gated = direct.set(port=self.gates[DATABASE].port)
        values = {
            "bus": f"{before}:{self.gates[BUS].port}/{virtual_host}",
            "port": self.port,
            "engine_port": self.engine_port,
            "monitor_port": self.monitor_port,
            "locks": self.gates[LOCKS].port,
            "keystone": self.gates[KEYSTONE].port,
            "directory": directory,
            "addresses": ",".join(
                f"{h}=127.0.0.1:{self.sim.listeners.port(h)}" for h in self.hosts
            ),
        }
        config, straight = directory / "masakari.conf", directory / "straight.conf"
        config.write_text(CONFIG.format(database=_text(gated), **values))
        straight.write_text(CONFIG.format(database=database, **values))
        self._straight = straight
        self.api, self.engine, self.monitor = (
            Program(f"masakari-{name}", config, directory / f"{name}.log")
            for name in ("api", "engine", "hostmonitor")
        )
        self._uuid = ""
        self.host = ""
        """Whose turn to die it is."""

    def __enter__(self):
        manage = pathlib.Path(sys.executable).parent / "masakari-manage"
        subprocess.run([manage, "--config-file", self._straight, "db", "sync"], check=True)
        return self

    def __exit__(self, *_):
        with contextlib.ExitStack() as stack:
            stack.callback(self.sim.stop)
            for gate in self.gates.values():
                stack.callback(gate.shut)
            for program in (self.api, self.engine, self.monitor):
                stack.callback(program.stop)

    def next_host(self):
        self.host = self.hosts.pop(0)

    # ---- faults

    def open_all(self):
        """Every service is there, and quick."""
        for gate in self.gates.values():
            gate.delay_s = 0.0
            if not gate.is_open:
                gate.open()

    @contextlib.contextmanager
    def away(self, service):
        self.gates[service].shut()
        try:
            yield
        finally:
            self.gates[service].open()

    @contextlib.contextmanager
    def slow(self, service):
        self.gates[service].delay_s = SLOW_S
        try:
            yield
        finally:
            self.gates[service].delay_s = 0.0

    # ---- the API

    def call(self, method, path, body=None, token=None):
        """The answer to an administrator, by default one whose token nobody has seen yet."""
        token = token or self.sim.keystone.grant("alice", "admin", project="admin")
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body and json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except OSError:
            return Answer(0, {}, None, time.monotonic() - began)
        finally:
            connection.close()
        pause = answer.headers.get("Retry-After")
        took_s = time.monotonic() - began
        return Answer(answer.status, json.loads(text or "{}"), pause and int(pause), took_s)

    def list_segments(self, **kw):
        return self.call("GET", "/v1/segments", **kw)

    def register_host(self, name, **kw):
        host = {"name": name, "type": "COMPUTE", "control_attributes": "SSH"}
        return self.call("POST", f"/v1/segments/{self._uuid}/hosts", {"host": host}, **kw)

    def report(self, **kw):
        """The host has died; as a monitor of somebody else would say it."""
        body = {
            "type": "COMPUTE_HOST",
            "hostname": self.host,
            "generated_time": SystemClock().now().isoformat(),
            "payload": STOPPED,
        }
        return self.call("POST", "/v1/notifications", {"notification": body}, **kw)

    def register(self):
        """A segment with all hosts."""
        wait("the API answers", lambda: self.list_segments().status == 200, 90)
        segment = {"name": "rack1", "recovery_method": "auto", "service_type": "compute"}
        answer = self.call("POST", "/v1/segments", {"segment": segment})
        self._uuid = answer.document["segment"]["uuid"]
        for name in dict.fromkeys([*filter(None, [self.host]), *self.hosts]):
            answer = self.register_host(name)
            assert answer.status == 201, answer

    # ---- what becomes of it

    def statuses(self, host):
        """Of the notifications about the host, as the API has them."""
        answer = self.call("GET", "/v1/notifications?type=COMPUTE_HOST&limit=100")
        hosts = self.call("GET", f"/v1/segments/{self._uuid}/hosts").document.get("hosts", [])
        uuid = next(h["uuid"] for h in hosts if h["name"] == host)
        found = answer.document.get("notifications", [])
        return [n["status"] for n in found if n["source_host_uuid"] == uuid]

    def kill_host(self):
        """The power of the host is cut."""
        self._victims = [n for n, hosts in self.cloud.running().items() if self.host in hosts]
        self.cloud.power_off(self.host)

    def wait_until_recovered(self, timeout_s=90):
        """Each of its VMs runs elsewhere, once, and was evacuated once."""
        host, victims = self.host, self._victims
        wait(
            f"{host} is recovered",
            lambda: set(self.statuses(host)) - {"ignored"} == {"finished"},
            timeout_s,
        )
        promises.evacuated_once(self.cloud, host, victims)

    def ready(self, port):
        """Whether the program behind the port says that it can do something useful."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/healthz/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _text(url):
    return url.render_as_string(hide_password=False)


class Since:
    """What a program says from now on."""

    def __init__(self, program):
        self._program = program
        self._began = program.log.stat().st_size if program.log.exists() else 0

    def text(self):
        return self._program.log.read_bytes()[self._began :].decode()

    def count(self, *words):
        """Lines that have all of the words."""
        return sum(all(w in line for w in words) for line in self.text().splitlines())

    def wait_for(self, *words, timeout_s=60):
        wait(f"{self._program.name} says {words}", lambda: self.count(*words), timeout_s)

    def wait_until_told(self, who):
        """That *who* was away, and is back: one line each."""
        self.wait_for(f"{who} is available again, after ")
        assert self.count(f"{who} is not available: ") == 1, self.text()
        assert self.count(f"{who} is available again, after ") == 1, self.text()
