"""The clouds that keep the contract: in memory, over HTTP, and a real one."""

import datetime
import threading

from oslo_config import cfg

from masakari import clock as clock_
from masakari import conf as options
from masakari import nova
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.realcloud import testbed

HOSTS = ("compute-1", "compute-2", "compute-3")


class SteppingClock:
    """Time passes only when somebody sleeps; any thread may."""

    def __init__(self):
        # keystoneauth compares the expiry of tokens with the real time
        self._start = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self._lock = threading.Lock()
        self._seconds = 0.0

    def now(self):
        return self._start + datetime.timedelta(seconds=self._seconds)

    def monotonic(self):
        return self._seconds

    def sleep(self, seconds):
        with self._lock:
            self._seconds += seconds

    def event(self):
        return threading.Event()


def configure(directory, *, auth_url, extra="", authtoken=True):
    """Options of a server program whose file names Keystone and a user."""
    text = f"{extra}\n"
    if authtoken:
        text += (
            f"[keystone_authtoken]\nauth_type = password\nauth_url = {auth_url}\n"
            "username = masakari\npassword = secret\nproject_name = service\n"
            "user_domain_id = default\nproject_domain_id = default\n"
        )
    path = directory / "masakari.conf"
    path.write_text(text)
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf(["--config-file", str(path)], project="masakari")
    return conf


class SimWorld:
    """Hosts without VMs; `cloud` is what is tested, `sim` what is behind it."""

    def __init__(self, *, over_http=None):
        """*over_http* is a directory for the configuration file; None: ask SimCloud itself."""
        self.clock = SteppingClock()
        self.sim = SimCloud(self.clock, Settings())
        for host in HOSTS:
            self.sim.add_host(host, node=f"{host}.example.org")
        self.hosts = HOSTS
        self.server = None
        self.cloud = self.sim
        if over_http is not None:
            self.server = SimServer(self.sim)
            self.server.start()
            conf = configure(over_http, auth_url=self.server.auth_url)
            self.cloud = nova.connect(conf, self.clock)

    def close(self):
        if self.server is not None:
            self.server.stop()

    def boot(self, host, count=1):
        """Servers that boot from an image."""
        first = len(self.sim.vms)
        return [
            self.sim.add_server(
                host, f"vm-{first + i}", metadata={"HA_Enabled": "True"}, boots_from_volume=False
            )
            for i in range(count)
        ]

    def add_aggregate(self, name, hosts=(), zone=None):
        self.sim.add_aggregate(name, hosts, zone)

    def crash(self, server):
        """The server's guest dies, and Nova sees it a second later."""
        self.sim.crash(server)

    def owner_stops(self, server):
        self.sim.owner_action(server, "stop")

    def kill(self, host):
        """The host is dead and Nova has noticed."""
        self.sim.power_off(host)
        self.clock.sleep(10)

    def revive(self, host):
        self.sim.power_on(host)

    def eventually(self, predicate):
        assert clock_.wait_until(self.clock, predicate, 60, 0.1)


class RealWorld:
    """The cloud of tools/realcloud."""

    def __init__(self, directory):
        self.bed = testbed.Testbed()
        self.bed.tidy()
        self.clock = clock_.SystemClock()
        self.hosts = tuple(sorted(self.bed.hosts))
        conf = configure(
            directory,
            auth_url=self.bed.env["OS_AUTH_URL"],
            extra="[DEFAULT]\nos_privileged_user_name = {REALCLOUD_SERVICE_USER}\n"
            "os_privileged_user_password = {REALCLOUD_SERVICE_PASSWORD}\n"
            "os_privileged_user_tenant = {REALCLOUD_SERVICE_PROJECT}\n".format(**self.bed.env),
        )
        self.cloud = nova.connect(conf, self.clock)

    def close(self):
        self.bed.tidy()

    def add_aggregate(self, name, hosts=(), zone=None):
        created = self.bed.nova.create_aggregate(name=name, availability_zone=zone)
        for host in hosts:
            self.bed.nova.add_host_to_aggregate(created, host)

    def crash(self, server):
        self.bed.run("crash", server)

    def owner_stops(self, server):
        self.bed.nova.stop_server(server)

    def boot(self, host, count=1):
        return self.bed.boot(host, count)

    def kill(self, host):
        self.bed.run("kill-host", host)
        self.eventually(lambda: self.bed.service(host).state == "down")

    def revive(self, host):
        self.bed.run("start-host", host)

    def eventually(self, predicate):
        assert clock_.wait_until(self.clock, predicate, 120, 0.25)
