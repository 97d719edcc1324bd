"""What the readings of a poller on several networks make of a host."""

import pytest

from masakari.monitors import core
from masakari.monitors.hosts import polling
from masakari.monitors.hosts.polling import PolledProbe, Reading
from masakari.monitors.judge import State
from masakari.sim.clock import SimClock
from masakari.states import HostProof
from masakari.tests.unit.monitors.drivers import Watched

UP, DOWN, ODD, DARK = State.ONLINE, State.OFFLINE, State.DOUBTFUL, State.UNKNOWN


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([UP], UP),
        ([DOWN], DOWN),
        ([ODD], ODD),
        ([DARK], DARK),
        ([UP, UP], UP),
        ([UP, DOWN], ODD),
        ([UP, ODD], ODD),
        ([UP, DARK], UP),
        ([ODD, DOWN], ODD),
        ([ODD, DARK], ODD),
        ([DOWN, DOWN], DOWN),
        ([DOWN, DARK], DARK),
        ([UP, DOWN, DARK], ODD),
    ],
)
def test_weigh_networks(states, state):
    readings = {str(n): Reading(each, f"n{n}") for n, each in enumerate(states)}

    assert polling.weigh(readings).state is state


@pytest.mark.parametrize(
    ("other", "proof"),
    [
        (State.OFFLINE, HostProof.POWER_OFF),
        (State.ONLINE, None),
        (State.UNKNOWN, None),
    ],
)
def test_weigh_proof_of_one_that_may_live_is_none(other, proof):
    off = Reading(State.OFFLINE, "x", HostProof.POWER_OFF)

    assert polling.weigh({"a": Reading(other, "y"), "b": off}).proof == proof


def test_proof_goes_with_the_sample():
    off = Reading(State.OFFLINE, "x", HostProof.POWER_OFF)

    class Poller:
        suspicion = "s"

        def poll(self, hosts):
            return {"": {"compute1": off, "compute2": Reading(State.ONLINE, "y")}}

    with SimClock() as clock:
        samples = PolledProbe(Poller(), Watched("compute1", "compute2"), clock).look()

    assert [sample.proof for sample in samples] == [HostProof.POWER_OFF, None]


def test_weigh_tells_each_detail_once():
    readings = {"a": Reading(UP, "x"), "b": Reading(DOWN, "y"), "c": Reading(UP, "x")}

    assert polling.weigh(readings).detail == "x; y"


class Told:
    """A poller that finds what it is told; hosts whose names begin with w are witnesses."""

    suspicion = "it is doubted"

    def __init__(self, **networks):
        self._networks = networks

    def poll(self, hosts):
        return {
            name: {host: Reading(state, f"{name} {state}") for host, state in states.items()}
            for name, states in self._networks.items()
        }


def look(*hosts, **networks):
    with SimClock() as clock:
        samples = PolledProbe(Told(**networks), Watched(*hosts), clock).look()
    return {sample.subject: (sample.state, sample.detail) for sample in samples}


def test_look_gives_one_sample_for_each_watched_host():
    assert look("a", "b", manage={"a": UP, "b": DOWN}) == {
        "a": (UP, "manage online"),
        "b": (DOWN, "manage offline"),
    }


def test_look_nobody_is_watched_asks_nobody():
    assert look() == {}


def test_look_network_on_which_nobody_answers_accuses_nobody():
    seen = look("a", "b", manage={"a": UP, "b": DOWN}, storage={"a": DOWN, "b": DOWN})

    assert seen["a"][0] is UP
    assert seen["b"] == (
        DARK,
        "manage offline; nobody answers on the network storage; storage offline",
    )


def test_look_nobody_answers_anywhere_is_blind():
    with pytest.raises(core.Blind, match=r"of 2 hosts .* \(such as: manage offline\), so it is d"):
        look("a", "b", manage={"a": DOWN, "b": DARK})


def test_look_nobody_could_be_asked_is_no_blindness():
    assert look("a", manage={"a": DARK})["a"][0] is DARK


def test_look_witness_answers_the_only_host_is_dead():
    with SimClock() as clock:
        poller = Told(manage={"a": DOWN, "w": UP}, storage={"a": DOWN})
        alone = PolledProbe(Told(manage={"a": DOWN, "w": UP}), Watched("a"), clock).look()
        partly = PolledProbe(poller, Watched("a"), clock).look()

    assert [(s.subject, s.state, s.witness) for s in alone] == [("a", DOWN, False), ("w", UP, True)]
    # on the other network nobody can tell
    assert [(s.subject, s.state) for s in partly] == [("a", DARK), ("w", UP)]
