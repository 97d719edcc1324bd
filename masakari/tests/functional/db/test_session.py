"""What is sent to the server beside the statements."""

import pytest
import sqlalchemy as sa

from masakari.db.session import Database
from masakari.tests.unit.db import rows

pytestmark = pytest.mark.functional


@pytest.fixture
def sent(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ends of transactions that the driver was asked for; the connection is there already."""
    rows.segment(database, "first")
    ends: list[str] = []
    with database.reading() as tx:
        driver = type(tx.connection.connection.dbapi_connection)
    if hasattr(driver, "server_status") or is_pymysql(driver):
        for name in ("commit", "rollback"):
            real = getattr(driver, name)
            monkeypatch.setattr(
                driver, name, lambda self, real=real, name=name: (ends.append(name), real(self))
            )
    else:
        pytest.skip("a driver in C cannot be listened to")
    return ends


def is_pymysql(driver: type) -> bool:
    return any(base.__module__.startswith("pymysql") for base in driver.__mro__)


def test_what_committed_is_not_rolled_back_as_well(database: Database, sent: list[str]) -> None:
    rows.segment(database)
    assert sent == ["commit"]

    with database.reading() as tx:
        tx.connection.execute(sa.select(1))
    assert sent == ["commit", "rollback"]


def test_what_failed_is_rolled_back(database: Database, sent: list[str]) -> None:
    rows.segment(database)
    sent.clear()

    with pytest.raises(ZeroDivisionError), database.writing() as tx:
        tx.connection.execute(sa.select(1))
        _ = 1 / 0

    assert sent == ["rollback"]
