"""The driver coordination, and the heartbeat of a compute host, without a backend."""

import pytest

from masakari import errors, metrics
from masakari.contacts import COORDINATION, Contacts
from masakari.metrics import Tally
from masakari.monitors import core, groups, heartbeat
from masakari.monitors.hosts.coordination import CoordinationProbe
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.monitors.judge import State
from masakari.pulse import Pulse
from masakari.sim.clock import SimClock
from masakari.tests.unit.monitors.drivers import Watched, configured, seen


class Group:
    """groups.Group: it has these members, or is away."""

    def __init__(self, *members):
        self.found = members
        self.is_away = False
        self.beats = 0
        self.is_left = False

    def members(self):
        if self.is_away:
            raise groups.Away("no answer")
        return frozenset(self.found)

    def beat(self):
        self.beats += 1
        if self.is_away:
            raise groups.Away("no answer")

    def leave(self):
        self.is_left = True


class Silent:
    """A second opinion: nobody answers but these."""

    def __init__(self, *alive):
        self._alive = alive

    def ask(self, hosts):
        return {h: Opinion(Sign.ALIVE if h in self._alive else Sign.SILENT, "said") for h in hosts}


@pytest.fixture
def clock():
    with SimClock() as made:
        yield made


def look(clock, group, alive=("a",), watched=("a", "b")):
    return seen(CoordinationProbe(group, Silent(*alive), Watched(*watched), clock))


def test_member_is_online_who_is_none_is_asked_itself(clock):
    assert look(clock, Group("a")) == {
        "a": (State.ONLINE, "it is a member of the group"),
        "b": (State.OFFLINE, "it is no member of the group, said"),
    }


def test_member_whose_program_died_is_doubtful(clock):
    assert look(clock, Group("a"), alive=("a", "b"))["b"][0] is State.DOUBTFUL


@pytest.mark.parametrize("member", ["A", "a.example.com", "A.Example.com"])
def test_member_whose_name_differs_in_case_or_domain_is_online(clock, member):
    group = Group(member, "b.example.com" if "." in member else "b")

    assert look(clock, group)["a"][0] is State.ONLINE


def test_member_that_may_be_another_host_is_no_sign_of_life_nor_of_death(clock):
    assert look(clock, Group("a", "b.elsewhere"))["b"] == (
        State.UNKNOWN,
        "a member has a name that may be its, with another domain",
    )


def test_group_without_watched_hosts_is_blindness(clock):
    with pytest.raises(core.Blind, match="not one of 2 hosts is a member"):
        look(clock, Group("other"))


def test_backend_that_is_away_is_blindness(clock):
    group = Group("a")
    group.is_away = True

    with pytest.raises(core.Blind, match="the coordination backend does not answer: no answer"):
        look(clock, group)


def test_nobody_is_watched_nobody_is_asked(clock):
    assert look(clock, Group(), watched=()) == {}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (None, "it is not set"),
        ("http://a", "it begins with none of "),
        ("etcd3+http://user:hunter2@127.0.0.1:x", "its backend does not understand it"),
    ],
)
def test_connect_names_the_option_that_is_wrong(url, problem):
    with pytest.raises(
        errors.ConfigInvalid, match=rf"^\[heartbeat\] backend_url: {problem}"
    ) as raised:
        groups.connect(configured("heartbeat", backend_url=url), "a")

    assert "hunter2" not in str(raised.value)


# ---- the heartbeat


def test_heartbeat_goes_on_while_the_backend_is_away_and_leaves_at_the_end(clock, caplog):
    caplog.set_level("INFO")
    group, stop = Group(), clock.event()
    known, tally = Contacts(clock), Tally()
    clock.spawn(
        lambda: heartbeat.run(group, clock, Pulse(clock), stop, 2, contacts=known, meter=tally),
        name="main",
        group="heartbeat",
    )

    def told():
        found = known.known()[COORDINATION]
        return found.is_well, found.problem

    clock.sleep(5)
    assert told() == (True, "")
    group.is_away = True
    clock.sleep(10)
    assert told() == (False, "no answer")
    group.is_away = False
    clock.sleep(5)
    assert told() == (True, "")
    stop.set()
    clock.sleep(1)

    assert 9 <= group.beats <= 12
    counted = {
        outcome: tally.value(metrics.HEARTBEATS, outcome) for outcome in ("ok", "unanswered")
    }
    assert sum(counted.values()) == group.beats
    assert counted["unanswered"] == 5
    assert group.is_left
    assert [record.getMessage() for record in caplog.records] == [
        "heartbeats reach the backend: this host is a member of the group",
        "no heartbeat reaches the backend: no answer",
        "heartbeats reach the backend: this host is a member of the group",
    ]
