"""Alarms: what the database says of their causes."""

import datetime

import pytest

from masakari import db
from masakari.tests.unit.db.clocks import ManualClock

STEP_S = 5.0


class SteppingClock(ManualClock):
    """Every look at it takes its time: the database's too, which is this clock for SQLite."""

    def now(self) -> datetime.datetime:
        self.advance(STEP_S)
        return super().now()


def test_clock_slow_answer_is_no_difference(connect_database) -> None:
    assert db.alarms.clock_ahead_s(connect_database(SteppingClock())) == 0


@pytest.mark.parametrize("ahead_s", [60.0, -60.0])
def test_clock_difference_is_seen_also_by_who_is_slow(connect_database, ahead_s) -> None:
    database = connect_database(SteppingClock())
    database.clock = SteppingClock()
    database.clock.advance(ahead_s)

    seen_s = db.alarms.clock_ahead_s(database)

    assert abs(seen_s - ahead_s) <= 3 * STEP_S
