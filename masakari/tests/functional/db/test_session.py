"""What is sent to the server beside the statements."""

import pytest
import sqlalchemy as sa

from masakari.db import models
from masakari.db.session import Database
from masakari.tests.unit.db import rows

pytestmark = pytest.mark.functional


@pytest.fixture
def sent(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the driver was asked for: statements, and ends of transactions.

    The connection is there already, and was used to write.
    """
    asked: list[str] = []
    with database.reading() as tx:
        driver = type(tx.connection.connection.dbapi_connection)
    rows.segment(database, "first")
    if hasattr(driver, "server_status") or is_pymysql(driver):
        for name in ("commit", "rollback"):
            real = getattr(driver, name)
            monkeypatch.setattr(
                driver, name, lambda self, real=real, name=name: (asked.append(name), real(self))
            )
        query = driver.query  # type: ignore[attr-defined]
        monkeypatch.setattr(
            driver,
            "query",
            lambda self, sql, *more, **named: (
                asked.append(str(sql)),
                query(self, sql, *more, **named),
            )[1],
        )
    else:
        pytest.skip("a driver in C cannot be listened to")
    return asked


def is_pymysql(driver: type) -> bool:
    return any(base.__module__.startswith("pymysql") for base in driver.__mro__)


def test_what_committed_is_not_rolled_back_as_well(database: Database, sent: list[str]) -> None:
    rows.segment(database)

    assert sent[-1:] == ["commit"]
    assert "rollback" not in sent


def test_reading_is_one_turn(database: Database, sent: list[str]) -> None:
    for _ in range(2):
        with database.reading() as tx:
            tx.connection.execute(sa.select(1))

    assert sent == ["SET autocommit = 1", "SELECT 1", "SELECT 1"]


def test_what_is_written_after_reading_is_a_transaction(database: Database) -> None:
    rows.segment(database)
    everything = sa.select(models.segments.c.name)
    with database.reading() as tx:
        tx.connection.execute(everything)

    with pytest.raises(ZeroDivisionError), database.writing() as tx:
        tx.connection.execute(sa.delete(models.segments))
        _ = 1 / 0

    with database.reading() as tx:
        assert tx.connection.execute(everything).all() == [("rack1",)]


def test_what_failed_is_rolled_back(database: Database, sent: list[str]) -> None:
    rows.segment(database)
    sent.clear()

    with pytest.raises(ZeroDivisionError), database.writing() as tx:
        tx.connection.execute(sa.select(1))
        _ = 1 / 0

    assert sent[-1:] == ["rollback"]
