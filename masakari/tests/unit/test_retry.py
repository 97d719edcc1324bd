"""Trying again, on a clock that steps."""

import pytest

from masakari import retry
from masakari.tests.contract.worlds import SteppingClock


@pytest.fixture
def clock():
    return SteppingClock()


class Attempt:
    """Raises the errors that it was given, then returns "answer"."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_pauses_double_up_to_ten_seconds():
    assert list(retry.pauses(7)) == [0.5, 1, 2, 4, 8, 10, 10]


def test_persist_transient_errors_are_repeated_after_pauses(clock):
    attempt = Attempt(retry.Transient("one"), retry.Transient("two"))

    assert retry.persist(clock, 2, attempt) == "answer"

    assert clock.monotonic() == 1.5


def test_persist_raises_the_last_error(clock):
    attempt = Attempt(retry.Transient("one"), retry.Transient("two"))

    with pytest.raises(retry.Transient, match="two"):
        retry.persist(clock, 1, attempt)

    assert (attempt.calls, clock.monotonic()) == (2, 0.5)


def test_persist_other_errors_are_not_repeated(clock):
    attempt = Attempt(ValueError("no"))

    with pytest.raises(ValueError, match="no"):
        retry.persist(clock, 5, attempt)

    assert attempt.calls == 1


@pytest.mark.parametrize(("asked", "paused"), [(0, 0), (7, 7), (3600, 60)])
def test_persist_pause_that_was_asked_for_is_bounded(clock, asked, paused):
    retry.persist(clock, 1, Attempt(retry.Transient("busy", pause_s=asked)))

    assert clock.monotonic() == paused


@pytest.mark.parametrize("retries", [0, 3])
def test_persist_settled_is_the_result_and_nothing_is_repeated(clock, retries):
    attempt = Attempt(retry.Transient("lost"))

    assert retry.persist(clock, retries, attempt, lambda: "settled") == "settled"

    assert attempt.calls == 1


def test_persist_known_fate_is_not_looked_up(clock):
    attempt = Attempt(retry.Transient("busy", fate_unknown=False))

    assert retry.persist(clock, 1, attempt, lambda: "settled") == "answer"
