"""Rights that a user of MariaDB or PostgreSQL lacks are named; nothing is changed."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from masakari import db
from masakari.clock import SystemClock
from masakari.tests import conftest, servers
from masakari.tests.unit.db import rows

pytestmark = pytest.mark.functional

USER = "limited"
GRANT = {
    "mariadb": (
        "CREATE USER {user} IDENTIFIED BY '{password}'",
        "GRANT SELECT, INSERT, DELETE ON {name}.* TO {user}",
    ),
    "postgresql": (
        "CREATE USER {user} PASSWORD '{password}'",
        "GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO {user}",
    ),
}
DROP = {
    "mariadb": ("DROP USER {user}",),
    "postgresql": ("DROP OWNED BY {user}", "DROP USER {user}"),
}


@pytest.fixture
def limited(kind: str, rows_url: str, migrated_conf: cfg.ConfigOpts) -> Iterator[cfg.ConfigOpts]:
    """Options of a user who may not update, and on PostgreSQL not make ids either."""
    url = sa.make_url(rows_url)
    words = {
        "user": f"{USER}_{conftest.worker_number()}",
        "password": servers.PASSWORD,
        "name": url.database,
    }
    admin = sa.create_engine(rows_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in GRANT[kind]:
            connection.exec_driver_sql(statement.format(**words))
        theirs = url.set(username=words["user"]).render_as_string(hide_password=False)
        migrated_conf.set_override("connection", theirs, group="database")
        yield migrated_conf
        for statement in DROP[kind]:
            connection.exec_driver_sql(statement.format(**words))
    admin.dispose()


LOOK: dict[str, Callable[..., list[str]]] = {
    "ours": db.rights.refused,
    "taskflow": db.rights.refused_of_taskflow,
}


@pytest.mark.parametrize("whose", LOOK)
def test_nothing_is_refused_and_nothing_changed(
    migrated_conf: cfg.ConfigOpts, database: db.session.Database, whose: str
) -> None:
    n = rows.in_status(database, "new") if rows.host(database) else None

    assert LOOK[whose](migrated_conf, SystemClock()) == []
    assert n is not None
    assert db.notifications.every(database) == [n]


@pytest.mark.parametrize(("whose", "table"), [("ours", "hosts"), ("taskflow", "atomdetails")])
def test_each_right_that_is_missing_is_named(
    limited: cfg.ConfigOpts, kind: str, whose: str, table: str
) -> None:
    refused = LOOK[whose](limited, SystemClock())

    words = "denied to user" if kind == "mariadb" else "permission denied for"
    (said,) = [text for text in refused if text.startswith(f"UPDATE {table}: ")]
    assert words in said
    assert servers.PASSWORD not in said
    assert not [text for text in refused if text.startswith(("SELECT", "INSERT", "DELETE"))]
    counted = f"USAGE of the sequence of {table}: permission denied" in refused
    assert counted == (kind == "postgresql" and whose == "ours")
