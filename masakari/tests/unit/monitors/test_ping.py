"""The driver ping."""

import pytest
from oslo_config import cfg

import masakari.conf
from masakari import errors
from masakari.monitors.hosts import icmp
from masakari.monitors.hosts.ping import PingPoller
from masakari.monitors.judge import State
from masakari.sim.clock import SimClock


class Watched:
    def __init__(self, *hosts):
        self._hosts = frozenset(hosts)

    def read(self):
        return self._hosts


def probe(clock, *hosts, **options):
    if problem := icmp.problem():
        pytest.skip(problem)
    conf = cfg.ConfigOpts()
    masakari.conf.register_monitors(conf)
    conf([], project="masakarimonitors", default_config_files=[], default_config_dirs=[])
    for name, value in options.items():
        conf.set_override(name, value, "ping")
    return PingPoller.from_conf(conf, Watched(*hosts), clock)


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
        ({"addresses": ["manage/compute1"]}, r"\[ping\] addresses: .* is not host=address"),
    ],
)
def test_from_conf_names_the_option_that_is_wrong(clock, options, message):
    with pytest.raises(errors.ConfigInvalid, match=message):
        probe(clock, "compute1", **options)
