"""The driver of Pacemaker on three simulated hosts with Corosync, Pacemaker and a BMC.

The monitor runs on one of them; what it tells is heard on the machine of the tests.
"""

import contextlib
import http.server
import json
import threading

import pytest

from masakari.tests.functional.program import free_port
from masakari.tests.functional.world import bmc as bmc_
from masakari.tests.functional.world import cluster as cluster_
from masakari.tests.functional.world import host as host_

pytestmark = pytest.mark.functional

NAMES = ("n1", "n2", "n3")
SEGMENT = "11111111-1111-4111-8111-111111111111"
CONFIG = """\
[DEFAULT]
hostname = {name}
state_path = /var/lib/masakari
[api]
auth_type = none
endpoint_override = http://{gateway}:{port}/v1
[host]
monitoring_driver = default
monitoring_interval = 0.5
monitoring_samples = 2
api_retry_interval = 1
"""
MONITOR = "import sys; from masakari.cmd.hostmonitor import main; sys.exit(main())"


class Api:
    """Enough of Masakari's API for a monitor: one segment with all hosts, and what was told."""

    def __init__(self, address):
        self.told = []
        self.is_up = True
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_args):
                pass

            def _answer(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                if self.path.rstrip("/").endswith("/v1"):
                    link = {"rel": "self", "href": f"http://{address}:{api.port}/v1"}
                    version = {"version": "1.3", "min_version": "1.0", "links": [link]}
                    found = {"version": {"id": "v1.0", "status": "CURRENT", **version}}
                elif "/hosts" in self.path:
                    found = {"hosts": [{"name": name, "uuid": name, "id": name} for name in NAMES]}
                    found = {"hosts": []} if "marker" in self.path else found
                else:
                    found = {"segments": [{"uuid": SEGMENT, "id": SEGMENT, "name": "s"}]}
                    found = {"segments": []} if "marker" in self.path else found
                self._answer(200, found)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not api.is_up:
                    self._answer(503, {})
                    return
                sent = json.loads(body)["notification"]
                api.told.append((sent["hostname"], sent["payload"]["event"]))
                self._answer(202, {"notification": sent})

        self.port = free_port()
        self._server = http.server.ThreadingHTTPServer((address, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, name="api", daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Log:
    """Of the monitor on a host."""

    def __init__(self, host):
        self._host = host
        self.wait_for("3 of 3 hosts online")

    def read(self):
        return self._host.run("cat", "/var/log/monitor.log", check=False)

    def wait_for(self, text):
        try:
            self._host.wait(text, lambda: text in self.read(), 40)
        except AssertionError:
            pytest.fail(f"not said: {text}\n{self.read()}")


class World:
    def __init__(self, lan, hosts, cluster, api):
        self.lan, self.hosts, self.cluster, self.api = lan, hosts, cluster, api

    def watch(self, name):
        """The monitor runs on the host; returned is what reads its log."""
        host = self.hosts[name]
        config = CONFIG.format(name=name, gateway=self.lan.gateway, port=self.api.port)
        host.write("/etc/monitor.conf", config)
        python = ["/opt/python/bin/python3", "-c", MONITOR]
        host.popen(
            *("sh", "-c", 'exec "$@" >/var/log/monitor.log 2>&1', "sh", *python),
            *("--config-file", "/etc/monitor.conf"),
            env={"PYTHONPATH": "/opt/tree:/opt/libraries"},
        )

        return Log(host)


@pytest.fixture
def world(tmp_path):
    if reason := host_.missing(*cluster_.PROGRAMS, "ipmi_sim", "ipmitool", "fence_ipmilan"):
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        lan = host_.Lan(tmp_path)
        stack.callback(lan.down)
        hosts = {name: lan.add(name, number) for number, name in enumerate(NAMES, 1)}
        for host in hosts.values():
            host.start()
        cluster = cluster_.Cluster(list(hosts.values()))
        cluster.start()
        api = Api(lan.gateway)
        stack.callback(api.stop)
        yield World(lan, hosts, cluster, api)


def test_host_that_is_cut_off_is_fenced_and_then_told_when_the_api_is_back(world):
    n1, n2 = world.hosts["n1"], world.hosts["n2"]
    bmc = bmc_.Bmc(n2, world.lan.gateway, free_port())
    try:
        world.cluster.fence("n2", bmc.address, bmc.port, n1)
        log = world.watch("n1")
        world.api.is_up = False

        n2.cut()

        log.wait_for("n2: Masakari has not heard that it is offline")
    finally:
        bmc.stop()
    assert not n2.is_on
    (line,) = [line for line in log.read().splitlines() if "-> offline" in line]
    assert "which has fenced it" in line or "says that the power is off" in line
    assert world.api.told == []
    world.api.is_up = True
    n1.wait("it is told", lambda: world.api.told, 20)
    assert world.api.told == [("n2", "STOPPED")]


def test_pacemaker_stopped_or_observer_cut_off_accuses_nobody(world):
    n1, n2 = world.hosts["n1"], world.hosts["n2"]
    log = world.watch("n1")

    n2.run("pkill", "-TERM", "pacemakerd")
    log.wait_for("-> doubtful (2 of 2 samples: Corosync lives")
    world.cluster.start_pacemaker(n2)
    log.wait_for("n2: doubtful -> online")
    n1.cut()

    log.wait_for("nobody is judged: this part of the cluster has no")
    assert world.api.told == []
