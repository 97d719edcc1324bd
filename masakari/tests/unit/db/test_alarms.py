"""Alarms: who raises them, and what the database says of their causes."""

import datetime

import pytest

from masakari import db
from masakari.db.session import Database
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.clocks import ManualClock

STEP_S = 5.0
DAY_S = 86400.0


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


def test_alarm_is_raised_once_and_cleared_once(database: Database) -> None:
    first = db.alarms.confirm(database, "MSK-101", "n1", "it waits")
    again = db.alarms.confirm(database, "MSK-101", "n1", "it waits")
    other = db.alarms.confirm(database, "MSK-101", "n2", "it waits")

    assert first is not None
    assert again is None
    assert other is not None
    assert [(a.subject, a.raised_at) for a in db.alarms.raised(database)] == [
        ("n1", first.raised_at),
        ("n2", other.raised_at),
    ]
    assert db.alarms.clear(database, "MSK-101", "n1")
    assert not db.alarms.clear(database, "MSK-101", "n1")
    assert [a.subject for a in db.alarms.raised(database)] == ["n2"]


def test_alarm_that_all_engines_raise_is_raised_by_one(database: Database) -> None:
    outcomes = rows.at_once(lambda _: db.alarms.confirm(database, "MSK-101", "n1", "it waits"))

    assert sum(outcome is not None for outcome in outcomes) == 1
    assert len(db.alarms.raised(database)) == 1


def test_open_notifications_wait_when_they_are_old_and_fail_when_they_were_tried(
    connect_database,
) -> None:
    clock = ManualClock()
    database = connect_database(clock)
    segment = rows.segment(database)
    for name in ("compute1", "compute2", "compute3"):
        rows.host(database, name, of=segment)
    old = [
        rows.in_status(database, status, host)
        for status, host in (("new", "compute1"), ("error", "compute2"), ("finished", "compute3"))
    ]
    clock.advance(60)

    waiting = [(n.uuid, n.host) for n in db.alarms.waiting(database, 59)]
    failing = [(n.uuid, n.message) for n in db.alarms.failing(database)]

    assert waiting == [(n.notification_uuid, f"compute{k}") for k, n in enumerate(old[:2], 1)]
    assert failing == [(old[1].notification_uuid, "so")]
    assert db.alarms.waiting(database, 61) == []


def test_failed_is_given_up_until_its_host_is_recovered_or_a_day_has_passed(
    connect_database,
) -> None:
    clock = ManualClock()
    database = connect_database(clock)
    segment = rows.segment(database)
    for name in ("compute1", "compute2"):
        rows.host(database, name, of=segment)
    lost, other = (rows.in_status(database, "failed", f"compute{n}") for n in (1, 2))

    before = [n.uuid for n in db.alarms.given_up(database, DAY_S)]
    later = rows.report(database, "compute1", at=rows.T0 + datetime.timedelta(hours=1))
    rows.claim(database, later.notification_uuid)
    rows.settle(database, later.notification_uuid, "finished")
    after = [n.uuid for n in db.alarms.given_up(database, DAY_S)]
    clock.advance(DAY_S + 1)

    assert before == [lost.notification_uuid, other.notification_uuid]
    assert after == [other.notification_uuid]
    assert db.alarms.given_up(database, DAY_S) == []


def test_reserved_host_is_left_over_when_its_recovery_has_ended(database: Database) -> None:
    segment = rows.segment(database)
    rows.host(database, "compute1", of=segment)
    spare = rows.host(database, "spare", of=segment, reserved=True)
    n = rows.in_status(database, "running")
    db.hosts.take_reserved(database, spare.uuid, by=n.notification_uuid)

    meanwhile = db.alarms.taken_hosts(database)
    rows.settle(database, n.notification_uuid, "failed")

    assert meanwhile == []
    assert db.alarms.taken_hosts(database) == ["spare"]
    assert db.alarms.registered_hosts(database) == ["compute1", "spare"]
