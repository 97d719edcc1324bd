"""Places for evacuations in flight: how many, in which order, and given back by whoever fails."""

import contextlib

import pytest

from masakari.engine.slots import Slots
from masakari.sim.clock import SimClock


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


def stay(clock, slots, rank, entered, *, seconds=10, check=lambda: None):
    with slots.place(rank, check):
        entered.append((clock.monotonic(), rank))
        clock.sleep(seconds)


def test_place_when_all_are_taken_is_waited_for(clock):
    slots, entered = Slots(clock, 2), []

    for rank in range(3):
        clock.spawn(lambda rank=rank: stay(clock, slots, rank, entered), name=f"vm{rank}")
    clock.run_until(60)

    assert entered == [(0, 0), (0, 1), (10, 2)]


def test_place_that_becomes_free_goes_to_the_lowest_rank(clock):
    slots, entered = Slots(clock, 1), []

    for rank in (0, 7, 3, 5):
        clock.spawn(lambda rank=rank: stay(clock, slots, rank, entered), name=f"vm{rank}")
    clock.run_until(60)

    assert [rank for _, rank in entered] == [0, 3, 5, 7]


def test_place_whose_holder_fails_is_free_again(clock):
    slots, entered = Slots(clock, 1), []

    with contextlib.suppress(ValueError), slots.place(0, lambda: None):
        raise ValueError
    stay(clock, slots, 1, entered)

    assert entered == [(0, 1)]


def test_check_that_raises_while_waiting_ends_the_waiting_only(clock):
    slots, entered = Slots(clock, 1), []

    def refuse():
        raise ValueError

    def give_up():
        with contextlib.suppress(ValueError):
            stay(clock, slots, 1, entered, check=refuse)
        entered.append((clock.monotonic(), "gave up"))

    for work in (lambda: stay(clock, slots, 0, entered), give_up):
        clock.spawn(work, name="vm")
    clock.spawn(lambda: stay(clock, slots, 2, entered), name="vm2")
    clock.run_until(60)

    assert entered == [(0, 0), (5, "gave up"), (10, 2)]


def test_check_that_raises_on_entry_gives_the_place_back(clock):
    slots, entered = Slots(clock, 1), []

    def refuse():
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        stay(clock, slots, 0, entered, check=refuse)
    stay(clock, slots, 1, entered)

    assert entered == [(0, 1)]
