"""The fixtures of unit/db, on MariaDB instead of SQLite."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from masakari.clock import SystemClock
from masakari.db import migration, models, progress, session
from masakari.db.session import Database
from masakari.tests import conftest, servers

TABLES = [t.name for t in (*models.metadata.sorted_tables, *progress.TABLES)]


@pytest.fixture(scope="session")
def mariadb_rows_url(
    server: conftest.StartServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of this worker's database with all tables."""
    port = server("mariadb").port
    name = f"masakari_rows_{conftest.worker_number()}"
    servers.execute(port, f"CREATE DATABASE {name} CHARACTER SET utf8")
    url = servers.mariadb_url(port, name)
    conf = conftest.new_conf(tmp_path_factory.mktemp("rows"))
    conf.set_override("connection", url, group="database")
    migration.sync(conf)
    yield url
    servers.execute(port, f"DROP DATABASE {name}")


@pytest.fixture
def migrated_conf(conf: cfg.ConfigOpts, mariadb_rows_url: str) -> cfg.ConfigOpts:
    """Options with a database that has all tables and no rows."""
    conf.set_override("connection", mariadb_rows_url, group="database")
    engine = sa.create_engine(mariadb_rows_url)
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


@pytest.fixture
def empty_conf(conf: cfg.ConfigOpts, mariadb_url: str) -> cfg.ConfigOpts:
    """Options with an empty database."""
    conf.set_override("connection", mariadb_url, group="database")
    return conf
