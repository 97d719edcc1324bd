"""When a guest counts as dead because its agent is silent."""

import pytest

from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.heartbeat import Answer, Limits, State, Track

GOOD, MISSING, ABSENT, PAUSED = Answer.GOOD, Answer.MISSING, Answer.ABSENT, Answer.PAUSED
LIMITS = Limits(interval_s=10, threshold=3, io_silence_s=120)


def reported(answers, *, kind=Kind.HEARTBEAT, every_s=10, activity=lambda n: 0, limits=LIMITS):
    """The numbers, from 1, of the answers after which the guest is reported."""
    track = Track(limits, kind)
    return [n for n, answer in enumerate(answers, 1) if track.see(answer, n * every_s, activity(n))]


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([MISSING] * 20, []),
        ([GOOD] + [MISSING] * 20, [6]),
        ([GOOD] + [MISSING] * 4 + [GOOD] + [MISSING] * 4, []),
        ([GOOD] + [MISSING] * 4 + [PAUSED] + [MISSING] * 9, []),
        ([GOOD] + [ABSENT] * 20, []),
        ([GOOD] + [MISSING] * 6 + [GOOD] + [MISSING] * 6, [6]),
        ([GOOD] + [MISSING] * 6 + [GOOD] * 2 + [MISSING] * 6, [6, 14]),
        ([GOOD] + [Answer.UNKNOWN] * 20, []),
    ],
    ids=[
        *("never answered", "fifth miss", "answers in between", "paused", "agent stopped"),
        *("answered once after the report", "answered again", "we could not ask"),
    ],
)
def test_state_machine(answers, found):
    assert reported(answers) == found


def test_guest_with_io_is_not_reported_until_it_is_silent():
    answers = [GOOD] + [MISSING] * 40

    assert reported(answers, kind=Kind.HEARTBEAT_IO, activity=lambda n: n) == []
    # the last movement is that of the tenth answer; 120 s later
    assert reported(answers, kind=Kind.HEARTBEAT_IO, activity=lambda n: min(n, 10)) == [22]


def test_qemu_that_does_not_answer_counts_as_silent():
    answers = [GOOD] + [MISSING] * 20

    assert reported(answers, kind=Kind.HEARTBEAT_IO, activity=lambda n: None) == [14]


def test_guest_whose_io_could_not_be_asked_for_counts_as_active():
    answers = [GOOD] + [MISSING] * 40

    def asked_from(first):
        return lambda n: Answer.UNKNOWN if n < first else 7

    assert reported(answers, kind=Kind.HEARTBEAT_IO, activity=asked_from(99)) == []
    # nothing moves, as is known since the tenth answer; 120 s later
    assert reported(answers, kind=Kind.HEARTBEAT_IO, activity=asked_from(10)) == [22]


def test_guest_that_could_not_be_asked_is_asked_where_it_was_before():
    track = Track(LIMITS, Kind.HEARTBEAT)
    track.see(MISSING, 0)
    track.see(Answer.UNKNOWN, 10)

    assert track.is_silent


def test_guest_that_is_asked_rarely_because_many_hang_is_reported_by_the_time():
    assert reported([GOOD] + [MISSING] * 5, every_s=100) == [3]


def test_guest_that_starts_again_must_answer_first():
    track = Track(LIMITS, Kind.HEARTBEAT)
    track.see(GOOD, 0)
    track.begin()

    assert not any(track.see(MISSING, 10.0 * n) for n in range(20))
    assert track.state is State.DISCOVERY
