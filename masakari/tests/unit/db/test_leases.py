"""Leases, retries and expiry on a clock that the tests move."""

import datetime
from collections.abc import Callable

import pytest

from masakari import db
from masakari.clock import Clock
from masakari.db.models import Notification
from masakari.db.session import Database
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.clocks import ManualClock
from masakari.tests.unit.db.rows import T0

LEASE_S = 15
RETRY_S = 120
DAY_S = 86400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(clock: ManualClock, connect_database: Callable[[Clock], Database]) -> Database:
    return connect_database(clock)


def claim(database: Database, n: Notification, owner: str = "a") -> Notification | None:
    return db.leases.claim(database, n.notification_uuid, owner=owner, lease_s=LEASE_S)


def renew(database: Database, n: Notification, owner: str = "a") -> bool:
    return db.leases.renew(database, n.notification_uuid, owner=owner, lease_s=LEASE_S)


def settle(database: Database, n: Notification, status: str) -> bool:
    """As an engine does that tries again after RETRY_S."""
    again_at = database.clock.now() + datetime.timedelta(seconds=RETRY_S)
    return db.leases.settle(
        database,
        n.notification_uuid,
        owner="a",
        status=status,
        message="m",
        not_before=again_at,
    )


@pytest.fixture
def n(database: Database) -> Notification:
    rows.host(database)
    return rows.report(database, at=T0)


def test_claim_before_the_lease_ends_returns_none(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    claim(database, n, "a")
    clock.advance(LEASE_S - 0.001)

    assert claim(database, n, "b") is None
    assert db.leases.due(database) == []


def test_claim_after_the_lease_has_ended_is_a_resume(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    claim(database, n, "a")
    clock.advance(LEASE_S)

    assert db.leases.due(database) == [n.notification_uuid]
    resumed = claim(database, n, "b")
    assert resumed is not None
    assert (resumed.owner, resumed.attempt, resumed.status) == ("b", 1, "running")


def test_renew_in_time_keeps_others_away(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    claim(database, n, "a")
    for _ in range(10):
        clock.advance(LEASE_S / 3)
        assert renew(database, n, "a")

    assert claim(database, n, "b") is None


def test_renew_after_the_end_is_refused_even_if_nobody_took_it(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    claim(database, n, "a")
    clock.advance(LEASE_S)

    assert not renew(database, n, "a")


def test_settle_after_the_end_by_the_owner_is_accepted_unless_taken_over(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    claim(database, n, "a")
    clock.advance(LEASE_S)
    claim(database, n, "b")

    assert not settle(database, n, "finished")
    assert db.notifications.get(database, n.notification_uuid).owner == "b"


def test_lease_of_another_notification_of_the_host_ends_too(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    second = rows.report(database, at=T0, payload={"event": "two"})
    claim(database, n, "a")
    assert claim(database, second, "b") is None

    clock.advance(LEASE_S)

    assert db.leases.due(database) == [
        n.notification_uuid,
        second.notification_uuid,
    ]
    assert claim(database, second, "b") is not None
    assert claim(database, n, "a") is None


def test_error_rests_before_it_is_due_and_claimed_again(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    claim(database, n)
    settle(database, n, "error")
    clock.advance(RETRY_S - 1)

    assert db.leases.due(database) == []
    assert claim(database, n) is None

    clock.advance(1)
    assert db.leases.due(database) == [n.notification_uuid]
    again = claim(database, n)
    assert again is not None
    assert again.attempt == 2


def test_settle_error_counts_failures_of_its_own(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    for number, is_counted in enumerate([True, False, False, True], 1):
        mine = claim(database, n)
        assert mine is not None
        assert mine.attempt == number
        db.leases.settle(
            database,
            n.notification_uuid,
            owner="a",
            status="error",
            message="m",
            is_counted=is_counted,
        )

    assert db.notifications.get(database, n.notification_uuid).failures == 2


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_settle_for_good_counts_no_failure(
    database: Database, n: Notification, status: str
) -> None:
    assert n.failures == 0
    claim(database, n)

    settle(database, n, status)

    assert db.notifications.get(database, n.notification_uuid).failures == 0


@pytest.mark.parametrize("status", ["new", "error"])
def test_expire_open_row_of_age_fails(
    database: Database, clock: ManualClock, n: Notification, status: str
) -> None:
    if status == "error":
        claim(database, n)
        settle(database, n, "error")
    clock.advance(DAY_S)
    assert db.leases.expire(database, age_s=DAY_S) == []

    clock.advance(1)
    assert db.leases.expire(database, age_s=DAY_S) == [n.notification_uuid]

    now = db.notifications.get(database, n.notification_uuid)
    assert now.status == "failed"
    assert now.message is not None
    assert now.message.startswith("expired: ")
    assert db.leases.expire(database, age_s=DAY_S) == []


def test_expire_running_row_only_when_nobody_works_on_it(
    database: Database, clock: ManualClock, n: Notification
) -> None:
    clock.advance(DAY_S + 1)
    claim(database, n)
    db.vmoves.prepare(
        database, n.notification_uuid, 1, 1, [rows.move(0), rows.move(1), rows.move(2)]
    )
    moves = db.vmoves.of_attempt(database, n.notification_uuid, 1)
    db.vmoves.start(database, moves[0].uuid, lock=True)
    db.vmoves.start(database, moves[1].uuid, lock=True)
    db.vmoves.finish(
        database, moves[1].uuid, status="succeeded", dest_host="compute2", locked=False
    )
    assert db.leases.expire(database, age_s=DAY_S) == []

    clock.advance(LEASE_S)
    assert db.leases.expire(database, age_s=DAY_S) == [n.notification_uuid]

    now = db.vmoves.of_attempt(database, n.notification_uuid, 1)
    assert [m.status for m in now] == ["failed", "succeeded", "failed"]
    assert [m.locked for m in now] == [True, False, False]
    assert [m.uuid for m in db.vmoves.still_locked(database)] == [moves[0].uuid]
    settled = db.notifications.get(database, n.notification_uuid)
    assert (settled.owner, settled.lease_until) == (None, None)


def test_expire_row_of_a_monitor_whose_clock_is_behind_is_left(
    database: Database, clock: ManualClock
) -> None:
    clock.advance(30 * DAY_S)
    rows.host(database)
    rows.report(database, at=T0)

    assert db.leases.expire(database, age_s=DAY_S) == []


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_expire_settled_row_is_left(
    database: Database, clock: ManualClock, n: Notification, status: str
) -> None:
    claim(database, n)
    settle(database, n, status)
    clock.advance(2 * DAY_S)

    assert db.leases.expire(database, age_s=DAY_S) == []


def test_expire_stops_at_the_limit(database: Database, clock: ManualClock) -> None:
    rows.host(database)
    uuids = [
        rows.report(database, at=T0, payload={"event": f"{number}"}).notification_uuid
        for number in range(3)
    ]
    clock.advance(DAY_S + 1)

    assert db.leases.expire(database, age_s=DAY_S, limit=2) == uuids[:2]
    assert db.leases.expire(database, age_s=DAY_S, limit=2) == uuids[2:]


@pytest.mark.parametrize(
    ("status", "expected"), [("ignored", "ignored"), ("error", "failed"), ("failed", "failed")]
)
def test_settle_ends_the_moves_that_are_open(
    database: Database, n: Notification, status: str, expected: str
) -> None:
    claim(database, n)
    moves = db.vmoves.prepare(database, n.notification_uuid, 1, 1, [rows.move(1), rows.move(2)])
    db.vmoves.finish(database, moves[0].uuid, status="succeeded", locked=False)

    settle(database, n, status)

    ended = db.vmoves.of_attempt(database, n.notification_uuid, 1)
    assert [m.status for m in ended] == ["succeeded", expected]
