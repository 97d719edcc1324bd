"""The driver consul on members that Serf finds out about, on four hosts with two networks.

The HTTP API of Consul is a stand-in of ours; that a member fails and comes back is Serf's word.
"""

import contextlib
import os

import pytest

from masakari.clock import SystemClock, wait_until
from masakari.monitors import core
from masakari.monitors.hosts.consul import ConsulProbe
from masakari.monitors.judge import State
from masakari.tests.functional.world import host as host_
from masakari.tests.functional.world import serf
from masakari.tests.unit.monitors.drivers import Watched, configured, seen

pytestmark = pytest.mark.functional
CLOCK = SystemClock()
NAMES = ("n1", "n2", "n3", "n4")
IS_THOROUGH = os.environ.get("MASAKARI_THOROUGH") == "1"
SERVERS = ("n1", "n2", "n4")
ALL = dict.fromkeys(NAMES, State.ONLINE)


@pytest.fixture
def world(tmp_path):
    """The hosts, the clusters by their networks, and the driver in front of the agents of n1."""
    if reason := host_.missing(*serf.PROGRAMS):
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        lan = host_.Lan(tmp_path)
        stack.callback(lan.down)
        hosts = {name: lan.add(name, number) for number, name in enumerate(NAMES, 1)}
        clusters = {"manage": serf.Cluster(0), "storage": serf.Cluster(1)}
        for name, host in hosts.items():
            host.start()
            for cluster in clusters.values():
                cluster.join(host, server=name in SERVERS)
        agents = {
            f"agent_{network}": stack.enter_context(cluster.serving(hosts["n1"]))
            for network, cluster in clusters.items()
        }
        yield (
            hosts,
            clusters,
            ConsulProbe.from_conf(configured("consul", **agents), Watched(*NAMES), CLOCK),
        )


def look(probe):
    """{host: (state, detail)}, or why nobody is judged."""
    try:
        return seen(probe)
    except core.Blind as error:
        return str(error)


def becomes(probe, expected):
    def is_so():
        found = look(probe)
        return not isinstance(found, str) and expected == {h: s for h, (s, _) in found.items()}

    assert wait_until(CLOCK, is_so, 90, 0.3), look(probe)


def test_members_that_are_cut_off_come_back_and_die(world):
    hosts, clusters, probe = world
    becomes(probe, ALL)

    clusters["storage"].lose(hosts["n2"])
    becomes(probe, ALL | {"n2": State.DOUBTFUL})
    assert seen(probe)["n2"][1] == "in Consul: manage up, storage down"

    hosts["n2"].cut()
    becomes(probe, ALL | {"n2": State.OFFLINE})

    clusters["storage"].find(hosts["n2"])
    hosts["n2"].heal()
    becomes(probe, ALL)

    hosts["n3"].stop()
    becomes(probe, ALL | {"n3": State.OFFLINE})


@pytest.mark.skipif(not IS_THOROUGH, reason="Serf takes 20 s to give up all: make soak runs it")
def test_observer_that_is_cut_off_judges_nobody(world):
    hosts, _, probe = world
    becomes(probe, ALL)

    hosts["n1"].cut()

    def is_blind():
        found = look(probe)
        return isinstance(found, str) and found.count("its cluster has no leader") == 2

    assert wait_until(CLOCK, is_blind, 90, 0.3), look(probe)
