"""Several drivers at once."""

import datetime

import pytest

from masakari import errors
from masakari.monitors import core, hostmonitor
from masakari.monitors.hosts.together import Together
from masakari.monitors.judge import Sample, State
from masakari.monitors.matrix import Agreement
from masakari.sim.clock import SimClock

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
        probe = Together({"nova": nova, "ping": ping}, Agreement(), 4, clock)

        seen = "".join(WORDS[probe.look()[0].state] for _ in range(7))

    assert seen == "d!!!ddd"


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

    with pytest.raises(errors.ConfigInvalid, match="weighs several drivers"):
        hostmonitor.build(world.conf, world.clock, cloud=world.cloud, masakari=world.masakari)


def test_driver_that_is_not_there_is_named(world):
    world.option("monitoring_driver", "nova,acme", "host")

    with pytest.raises(errors.ConfigInvalid, match="'acme' is not available"):
        hostmonitor.build(world.conf, world.clock, cloud=world.cloud, masakari=world.masakari)
