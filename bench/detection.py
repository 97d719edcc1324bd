"""How long after its death a host is reported, with each driver of the host monitor.

    make bench SUBJECT=detection [BENCH="ping ssh --interval 5 --samples 3"]

Counted from the moment a host dies to the moment the API has accepted the report.  The host monitor
runs in this process, masakari-api is another one.  Needs root.  Hosts die one after the other, at
random moments; the last ones of a round are still undetected when the next one dies.

nova            the simulated cloud over HTTP, with Nova's own periods: a report each 10 s, down
                after 60 s
ping, ssh       addresses of a namespace, with OpenSSH's server; a host that dies loses its own;
                ssh asks all at a time, so that nobody waits for those that died before
ipmi            ipmi_sim, one a host; the power goes off
redfish         an HTTPS server of ours with a system a host; the power goes off
coordination    members of a group in etcd, asked by echo requests too; both end
consul          Serf's agents with Consul's timeouts for a LAN, behind a stand-in for its HTTP API;
                they are killed
kubernetes      a stand-in for the API server, with Kubernetes' own periods: a heartbeat each 10 s,
                Unknown after 50 s, which is looked at each 5 s; watched nodes push
pacemaker       clusters of three namespaces with Corosync and Pacemaker, a BMC that fences; the
                cable is cut, and after the report the node is back
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from dying import (
    World,
    consul,
    coordination,
    ipmi,
    kubernetes,
    nova,
    ping,
    redfish,
    simulated,
    ssh,
)
from oslo_config import cfg
from usage import Load

import masakari.conf
from masakari import metrics
from masakari.clock import SystemClock, wait_until
from masakari.monitors import hostmonitor, report
from masakari.monitors.judge import State
from masakari.sim.http import SimServer
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.monitors import test_pacemaker
from masakari.tests.functional.program import Program, free_port, wait
from masakari.tests.functional.world import bmc as bmc_
from masakari.tests.functional.world import cluster as cluster_
from masakari.tests.functional.world import host as host_

CLOCK = SystemClock()
CONFIG = """\
[DEFAULT]
auth_strategy = noauth2
masakari_api_listen = {address}
masakari_api_listen_port = {port}
transport_url = fake://
state_path = {directory}
hostname = controller
[database]
connection = sqlite:///{directory}/masakari.sqlite
[oslo_messaging_notifications]
driver = noop
[api]
endpoint_override = http://{address}:{port}/v1
{credentials}[keystone_authtoken]
{credentials}[host]
monitoring_driver = {driver}
monitoring_interval = {interval}
monitoring_samples = {samples}
{options}
"""
CREDENTIALS = """\
auth_type = password
auth_url = {auth_url}
username = masakari
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
"""


class Timed:
    """report.Masakari that notes when a death was accepted."""

    def __init__(self, masakari):
        self._masakari = masakari
        self.accepted = {}

    def watched(self):
        """As Masakari."""
        return self._masakari.watched()

    def notify(self, notification):
        """As Masakari."""
        answer = self._masakari.notify(notification)
        if answer.status == 202 and notification["payload"]["event"] == "STOPPED":
            self.accepted[notification["hostname"]] = time.monotonic()
        return answer


class Sight:
    """metrics.Meter that knows how many hosts were last seen online."""

    online = 0

    def count(self, metric, *labels):
        """As Meter."""

    def observe(self, metric, seconds, *labels):
        """As Meter."""

    def set(self, metric, value, *labels):
        """As Meter."""
        if metric is metrics.HOSTS and labels == (State.ONLINE,):
            self.online = value


@dataclasses.dataclass(frozen=True)
class Plan:
    """So many rounds, in each of which so many hosts die, on average so many seconds apart."""

    world: Callable[[pathlib.Path, list[str], SimServer], contextlib.AbstractContextManager[World]]
    rounds: int = 1
    deaths: int = 50
    apart_s: float = 1.0
    wait_s: float = 120.0

    @property
    def names(self) -> list[str]:
        """A quarter more than die, who survive."""
        return [f"compute{n}" for n in range(math.ceil(self.deaths * 1.28))]


PLANS = {
    "nova": Plan(nova),
    "ping": Plan(ping),
    "ssh": Plan(ssh),
    "ipmi": Plan(ipmi, rounds=2, deaths=25),
    "redfish": Plan(redfish),
    "coordination": Plan(coordination, rounds=2, deaths=25),
    "consul": Plan(consul, apart_s=2.0),
    "kubernetes": Plan(kubernetes),
}


def configured(directory, address, driver, *, options, server, given) -> tuple[pathlib.Path, str]:
    """The file that API and monitor read, and the API's URL."""
    port = free_port()
    path = directory / "masakari.conf"
    path.write_text(
        CONFIG.format(
            address=address,
            port=port,
            directory=directory,
            driver=driver,
            interval=given.interval,
            samples=given.samples,
            options=options,
            credentials=CREDENTIALS.format(auth_url=server.auth_url),
        )
    )
    return path, f"http://{address}:{port}/v1"


@contextlib.contextmanager
def serving(path, url, names) -> Iterator[Api]:
    """masakari-api, which knows the hosts."""
    manage = pathlib.Path(sys.executable).with_name("masakari-manage")
    argv = [manage, "--config-file", path, "db", "sync"]
    subprocess.run(argv, check=True, capture_output=True)
    program = Program("masakari-api", path, path.with_suffix(".log")).start()
    try:
        api = Api(url)
        wait("the API answers", lambda: api.call("GET", "/segments")[0] == 200, 60)
        api.register(names)
        yield api
    finally:
        program.stop()


def one_round(driver, plan, given) -> list[float]:
    """Seconds from each death to its report's 202."""
    names = plan.names
    with (
        tempfile.TemporaryDirectory() as name,
        simulated(names) as server,
        plan.world(pathlib.Path(name), names, server) as world,
    ):
        directory = pathlib.Path(name)
        path, url = configured(
            directory, "127.0.0.1", driver, options=world.options, server=server, given=given
        )
        with serving(path, url, names):
            conf = cfg.ConfigOpts()
            masakari.conf.register_monitors(conf)
            conf([], project="m", default_config_files=[str(path)], default_config_dirs=[])
            timed, sight = Timed(report.connect(conf)), Sight()
            monitor = hostmonitor.build(conf, CLOCK, masakari=timed, meter=sight)
            stop = threading.Event()
            thread = threading.Thread(target=monitor.run, args=(stop,), name="hostmonitor")
            sources = hostmonitor.push_sources(conf, CLOCK, monitor.push)
            thread.start()
            for source in sources:
                source.start()
            try:
                wait("all are online", lambda: sight.online == len(names), plan.wait_s)
                died = kill(world, names[: plan.deaths], plan.apart_s)
                told = timed.accepted
                wait_until(CLOCK, lambda: len(told) == len(died), plan.wait_s, 0.2)
            finally:
                for source in sources:
                    source.stop()
                monitor.end(stop)
                thread.join()
    assert told.keys() == died.keys(), (sorted(died.keys() - told.keys()), sorted(told))
    return [told[host] - died[host] for host in died]


def kill(world, hosts, apart_s) -> dict[str, float]:
    """When each died."""
    died = {}
    for host in random.sample(hosts, len(hosts)):
        time.sleep(random.uniform(0, 2 * apart_s))
        died[host] = time.monotonic()
        world.die(host)
    return died


class Pacemaker:
    """A cluster of n1, with the monitor, n2, that can be fenced, and n3; Masakari knows them."""

    def __init__(self, stack: contextlib.ExitStack, given) -> None:
        """Until *stack* is closed."""
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lan = host_.Lan(directory)
        stack.callback(lan.down)
        self._hosts = {n: lan.add(n, i) for i, n in enumerate(test_pacemaker.NAMES, 1)}
        for host in self._hosts.values():
            host.start()
        self._cluster = cluster_.Cluster(list(self._hosts.values()))
        self._cluster.start()
        n1, self._victim = self._hosts["n1"], self._hosts["n2"]
        bmc = bmc_.Bmc(self._victim, lan.gateway, free_port())
        stack.callback(bmc.stop)
        self._cluster.fence("n2", bmc.address, bmc.port, n1)
        server = stack.enter_context(simulated(list(self._hosts), lan.gateway))
        path, url = configured(
            directory,
            lan.gateway,
            "default",
            options="flapping_changes = 0\n",  # n2 dies again and again
            server=server,
            given=given,
        )
        self._api = stack.enter_context(serving(path, url, list(self._hosts)))
        n1.write("/etc/monitor.conf", path.read_text().replace("controller", "n1"))
        n1.popen(
            *("sh", "-c", 'exec "$@" >/var/log/monitor.log 2>&1', "sh"),
            *("/opt/python/bin/python3", "-c", test_pacemaker.MONITOR),
            *("--config-file", "/etc/monitor.conf"),
            env={"PYTHONPATH": "/opt/tree:/opt/libraries"},
        )
        self._log = test_pacemaker.Log(n1)

    def death(self) -> float:
        """Seconds until it is reported that n2 was cut off and fenced."""
        before = self._told("STOPPED")
        died = time.monotonic()
        self._victim.cut()
        self._wait("n2 is reported dead", lambda: self._told("STOPPED") > before)
        return time.monotonic() - died

    def rebirth(self) -> None:
        """n2 alone is started again, until that is reported, too."""
        before = self._told("STARTED")
        self._victim.heal()
        self._victim.start()
        self._victim.run("corosync")
        self._cluster.start_pacemaker(self._victim)
        self._wait("n2 is reported alive", lambda: self._told("STARTED") > before)

    def _told(self, event) -> int:
        return sum(n["payload"]["event"] == event for n in self._api.notifications())

    def _wait(self, what, predicate) -> None:
        assert wait_until(CLOCK, predicate, 180, 0.05), f"{what}\n{self._log.read()}"


def pacemaker(given) -> list[float]:
    """Likewise, in several clusters side by side; in each one node dies and is back in turn."""
    deaths = given.deaths or 50
    left = iter(range(deaths))

    def one_cluster(_number) -> list[float]:
        took = []
        with contextlib.ExitStack() as stack:
            cluster = Pacemaker(stack, given)
            for _ in left:
                if took:
                    cluster.rebirth()
                time.sleep(random.uniform(0, given.interval))
                took.append(cluster.death())
        return took

    clusters = range(min(given.clusters, deaths))
    with concurrent.futures.ThreadPoolExecutor(len(clusters)) as pool:
        return list(itertools.chain.from_iterable(pool.map(one_cluster, clusters)))


def percentile(values, percent) -> float:
    """The value that so many percent do not exceed."""
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*PLANS, "pacemaker"]
    parser.add_argument("drivers", nargs="*", metavar="DRIVER", help=", ".join(known))
    parser.add_argument("--interval", type=float, default=5, help="[host] monitoring_interval")
    parser.add_argument("--samples", type=int, default=3, help="[host] monitoring_samples")
    parser.add_argument("--clusters", type=int, default=3, help="of Pacemaker, side by side")
    parser.add_argument("--deaths", type=int, help="in each round, instead of 50 in all")
    given = parser.parse_args()
    if unknown := set(given.drivers) - set(known):
        parser.error(f"there is no driver {', '.join(unknown)}")
    logging.disable()  # it warns of each death
    print(f"monitoring_interval {given.interval:g} s, monitoring_samples {given.samples}")
    for driver in given.drivers or known:
        load = Load(None)
        if driver == "pacemaker":
            took = pacemaker(given)
        else:
            plan = PLANS[driver]
            if given.deaths:
                plan = dataclasses.replace(plan, rounds=1, deaths=given.deaths)
            took = [s for _ in range(plan.rounds) for s in one_round(driver, plan, given)]
        print(
            f"{driver:<13} {len(took):3} deaths: p50 {percentile(took, 50):5.1f} s, "
            f"p99 {percentile(took, 99):5.1f} s, least {min(took):5.1f} s; "
            f"others used {load.others_cores():.1f} cores",
            flush=True,
        )


if __name__ == "__main__":
    main()
