"""The driver ping."""

import pytest

from masakari import errors
from masakari.monitors import core
from masakari.monitors.hosts import icmp
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.monitors.hosts.ping import PingPoller
from masakari.monitors.hosts.polling import PolledProbe
from masakari.monitors.judge import State
from masakari.sim.clock import SimClock
from masakari.tests.unit.monitors.drivers import Watched, configured


def probe(clock, *hosts, **options):
    if problem := icmp.problem():
        pytest.skip(problem)
    return PingPoller.from_conf(configured("ping", **options), Watched(*hosts), clock)


@pytest.fixture
def clock():
    with SimClock() as made:
        yield made


def test_look_host_on_several_networks(clock):
    seen = probe(
        clock,
        "compute1",
        "compute2",
        networks=["manage={host}.invalid", "storage={host}.invalid"],
        addresses=[
            "manage/compute1=127.0.0.1",
            "storage/compute1=127.0.0.2",
            "storage/compute2=127.0.0.3",
        ],
    ).look()

    one, two = seen
    assert (one.subject, one.state) == ("compute1", State.ONLINE)
    assert one.detail == "manage: 127.0.0.1 answers; storage: 127.0.0.2 answers"
    assert (two.subject, two.state) == ("compute2", State.ONLINE)
    assert two.detail.startswith("manage: compute2.invalid could not be resolved (")


def answers(**opinions):
    """A pinger that finds what it is told."""

    class Told:
        def ask(self, hosts, networks=("manage",)):
            return {
                network: {host: Opinion(opinions[host], host) for host in hosts}
                for network in networks
            }

    return Told()


class Link:
    """The observer's own: a pinger of two networks, where nobody answers until it is back."""

    def __init__(self, *dead):
        self.is_cut = True
        self.dead = dead
        self.asked = []

    def ask(self, hosts, networks=("manage", "storage")):
        self.asked.append((sorted(hosts), sorted(networks)))
        return {network: {host: self._say(host) for host in hosts} for network in networks}

    def _say(self, host):
        return Opinion(Sign.SILENT if self.is_cut or host in self.dead else Sign.ALIVE, host)


class Gateway:
    """A pinger whose only witness answers, as the link is back by then."""

    def __init__(self, link):
        self._link = link

    def ask(self, hosts):
        self._link.is_cut = False
        return {"manage": {host: Opinion(Sign.ALIVE, host) for host in hosts}}


def test_poll_hosts_are_asked_again_after_a_witness_has_answered():
    link = Link("compute2")
    poller = PingPoller(link, {"manage": (["gateway"], Gateway(link))})

    found = poller.poll(["compute1", "compute2"])

    assert {host: reading.state for host, reading in found["manage"].items()} == {
        "compute1": State.ONLINE,
        "compute2": State.OFFLINE,
        "witness gateway": State.ONLINE,
    }
    assert link.asked[1:] == [(["compute1", "compute2"], ["manage"])]


@pytest.mark.parametrize(
    ("gateway", "seen"),
    [(Sign.ALIVE, {"compute1": State.OFFLINE, "witness gateway": State.ONLINE}), (Sign.SILENT, {})],
    ids=str,
)
def test_look_only_host_is_silent_its_witness_decides(clock, gateway, seen):
    poller = PingPoller(
        answers(compute1=Sign.SILENT), {"manage": (["gateway"], answers(gateway=gateway))}
    )
    look = PolledProbe(poller, Watched("compute1"), clock, ["manage"]).look

    if seen:
        assert {sample.subject: sample.state for sample in look()} == seen
    else:
        with pytest.raises(core.Blind, match="observer's own network is suspected"):
            look()


@pytest.mark.parametrize(
    ("addresses", "witnesses"), [([], ["witness 127.0.0.2"]), (["manage/compute1=127.0.0.1"], [])]
)
def test_look_witness_is_asked_where_no_host_answers(clock, addresses, witnesses):
    samples = probe(
        clock,
        "compute1",
        networks=["manage={host}.invalid"],
        addresses=addresses,
        witnesses=["manage/127.0.0.2"],
    ).look()

    assert [sample.subject for sample in samples if sample.witness] == witnesses


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": ["manage"]}, r"\[ping\] networks: 'manage' is not name=pattern"),
        ({"networks": ["a/b={host}"]}, r"\[ping\] networks: the name 'a/b' .* has a slash"),
        ({"networks": []}, r"\[ping\] networks: no network is given"),
        ({"networks": ["a={host}", "a={host}"]}, r"\[ping\] networks: .* 'a' is given twice"),
        ({"networks": ["a=compute"]}, r"\[ping\] networks: 'compute' does not contain {host}"),
        ({"addresses": ["compute1=10.0.0.1"]}, r"\[ping\] addresses: .* with a network of manage"),
        ({"addresses": ["stor/compute1=10.0.0.1"]}, r"\[ping\] addresses: .* of manage"),
        ({"witnesses": ["10.0.0.1"]}, r"\[ping\] witnesses: '10.0.0.1' is not network/address"),
        ({"witnesses": ["stor/10.0.0.1"]}, r"\[ping\] witnesses: .* with a network of manage"),
        ({"witnesses": ["manage/a:b"]}, r"\[ping\] witnesses: 'a:b' is not address"),
        ({"addresses": ["manage/compute1"]}, r"\[ping\] addresses: .* is not host=address"),
    ],
)
def test_from_conf_names_the_option_that_is_wrong(clock, options, message):
    with pytest.raises(errors.ConfigInvalid, match=message):
        probe(clock, "compute1", **options)
