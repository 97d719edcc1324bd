"""The driver of Pacemaker on three simulated hosts with Corosync, Pacemaker and a BMC.

The monitor runs on one of them; Masakari on the machine of the tests, where Nova is simulated.
"""

import contextlib
import http.server
import json
import os
import threading

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import Api as RealApi
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait
from masakari.tests.functional.world import bmc as bmc_
from masakari.tests.functional.world import cluster as cluster_
from masakari.tests.functional.world import host as host_

pytestmark = pytest.mark.functional

IS_THOROUGH = os.environ.get("MASAKARI_THOROUGH") == "1"
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
api_retry_interval = 1
"""
OFTEN = """\
monitoring_interval = 0.5
monitoring_samples = 2
"""
WHEN_TOLD = """\
monitoring_interval = 60
monitoring_samples = 1
push = pacemaker_alerts
"""
MASAKARI = (
    AUTHTOKEN
    + """\
[DEFAULT]
auth_strategy = noauth2
masakari_api_listen = {gateway}
masakari_api_listen_port = {port}
state_path = {directory}
verify_interval = 0.2
"""
)
AGENT = "/opt/bin/masakari-pacemaker-alert"
ALERTS = f"""\
<alerts>
  <alert id="masakari" path="{AGENT}">
    <select><select_nodes/><select_fencing/></select>
    <recipient id="masakari-hostmonitor" value="@masakari-hostmonitor"/>
  </alert>
</alerts>
"""
REMOTES = ("r1", "r2")
ONLY_REMOTES = f"{OFTEN}restrict_to_remotes = true\n"
NO_ROOT = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=haclient")
MONITOR = "import sys; from masakari.cmd.hostmonitor import main; sys.exit(main())"


class Api:
    """Enough of Masakari's API for a monitor: one segment with the hosts, and what was told."""

    def __init__(self, address, names=NAMES):
        self.told = []
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
                    found = {"hosts": [{"name": name, "uuid": name, "id": name} for name in names]}
                    found = {"hosts": []} if "marker" in self.path else found
                else:
                    found = {"segments": [{"uuid": SEGMENT, "id": SEGMENT, "name": "s"}]}
                    found = {"segments": []} if "marker" in self.path else found
                self._answer(200, found)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
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
    """Of the monitor on a host, which has seen its hosts."""

    def __init__(self, host, seen="3 of 3 hosts online"):
        self._host = host
        self.wait_for(seen)

    def read(self):
        return self._host.run("cat", "/var/log/monitor.log", check=False)

    def wait_for(self, text):
        try:
            self._host.wait(text, lambda: text in self.read(), 240)
        except AssertionError:
            pytest.fail(f"not said: {text}\n{self.read()}")


class World:
    def __init__(self, lan, hosts, cluster):
        self.lan, self.hosts, self.cluster = lan, hosts, cluster

    def watch(self, name, port, looks, seen="3 of 3 hosts online"):
        """The monitor of the API on the port runs on the host; returned is what reads its log.

        Its user is one whom Pacemaker hears for its group alone.
        """
        host = self.hosts[name]
        host.run("install", "-d", "-o", "nobody", "/var/lib/masakari")
        config = CONFIG.format(name=name, gateway=self.lan.gateway, port=port)
        host.write("/etc/monitor.conf", config + looks)
        python = ["/opt/python/bin/python3", "-c", MONITOR]
        host.popen(
            *("sh", "-c", 'exec "$@" >/var/log/monitor.log 2>&1', "sh", *NO_ROOT, *python),
            *("--config-file", "/etc/monitor.conf"),
            env={"PYTHONPATH": "/opt/tree:/opt/libraries"},
        )
        return Log(host, seen)

    def alert(self):
        """Pacemaker runs the alert agent, on whichever node."""
        agent = (host_.TREE / "bin/masakari-pacemaker-alert").read_text()
        for host in self.hosts.values():
            host.write(AGENT, agent.replace("#!python", "#!/opt/python/bin/python3"), mode="755")
        options = ("--modify", "--allow-create", "--scope", "alerts", "--xml-text")
        self.hosts["n1"].run("cibadmin", *options, ALERTS)


class Site:
    """A simulated cloud whose hosts are those of the cluster, and Masakari that looks after it."""

    def __init__(self, directory, address):
        self.cloud = SimCloud(SystemClock(), Settings(service_down_time_s=2))
        for name in NAMES:
            self.cloud.add_host(name)
        self.vms = [self.cloud.add_server("n2", f"vm{number}") for number in range(3)]
        self.server = SimServer(self.cloud)
        self.server.start()
        self.port = free_port()
        self.api = RealApi(f"http://{address}:{self.port}/v1")
        config = directory / "masakari.conf"
        values = {"gateway": address, "port": self.port, "directory": directory}
        config.write_text(MASAKARI.format(keystone=self.server.auth_url, **values))
        self.program = Program("masakari-standalone", config, directory / "masakari.log")

    def start(self):
        self.program.start()
        wait("the API answers", lambda: self.api.call("GET", "/segments")[0] == 200, 90)

    def stop(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.server.stop)
            stack.callback(self.program.stop)

    def recovery(self):
        """The only notification that there may be, or None."""
        found = self.api.notifications()
        assert len(found) <= 1
        return found[0] if found else None


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
        yield World(lan, hosts, cluster)


@pytest.fixture
def api(world):
    api = Api(world.lan.gateway)
    yield api
    api.stop()


@pytest.mark.long
def test_host_that_is_cut_off_is_fenced_reported_and_recovered(world, tmp_path):
    n1, n2 = world.hosts["n1"], world.hosts["n2"]
    with contextlib.ExitStack() as stack:
        site = Site(tmp_path, world.lan.gateway)
        stack.callback(site.stop)
        bmc = bmc_.Bmc(n2, world.lan.gateway, free_port())
        stack.callback(bmc.stop)
        world.cluster.fence("n2", bmc.address, bmc.port, n1)
        world.alert()
        site.start()
        site.api.register(NAMES)
        log = world.watch("n1", site.port, WHEN_TOLD)
        site.program.kill()

        n2.cut()
        site.cloud.cut_network("n2")

        log.wait_for("n2: Masakari has not heard that it is offline")
        assert not n2.is_on
        site.cloud.power_off("n2")
        log.wait_for("looking at once: Pacemaker says ")
        (line,) = [line for line in log.read().splitlines() if "-> offline" in line]
        assert "which has fenced it" in line or "says that the power is off" in line
        site.start()
        wait("it is reported", site.recovery, 60)
        wait("it is recovered", lambda: site.recovery()["status"] == "finished", 120)
        assert site.recovery()["payload"].pop("proof") in ("fenced", "power-off")
        assert {site.cloud.server(vm).host for vm in site.vms} <= {"n1", "n3"}
        assert {site.cloud.server(vm).vm_state for vm in site.vms} == {"active"}
        promises.keep(site.cloud)


def test_pacemaker_stopped_or_observer_cut_off_accuses_nobody(world, api):
    n1, n2 = world.hosts["n1"], world.hosts["n2"]
    log = world.watch("n1", api.port, OFTEN)

    n2.run("pkill", "-TERM", "pacemakerd")
    log.wait_for("-> doubtful (2 of 2 samples: Corosync lives")
    world.cluster.start_pacemaker(n2)
    log.wait_for("n2: doubtful -> online")
    n1.cut()

    log.wait_for("nobody is judged: this part of the cluster has no")
    assert api.told == []


@pytest.mark.skipif(not IS_THOROUGH, reason="two minutes on a busy machine: make soak runs it")
def test_remote_node_that_loses_its_power_is_fenced_and_reported(tmp_path):
    programs = (*cluster_.PROGRAMS, "ipmi_sim", "ipmitool", "fence_ipmilan")
    if reason := host_.missing(*programs, str(cluster_.REMOTED)):
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        lan = host_.Lan(tmp_path)
        stack.callback(lan.down)
        numbers = enumerate(("n1", "n2", *REMOTES), 1)
        hosts = {name: lan.add(name, number) for number, name in numbers}
        for host in hosts.values():
            host.start()
        cluster = cluster_.Cluster([hosts["n1"], hosts["n2"]])
        cluster.start()
        bmc = bmc_.Bmc(hosts["r1"], lan.gateway, free_port())
        stack.callback(bmc.stop)
        cluster.fence("r1", bmc.address, bmc.port, hosts["n1"])
        cluster.add_remotes([hosts[name] for name in REMOTES], hosts["n1"])
        api = Api(lan.gateway, names=list(hosts))
        stack.callback(api.stop)
        world = World(lan, hosts, cluster)
        # r2 itself asks the cluster through its connection
        logs = [
            world.watch("n1", api.port, OFTEN, "4 of 4 hosts online"),
            world.watch("r2", api.port, ONLY_REMOTES, "2 of 4 hosts online"),
        ]

        hosts["r1"].stop()

        for log in logs:
            log.wait_for("r1: offline reported (202)")
            (line,) = [line for line in log.read().splitlines() if "-> offline" in line]
            assert "which has fenced it" in line or "says that the power is off" in line
        assert api.told == [("r1", "STOPPED")] * 2
