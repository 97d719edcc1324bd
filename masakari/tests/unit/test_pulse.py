"""Loops that have stopped are found, those that rest are not."""

import pytest

from masakari.pulse import Pulse
from masakari.sim.clock import SimClock


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


def test_loop_that_beats_is_not_stalled(clock):
    pulse = Pulse(clock)
    pulse.expect("sweep", 30)
    for _ in range(5):
        clock.sleep(20)
        pulse.beat("sweep")
    clock.sleep(30)

    assert pulse.stalled() == []
    assert pulse.ages() == {"sweep": 30}


def test_loop_that_does_not_beat_is_stalled_until_it_does(clock):
    pulse = Pulse(clock)
    pulse.expect("sweep", 30)
    pulse.expect("leases", 300)
    clock.sleep(31)

    assert pulse.stalled() == ["sweep"]
    pulse.beat("sweep")
    assert pulse.stalled() == []


def test_stalled_is_asked_about_another_moment(clock):
    pulse = Pulse(clock)
    pulse.expect("sweep", 30)

    assert pulse.stalled(clock.monotonic() + 31) == ["sweep"]
    assert pulse.stalled() == []


def test_expected_again_is_no_beat(clock):
    pulse = Pulse(clock)
    pulse.expect("pool", 30)
    clock.sleep(20)
    pulse.expect("pool", 30)
    clock.sleep(20)

    assert pulse.stalled() == ["pool"]


def test_loop_that_rests_is_not_stalled_and_may_beat(clock):
    pulse = Pulse(clock)
    pulse.expect("pool", 30)
    pulse.rest("pool")
    clock.sleep(60)
    pulse.beat("pool")

    assert pulse.stalled() == []
    assert pulse.ages() == {}
