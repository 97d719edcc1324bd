"""The fixtures of unit/db, on MariaDB and PostgreSQL instead of SQLite."""

import contextlib
import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from masakari.clock import Clock, SystemClock
from masakari.db import migration, models, session, steps
from masakari.db.session import Database
from masakari.tests import conftest, servers

TABLES = [t.name for t in (*models.metadata.sorted_tables, *steps.TABLES)]


@pytest.fixture(scope="session", params=servers.DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database: each test runs on all of them."""
    return str(request.param)


@pytest.fixture(scope="session")
def rows_url(
    kind: str, server: conftest.StartServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of this worker's database with all tables."""
    with conftest.fresh_database(server, kind, "masakari_rows") as url:
        conf = conftest.new_conf(tmp_path_factory.mktemp("rows"))
        conf.set_override("connection", url, group="database")
        migration.sync(conf)
        yield url


@pytest.fixture
def migrated_conf(conf: cfg.ConfigOpts, rows_url: str) -> cfg.ConfigOpts:
    """Options with a database that has all tables and no rows."""
    conf.set_override("connection", rows_url, group="database")
    engine = sa.create_engine(rows_url)
    with engine.begin() as connection:
        for name in reversed(TABLES):
            connection.execute(sa.text(f"DELETE FROM {name}"))
    engine.dispose()
    return conf


@pytest.fixture
def database(migrated_conf: cfg.ConfigOpts) -> Iterator[Database]:
    """A database with all tables and no rows."""
    found = session.connect(migrated_conf, SystemClock())
    yield found
    found.dispose()


MOVED = (
    "CREATE SCHEMA IF NOT EXISTS moved",
    "CREATE OR REPLACE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS"
    " $$ SELECT current_setting('moved.now')::timestamptz $$",
    "SET search_path = moved, pg_catalog, public",
)
"""PostgreSQL finds this function before its own."""
SHOW = {
    "mariadb": lambda now: f"SET SESSION timestamp = {now.timestamp():.6f}",
    "postgresql": lambda now: f"SET moved.now = '{now.isoformat()}'",
}


@pytest.fixture
def connect_database(
    migrated_conf: cfg.ConfigOpts, kind: str
) -> Iterator[Callable[[Clock], Database]]:
    """Connects to the database on the clock that it is given: for these connections the server's
    clock shows the same.
    """
    with contextlib.ExitStack() as stack:

        def connect(clock: Clock) -> Database:
            found = session.connect(migrated_conf, clock)
            stack.callback(found.dispose)

            def move(_connection: object, cursor: Any, *_: object) -> None:
                if kind == "postgresql":
                    for statement in MOVED:
                        cursor.execute(statement)
                cursor.execute(SHOW[kind](clock.now().replace(tzinfo=datetime.UTC)))

            sa.event.listen(found.engine, "before_cursor_execute", move)
            return found

        yield connect


@pytest.fixture
def empty_conf(
    conf: cfg.ConfigOpts, kind: str, server: conftest.StartServer
) -> Iterator[cfg.ConfigOpts]:
    """Options with an empty database."""
    with conftest.fresh_database(server, kind) as url:
        conf.set_override("connection", url, group="database")
        yield conf
