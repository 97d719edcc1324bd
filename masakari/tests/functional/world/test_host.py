"""Simulated hosts do what they claim to."""

import subprocess
import sys

import pytest

from masakari.tests.functional.world import host as host_

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def lan(tmp_path_factory):
    if reason := host_.missing("ping", "nft"):
        pytest.skip(reason)
    lan = host_.Lan(tmp_path_factory.mktemp("lan"))
    yield lan
    lan.down()


@pytest.fixture(scope="module")
def pair(lan):
    hosts = [lan.add("n1", 1), lan.add("n2", 2)]
    for host in hosts:
        host.start()
    return hosts


def answers(address, host=None, wait_s=1):
    """Whether the host, or the machine, gets an answer to one of its echo requests."""
    ping = ["ping", "-n", "-q", "-i", "0.1", "-c", "1", "-w", str(wait_s), address]
    popen = host.popen(*ping) if host else subprocess.Popen(ping, stdout=subprocess.DEVNULL)
    popen.communicate()
    return popen.returncode == 0


def test_hosts_see_one_another_and_the_machine(lan, pair):
    n1, n2 = pair

    assert answers(n2.address, n1)
    assert answers(lan.gateway, n1)
    assert answers(n1.address)
    assert n1.run("hostname") == "n1\n"


def test_power_is_lost_everything_dies_but_the_disk(pair):
    n1, n2 = pair
    process = n1.popen("sleep", "3600")
    n1.write("/etc/kept", "yes")

    n1.stop()

    assert process.wait(10) != 0
    assert not answers(n1.address, n2)
    assert not n1.is_on
    n1.start()
    assert answers(n1.address, n2, wait_s=10)
    assert n1.run("cat", "/etc/kept") == "yes"
    assert n2.run("sh", "-c", "cat /etc/kept || true").endswith("No such file or directory\n")


def test_cable_is_cut_the_host_lives_on(pair):
    n1, n2 = pair

    n1.cut()

    assert not answers(n1.address, n2)
    assert n1.is_on
    n1.heal()
    assert answers(n1.address, n2, wait_s=10)


def test_packets_are_lost(pair):
    n1, n2 = pair

    n1.loss(100)
    lost = not answers(n1.address, n2)
    n1.loss(0)

    assert lost
    assert answers(n1.address, n2, wait_s=10)


def test_another_process_switches_it(pair):
    n1, _ = pair
    switch = (sys.executable, "-m", host_.__name__, n1.directory)

    host_.sh(*switch, "off")

    assert not n1.is_on
    assert host_.sh(*switch, "state") == "off\n"
    host_.sh(*switch, "on")
    assert n1.run("hostname") == "n1\n"
