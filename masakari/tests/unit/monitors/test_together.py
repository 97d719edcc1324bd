"""Several drivers at once."""

import datetime
import itertools

import pytest
import yaml

from masakari import errors, metrics
from masakari.monitors import core, hostmonitor, judge, outbox
from masakari.monitors.hosts import icmp
from masakari.monitors.hosts.polling import PolledProbe, Reading
from masakari.monitors.hosts.together import Together, signals_of
from masakari.monitors.judge import Sample, State
from masakari.monitors.matrix import Agreement, parse
from masakari.sim.clock import SimClock
from masakari.tests.unit.monitors.drivers import Watched
from masakari.tests.unit.monitors.test_matrix import document, storage

AT = datetime.datetime(2026, 1, 1)
LETTERS = {"u": State.ONLINE, "d": State.OFFLINE, "?": State.UNKNOWN, "!": State.DOUBTFUL}
WORDS = {state: letter for letter, state in LETTERS.items()}


class Scripted:
    """core.Probe: sees compute0 and those after it as the letters of each look say; b: blind."""

    def __init__(self, *looks):
        self._looks = iter(looks)

    def look(self):
        letters = next(self._looks)
        if letters == "b":
            raise core.Blind("it is dark")
        return [Sample(f"compute{n}", LETTERS[c], AT, c) for n, c in enumerate(letters)]


@pytest.mark.parametrize(
    ("nova", "ping", "together"),
    [
        ("uu", "uu", "uu"),
        ("du", "du", "du"),
        ("du", "uu", "!u"),
        ("uu", "du", "!u"),
        ("?u", "du", "du"),
        ("?u", "?u", "?u"),
        ("!u", "du", "!u"),
        # whoever is blind, or sees nobody alive, does not count
        ("du", "b", "du"),
        ("uu", "dd", "uu"),
        ("du", "dd", "du"),
        ("dd", "dd", "dd"),
    ],
)
def test_what_two_drivers_see(nova, ping, together):
    with SimClock() as clock:
        probe = Together({"nova": Scripted(nova), "ping": Scripted(ping)}, Agreement(), 4, clock)

        assert "".join(WORDS[sample.state] for sample in probe.look()) == together


def test_signal_that_turned_twice_flaps():
    nova, ping = Scripted(*["du"] * 9), Scripted("du", "uu", "du", "du", "du", "du", "du")
    with SimClock() as clock:
        probe = Together({"nova": nova, "ping": ping}, Agreement(), 240, clock)

        seen = "".join(state_each(probe, clock, 60) for _ in range(7))

    assert seen == "d!!!ddd"


def state_each(probe, clock, interval_s):
    """The letter of one look, after which so much time passes."""
    letter = WORDS[probe.look()[0].state]
    clock.sleep(interval_s)
    return letter


def test_signal_that_turned_twice_flaps_as_long_however_often_it_is_looked_at():
    nova, ping = Scripted(*["du"] * 99), Scripted("du", "uu", *["du"] * 97)
    with SimClock() as clock:
        probe = Together({"nova": nova, "ping": ping}, Agreement(), 30, clock)

        seen = "".join(state_each(probe, clock, 1) for _ in range(40))

    # it was down at 0 s, up at 1 s and down again at 2 s
    assert seen == "d" + "!" * 29 + "d" * 10


def test_signal_that_is_unknown_meanwhile_has_not_turned():
    nova, ping = Scripted(*["du"] * 9), Scripted("du", "??", "du", "??", "du")
    with SimClock() as clock:
        probe = Together({"nova": nova, "ping": ping}, Agreement(), 240, clock)

        assert "".join(state_each(probe, clock, 60) for _ in range(5)) == "ddddd"


def test_detail_tells_each_signal():
    with SimClock() as clock:
        probe = Together({"nova": Scripted("du"), "ping": Scripted("b")}, Agreement(), 4, clock)

        assert probe.look()[0].detail == "nova down (d), ping unknown (it is dark)"


def test_all_blind_is_blind():
    with SimClock() as clock:
        probe = Together({"nova": Scripted("b"), "ping": Scripted("b")}, Agreement(), 4, clock)

        with pytest.raises(core.Blind, match="nova: it is dark; ping: it is dark"):
            probe.look()


def test_matrix_needs_several_drivers(world, tmp_path):
    world.option("matrix_file", str(tmp_path / "matrix.yaml"), "host")

    with pytest.raises(errors.ConfigInvalid, match="weighs several signals"):
        hostmonitor.build(world.conf, world.clock, cloud=world.cloud, masakari=world.masakari)


def test_driver_that_is_not_there_is_named(world):
    world.option("monitoring_driver", "nova,acme", "host")

    with pytest.raises(errors.ConfigInvalid, match="'acme' is not available"):
        hostmonitor.build(world.conf, world.clock, cloud=world.cloud, masakari=world.masakari)


NETWORKS = ("manage", "tenant", "storage")


class Networked:
    """A poller with three networks, on which each host is as its own name says."""

    def poll(self, hosts):
        return {
            network: {host: Reading(LETTERS[host[n]], f"{network} {host[n]}") for host in hosts}
            for n, network in enumerate(NETWORKS)
        }


class ByName:
    """core.Probe: sees each host as the last letter of its name says."""

    def __init__(self, hosts):
        self._hosts = hosts

    def look(self):
        return [Sample(host, LETTERS[host[3]], AT, host[3]) for host in self._hosts]


def on_networks(hosts, clock):
    ping = PolledProbe(Networked(), Watched(*hosts), clock, NETWORKS)
    return {"ping": ping, "power": ByName(hosts)}


def test_every_combination_of_three_networks_and_a_driver():
    hosts = ["".join(letters) for letters in itertools.product(LETTERS, repeat=4)]
    names = ("ping/manage", "ping/tenant", "ping/storage", "power")
    with SimClock() as clock:
        probes = on_networks(hosts, clock)
        rule = parse(document(storage, names), signals_of(probes))

        samples = Together(probes, rule, 4, clock, rule.sequence).look()

    assert len(samples) == 256
    for sample in samples:
        host, state = sample.subject, sample.state
        assert (state is State.OFFLINE) == (host[2] == "d"), sample
        assert (state is State.UNKNOWN) == (host == "????"), sample
        assert (state is State.ONLINE) == (set(host) in ({"u"}, {"u", "?"})), sample


def test_every_combination_without_a_matrix_one_lost_network_is_no_death():
    hosts = ["".join(letters) for letters in itertools.product(LETTERS, repeat=4)]
    with SimClock() as clock:
        samples = Together(on_networks(hosts, clock), Agreement(), 4, clock).look()

    dead = {sample.subject for sample in samples if sample.state is State.OFFLINE}
    silent = {host for host in hosts if host[:3] == "ddd"}
    no_network_tells = {host for host in hosts if set(host[:3]) == {"d", "?"} or host[:3] == "???"}
    assert dead == {host for host in silent if host[3] in "d?"} | {
        host for host in no_network_tells if host[3] == "d"
    }


def test_matrix_of_networks_alone_and_a_network_on_which_nobody_answers():
    names = [f"ping/{name}" for name in NETWORKS]
    rule = parse(document(storage, names), names)
    with SimClock() as clock:
        probe = PolledProbe(Networked(), Watched("uudu", "ddu?"), clock, NETWORKS)
        seen = Together({"ping": probe}, rule, 4, clock, rule.sequence).look()
        dark = PolledProbe(Networked(), Watched("uud?", "ddd?"), clock, NETWORKS)
        unseen = Together({"ping": dark}, rule, 4, clock, rule.sequence).look()

    assert {s.subject: s.state for s in seen} == {"uudu": State.OFFLINE, "ddu?": State.DOUBTFUL}
    assert {s.subject: s.state for s in unseen} == {"uud?": State.ONLINE, "ddd?": State.DOUBTFUL}


class Dark:
    """A poller of one network, on which all hosts are silent and a witness answers."""

    def poll(self, hosts):
        silent = {host: Reading(State.OFFLINE, "silent") for host in hosts}
        return {"manage": {**silent, "witness gateway": Reading(State.ONLINE, "answers")}}


def test_witness_is_alive_whatever_the_matrix_weighs():
    names = ["ping/manage"]
    rule = parse(document(lambda health: health[0] == "down", names), names)
    with SimClock() as clock:
        probe = PolledProbe(Dark(), Watched("compute1"), clock, ["manage"])
        samples = Together({"ping": probe}, rule, 4, clock, rule.sequence).look()

    assert {s.subject: (s.state, s.witness) for s in samples} == {
        "compute1": (State.OFFLINE, False),
        "witness gateway": (State.ONLINE, True),
    }


def test_detail_tells_each_network_and_what_was_seen_once():
    names = ("ping/manage", "ping/storage", "power")
    with SimClock() as clock:
        probes = on_networks(["uudu", "uuuu"], clock)
        rule = parse(document(lambda health: health[1] == "down", names), signals_of(probes))
        sample, _ = Together(probes, rule, 4, clock, rule.sequence).look()

    assert sample.state is State.OFFLINE
    assert sample.detail == (
        "ping/manage up, ping/storage down (manage u; tenant u; storage d), power up (u)"
    )


class Counted:
    """A meter that keeps what is counted."""

    def __init__(self):
        self.counts = []

    def count(self, metric, *labels):
        self.counts.append((metric, *labels))

    def set(self, metric, value, *labels):
        pass

    def observe(self, metric, seconds, *labels):
        pass


def test_degraded_host_is_logged_and_counted_and_nobody_is_told(world, caplog):
    meter = Counted()
    probes = {"nova": Scripted(*["uu"] * 9), "ping": Scripted("uu", "uu", *["ud"] * 7)}
    box = outbox.Outbox(
        world.masakari,
        world.clock,
        hostmonitor.notification,
        retry_interval_s=10,
        retry_alarm=12,
        ask_again_s=60,
    )
    monitor = core.Monitor(
        Together(probes, Agreement(), 4, world.clock),
        judge.Judge(2),
        box,
        world.clock,
        pulse=world.pulse,
        interval_s=10,
        silent_s=300,
        meter=meter,
    )

    with caplog.at_level("WARNING"):
        for _ in range(9):
            monitor.cycle()

    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "compute1: online -> doubtful (2 of 2 samples: nova up (u), ping down (d))"
    assert meter.counts.count((metrics.VERDICTS, State.DOUBTFUL)) == 1
    assert world.masakari.asked == []


def test_matrix_file_may_name_the_networks_of_ping(world, tmp_path):
    if problem := icmp.problem():
        pytest.skip(problem)
    path = tmp_path / "matrix.yaml"
    names = ["ping/manage", "ping/storage"]
    path.write_text(yaml.safe_dump(document(lambda health: health[1] == "down", names)))
    world.option("monitoring_driver", "ping", "host")
    world.option("networks", ["manage={host}", "storage={host}.storage"], "ping")
    world.option("matrix_file", str(path), "host")

    def build():
        hostmonitor.build(world.conf, world.clock, cloud=world.cloud, masakari=world.masakari)

    build()
    world.option("networks", ["manage={host}"], "ping")
    with pytest.raises(errors.ConfigInvalid, match=r"no signal 'ping/storage'; there is: ping"):
        build()
