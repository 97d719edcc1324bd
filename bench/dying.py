"""Hosts that can die, for each driver of the host monitor: what it asks is real where it can be."""

import contextlib
import dataclasses
import http.server
import multiprocessing
import pathlib
import random
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import trustme

from masakari.clock import SystemClock
from masakari.monitors import groups
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests import servers
from masakari.tests.functional.monitors import test_power
from masakari.tests.functional.world import host as host_
from masakari.tests.functional.world import serf as serf_
from masakari.tests.unit.monitors import test_kubernetes, test_redfish
from masakari.tests.unit.monitors.drivers import private

CLOCK = SystemClock()
KUBECONFIG = """\
clusters:
- name: c
  cluster:
    server: https://127.0.0.1:{port}
    certificate-authority: {directory}/ca.pem
users:
- {{name: u, user: {{token: a-token}}}}
contexts:
- {{name: x, context: {{cluster: c, user: u}}}}
current-context: x
"""


@dataclasses.dataclass(frozen=True)
class World:
    """Hosts that can die."""

    options: str
    """what the driver needs, begun in [host]"""
    die: Callable[[str], object]


@contextlib.contextmanager
def simulated(names, host="127.0.0.1") -> Iterator[SimServer]:
    """The cloud's Keystone, which everybody asks, and its Nova."""
    cloud = SimCloud(CLOCK, Settings(service_down_time_s=60, report_interval_s=10))
    for name in names:
        cloud.add_host(name)
    with SimServer(cloud, host=host) as server:
        yield server


@contextlib.contextmanager
def nova(_directory, names, server) -> Iterator[World]:
    """Compute services whose hosts lose their power."""
    listed = ",".join(f"{name}=127.0.0.1:{server.listeners.port(name)}" for name in names)
    options = f"second_opinion_addresses = {listed}\nsecond_opinion_refused = dead\n"
    yield World(options, server.cloud.power_off)


class Addresses:
    """An address for each host, all in one namespace."""

    def __init__(self, directory, names):
        self.lan = host_.Lan(directory)
        self.box = self.lan.add("hosts", 253)
        self.box.start()
        self.of = {name: self.lan.address(n) for n, name in enumerate(names, 1)}
        for address in self.of.values():
            self._change("add", address)

    def die(self, name):
        """The host has no address any more."""
        self._change("del", self.of[name])

    def inside(self, *argv):
        """The start of a command in the namespace."""
        return ["ip", "netns", "exec", self.box.netns, *argv]

    def _change(self, verb, address):
        host_.sh(
            *("ip", "-n", self.box.netns, "addr", verb, f"{address}/24", "dev", "eth0"),
        )

    def listed(self, before=""):
        """host=address, for all."""
        return ",".join(f"{before}{name}={address}" for name, address in self.of.items())


@contextlib.contextmanager
def addresses(directory, names) -> Iterator[Addresses]:
    """Likewise, gone at the end."""
    made = Addresses(directory, names)
    try:
        yield made
    finally:
        made.lan.down()


@contextlib.contextmanager
def ping(directory, names, _server) -> Iterator[World]:
    """Hosts that answer echo requests."""
    with addresses(directory, names) as hosts:
        yield World(f"[ping]\naddresses = {hosts.listed('manage/')}\n", hosts.die)


@contextlib.contextmanager
def ssh(directory, names, _server) -> Iterator[World]:
    """One OpenSSH server behind all addresses; 20 logins in a look, and none waits for the dead."""
    key = directory / "id"
    host_.sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    host_.sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / "host")
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    options = ("MaxStartups=1000", f"AuthorizedKeysFile={key}.pub", "StrictModes=no", "UsePAM=no")
    with addresses(directory, names) as hosts:
        argv = hosts.inside("/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null")
        argv += ["-h", str(directory / "host"), "-o", "PermitRootLogin=prohibit-password"]
        argv += ["-o", "PidFile=none", *(part for each in options for part in ("-o", each))]
        with test_power.running(argv, directory / "sshd.log"):
            yield World(
                f"[ssh]\naddresses = {hosts.listed()}\nuser = root\nkey_file = {key}\n"
                f"verify_host_keys = false\nparallel = {len(names)}\n",
                hosts.die,
            )


@contextlib.contextmanager
def ipmi(directory, names, _server) -> Iterator[World]:
    """A BMC a host."""
    made = {name: test_power.Ipmi(directory / name, name) for name in names}
    text = "defaults: {username: admin, password: secret}\nhosts:\n"
    for name, bmc in made.items():
        text += f"  {name}: {{address: 127.0.0.1, port: {bmc.port}, cipher_suite: 3}}\n"
    with contextlib.ExitStack() as stack:
        for bmc in made.values():
            stack.enter_context(test_power.running(bmc.argv, bmc.log))
        yield World(
            f"[ipmi]\nhosts_file = {private(directory / 'ipmi.yaml', text)}\n",
            lambda name: made[name].power.write_text("0"),
        )


@contextlib.contextmanager
def https(directory, handler) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server that answers; *directory* has its authority's ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # who asks may go away
        threading.Thread(target=server.serve_forever, args=(0.1,), name="https").start()
        try:
            yield server
        finally:
            server.shutdown()


@contextlib.contextmanager
def redfish(directory, names, _server) -> Iterator[World]:
    """One service with a system a host."""
    paths = {name: f"/redfish/v1/Systems/{name}" for name in names}
    with https(directory, test_redfish.Handler) as server:
        server.asked = []
        server.resources = {path: {"PowerState": "On"} for path in paths.values()}
        url = f"https://127.0.0.1:{server.server_address[1]}"
        text = "defaults: {username: admin, password: secret}\nhosts:\n"
        for name, path in paths.items():
            text += f"  {name}: {{url: '{url}', system: {path}}}\n"
        yield World(
            f"[redfish]\nhosts_file = {private(directory / 'redfish.yaml', text)}\n"
            f"ca_file = {directory / 'ca.pem'}\n",
            lambda name: server.resources.update({paths[name]: {"PowerState": "Off"}}),
        )


def beat(url, names, dead) -> None:
    """Each host beats each 2 s until its name comes from *dead*."""
    alive = set(names)

    def live(name):
        group = groups.Group(url, name, "masakari-hosts")
        time.sleep(random.uniform(0, 2))
        while name in alive:
            with contextlib.suppress(groups.Away):
                group.beat()
            time.sleep(2)

    for name in names:
        threading.Thread(target=live, args=(name,), daemon=True).start()
    while True:
        alive.discard(dead.recv())


@contextlib.contextmanager
def coordination(directory, names, _server) -> Iterator[World]:
    """Members of a group in etcd, that answer echo requests as well."""
    with (
        servers.Private("etcd", directory / "etcd.log") as etcd,
        addresses(directory, names) as hosts,
    ):
        url = f"etcd3+http://127.0.0.1:{etcd.port}?membership_timeout=10"
        near, far = multiprocessing.Pipe()
        beats = multiprocessing.get_context("spawn").Process(
            target=beat, args=(url, names, far), daemon=True
        )
        beats.start()

        def die(name):
            near.send(name)
            hosts.die(name)

        try:
            yield World(
                f"second_opinion = icmp\nsecond_opinion_addresses = {hosts.listed()}\n"
                f"[heartbeat]\nbackend_url = {url}\n",
                die,
            )
        finally:
            beats.kill()
            beats.join()


class Agents(serf_.Cluster):
    """The cluster, as the agent at an address tells it."""

    def members(self, host):
        """As Cluster."""
        argv = ["serf", "members", "-format=json", f"-rpc-addr={host}:7373"]
        said = subprocess.run(argv, capture_output=True, check=False, timeout=20).stdout
        return serf_.json.loads(said)["members"] if said else []


@contextlib.contextmanager
def consul(directory, names, _server) -> Iterator[World]:
    """Serf's agents, each on its address; nobody but those that survive is a server."""
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(addresses(directory, names))
        first, agents = hosts.of[names[-1]], {}
        for name in reversed(names):
            address = hosts.of[name]
            argv = ["serf", "agent", f"-node={name}", f"-bind={address}:7946", "-profile=lan"]
            argv += [f"-rpc-addr={address}:7373", f"-retry-join={first}:7946"]
            argv += ["-tag", "role=consul"] if address == first else []
            log = directory / f"serf-{name}.log"
            agents[name] = stack.enter_context(test_power.running(hosts.inside(*argv), log))
        address = stack.enter_context(Agents().serving(first))

        def die(name):
            agents[name].kill()
            hosts.die(name)

        yield World(f"[consul]\nagent_manage = {address}\n", die)


class Kubelets:
    """Those of all nodes, and who notices that one has no heartbeat any more.

    With the periods that Kubernetes 1.32 comes with; nothing is sent: a heartbeat is a lease, and
    changes no node.
    """

    HEARTBEAT_S = 10.0
    """A quarter of the kubelet's nodeLeaseDurationSeconds."""
    GRACE_S = 50.0
    """The controller manager's --node-monitor-grace-period; 40 s before."""
    LOOK_S = 5.0
    """Its --node-monitor-period."""

    def __init__(self, nodes: test_kubernetes.Cluster, names) -> None:
        """All are ready."""
        self._nodes = nodes
        self._beat_at = {name: time.monotonic() - random.uniform(0, 10) for name in names}
        self._last: dict[str, float] = {}
        """{who is dead: their last heartbeat}"""
        self._end = threading.Event()
        for name in names:
            nodes.set(name, "True")

    def die(self, name) -> None:
        """It has sent its last heartbeat up to 10 s ago."""
        now = time.monotonic()
        self._last[name] = now - (now - self._beat_at[name]) % self.HEARTBEAT_S

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """By the controller manager."""
        thread = threading.Thread(target=self._watch, name="kubelets")
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def _watch(self) -> None:
        told: set[str] = set()
        while not self._end.wait(self.LOOK_S):
            late = time.monotonic() - self.GRACE_S
            for name in {n for n, at in list(self._last.items()) if at < late} - told:
                told.add(name)
                self._nodes.set(name, "Unknown")


@contextlib.contextmanager
def kubernetes(directory, names, _server) -> Iterator[World]:
    """Nodes behind a stand-in for the API server, that answer echo requests as well."""
    with (
        https(directory, test_kubernetes.Handler) as server,
        addresses(directory, names) as hosts,
    ):
        server.cluster = test_kubernetes.Cluster()
        kubelets = Kubelets(server.cluster, names)
        path = directory / "kubeconfig"
        text = KUBECONFIG.format(port=server.server_address[1], directory=directory)
        private(path, text)

        def die(name):
            kubelets.die(name)
            hosts.die(name)

        with kubelets.watched():
            try:
                yield World(
                    f"push = kubernetes\nsecond_opinion = icmp\n"
                    f"second_opinion_addresses = {hosts.listed()}\n"
                    f"[kubernetes]\nkubeconfig = {path}\n",
                    die,
                )
            finally:
                server.cluster.cut()
