from collections.abc import Callable

import pytest
import sqlalchemy.exc as sa_exc
from oslo_db import exception as db_exc

from masakari.db import retry
from masakari.errors import DatabaseUnavailable, HostNotFound
from masakari.tests.unit.db.clocks import ManualClock


def refused() -> Exception:
    words = (2003, "Can't connect to MySQL server on 'db'")
    return db_exc.DBConnectionError(sa_exc.OperationalError("SELECT secret", {}, Exception(*words)))


def failing(*failures: Exception) -> Callable[[], str]:
    left = list(failures)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


@pytest.mark.parametrize(
    "failure",
    [
        db_exc.DBDeadlock(),
        refused(),
        sa_exc.OperationalError("UPDATE", {}, Exception("database is locked")),
        sa_exc.TimeoutError("QueuePool limit reached"),
        sa_exc.OperationalError(
            "", {}, Exception("connection to server at port 1 failed: Connection refused\n\tIs it")
        ),
        sa_exc.OperationalError("", {}, Exception("canceling statement due to lock timeout")),
    ],
    ids=["deadlock", "connection", "sqlite locked", "pool", "refused", "lock timeout"],
)
def test_calling_what_may_pass_is_repeated(failure: Exception) -> None:
    clock = ManualClock()

    assert retry.calling(clock, failing(*[failure] * 5)) == "done"
    assert len(clock.slept_s) == 5


def test_calling_away_for_good_raises_within_seconds() -> None:
    clock = ManualClock()

    with pytest.raises(DatabaseUnavailable) as raised:
        retry.calling(clock, failing(*[refused()] * 99))

    assert clock.elapsed_s < 5
    assert str(raised.value) == "The database is not available."
    assert raised.value.details["detail"] == "Can't connect to MySQL server on 'db'"


def test_calling_deadlocks_are_repeated_as_long_as_anybody_waits() -> None:
    clock = ManualClock()

    with pytest.raises(DatabaseUnavailable):
        retry.calling(clock, failing(*[db_exc.DBDeadlock()] * 999))

    assert len(clock.slept_s) > 6
    assert len(set(clock.slept_s)) == len(clock.slept_s), "rivals must part"
    assert retry.PATIENCE_S - retry.LONGEST_PAUSE_S <= clock.elapsed_s <= retry.PATIENCE_S


def test_calling_slow_failures_are_not_repeated_for_minutes() -> None:
    clock = ManualClock()

    def time_out() -> None:
        clock.advance(6)
        raise refused()

    with pytest.raises(DatabaseUnavailable):
        retry.calling(clock, time_out)
    assert clock.elapsed_s < 20


@pytest.mark.parametrize(
    "failure",
    [
        sa_exc.OperationalError("", {}, Exception(1142, "ALTER command denied for table 'hosts'")),
        db_exc.DBError(
            sa_exc.ProgrammingError("", {}, Exception("must be owner of table hosts\n"))
        ),
    ],
    ids=["mysql", "postgresql"],
)
def test_calling_without_the_right_says_so(failure: Exception) -> None:
    with pytest.raises(DatabaseUnavailable, match="The database's user may not do that") as raised:
        retry.calling(ManualClock(), failing(failure))

    assert "hosts" in raised.value.details["detail"]


@pytest.mark.parametrize(
    "failure",
    [
        db_exc.DBNonExistentTable("hosts"),
        sa_exc.ProgrammingError("SELECT", {}, Exception(1146, "Table 'm.hosts' doesn't exist")),
        sa_exc.OperationalError("SELECT", {}, Exception(1054, "Unknown column 'owner'")),
        sa_exc.OperationalError("SELECT", {}, Exception("no such column: owner")),
        db_exc.DBError(
            sa_exc.ProgrammingError("", {}, Exception('relation "hosts" does not exist\nLINE 1:'))
        ),
    ],
)
def test_calling_other_schema_says_what_to_do(failure: Exception) -> None:
    with pytest.raises(DatabaseUnavailable, match="masakari-manage db sync"):
        retry.calling(ManualClock(), failing(failure))


def test_calling_access_denied_is_not_repeated() -> None:
    clock = ManualClock()
    denied = sa_exc.OperationalError("", {}, Exception(1045, "Access denied for user 'm'"))

    with pytest.raises(DatabaseUnavailable) as raised:
        retry.calling(clock, failing(denied))

    assert clock.slept_s == []
    assert "Access denied" not in str(raised.value)


@pytest.mark.parametrize(
    "failure", [HostNotFound(host="h"), db_exc.DBDataError(), KeyError("x")], ids=repr
)
def test_calling_other_errors_stay_what_they_are(failure: Exception) -> None:
    with pytest.raises(type(failure)):
        retry.calling(ManualClock(), failing(failure))
