"""How long Masakari is left alone, and how loudly that is told."""

import pytest

from masakari.monitors.patience import Patience
from masakari.tests.unit.db.clocks import ManualClock

PAUSES_S = [1, 2, 4, 8, 16, 16]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def patience(clock):
    return Patience(clock, longest_pause_s=16, alarm=3)


def levels(caplog):
    return [r.levelname for r in caplog.records if r.name.startswith("masakari")]


def test_pause_doubles_with_each_try_up_to_the_longest(patience, clock):
    pauses = []
    for _ in PAUSES_S:
        patience.missed("vm1: Masakari has not heard", "connection refused", 1)
        pauses.append(patience.resume_at - clock.monotonic())

    assert pauses == PAUSES_S


def test_first_try_is_a_warning_and_each_so_many_an_error(patience, caplog):
    for _ in range(7):
        patience.missed("vm1: Masakari has not heard", "connection refused", 4)

    assert levels(caplog) == ["WARNING", "ERROR", "ERROR"]
    assert "Masakari has not answered 6 tries (connection refused); 4 reports wait" in caplog.text


def test_answer_begins_anew(patience, clock, caplog):
    caplog.set_level("INFO")
    for _ in range(2):
        patience.missed("vm1: Masakari has not heard", "connection refused", 1)

    patience.answered()
    patience.answered()

    assert (patience.resume_at, patience.unanswered) == (clock.monotonic(), 0)
    assert levels(caplog) == ["WARNING", "INFO"]


def test_single_report_waits_longer_each_time_and_nothing_else_does(patience, clock, caplog):
    what = "vm1: Masakari has not taken STOPPED"
    due = [patience.postponed(what, "500", tries) for tries in range(1, 7)]

    assert [at - clock.monotonic() for at in due] == PAUSES_S
    assert patience.resume_at == clock.monotonic()
    assert levels(caplog) == ["WARNING", "ERROR", "ERROR"]
