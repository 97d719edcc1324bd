"""How far a database is, for those who ask before an upgrade; nothing is changed."""

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from oslo_config import cfg

from masakari.clock import Clock
from masakari.db import drivers, migration, models, progress, retry, session, steps
from masakari.db.session import Database, Transaction, reader

HERE = (None, "", "localhost", "127.0.0.1", "::1")
"""Hosts in URLs of databases that are on the same machine."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The revision of our tables, and the one that this release needs."""

    current: str | None
    newest: str
    is_known: bool
    """This release knows the current one."""


def exists(conf: cfg.ConfigOpts, group: str = "database") -> bool:
    """It is no SQLite file that is not there: whoever looks into one makes it.

    Raises ConfigInvalid.
    """
    file = drivers.sqlite_file(session.parse_url(conf, group=group))
    return file is None or file.exists()


def revision(conf: cfg.ConfigOpts, clock: Clock) -> Standing:
    """Of `[database] connection`.  Raises ConfigInvalid and DatabaseUnavailable."""
    current = migration.version(conf, clock) if exists(conf) else None
    return Standing(
        current, migration.newest(), is_known=current is None or migration.is_known(current)
    )


def problem(database: Database) -> str | None:
    """Why this release cannot work with the tables, None if it can.  Raises DatabaseUnavailable.

    A newer release may have been at work there: what it adds does not disturb.
    """
    there, newest = _current(database), migration.newest()
    if there == newest or (there is not None and not migration.is_known(there)):
        return None
    return f"its tables are at revision {there or 'none'}, not {newest}: masakari-manage db sync"


@reader
def _current(tx: Transaction) -> str | None:
    return migration.current(tx.connection)


def missing_of_taskflow(conf: cfg.ConfigOpts, clock: Clock) -> list[str]:
    """Tables, and columns of the others, that TaskFlow needs and that are not there.

    Raises ConfigInvalid and DatabaseUnavailable.
    """
    group = "taskflow" if conf.taskflow.connection else "database"
    if not exists(conf, group):
        return [table.name for table in steps.TABLES]
    backend = progress.connect(conf, clock)
    try:
        return retry.calling(clock, lambda: _missing(backend.engine))
    finally:
        backend.close()


def _missing(engine: sa.Engine) -> list[str]:
    inspector = sa.inspect(engine)
    missing = []
    for table in steps.TABLES:
        if not inspector.has_table(table.name):
            missing.append(table.name)
            continue
        there = {column["name"] for column in inspector.get_columns(table.name)}
        missing += [f"{table.name}.{c.name}" for c in table.columns if c.name not in there]
    return missing


@contextlib.contextmanager
def connected(conf: cfg.ConfigOpts, clock: Clock) -> Iterator[Database]:
    """The database of `[database] connection`.  Raises ConfigInvalid."""
    database = session.connect(conf, clock)
    try:
        yield database
    finally:
        database.dispose()


def is_of_one_node(conf: cfg.ConfigOpts) -> bool:
    """Only programs on this machine can use the database.  Raises ConfigInvalid."""
    url = session.parse_url(conf, group="database")
    return url.get_backend_name() == "sqlite" or url.host in HERE


@reader
def time(tx: Transaction) -> datetime.datetime:
    """The database's, UTC, naive."""
    return tx.now()


@reader
def owners(tx: Transaction) -> list[str]:
    """The engines that work on something, or did so when they died."""
    owner = models.notifications.c.owner
    found = tx.connection.execute(sa.select(owner).where(owner.is_not(None)).distinct())
    return sorted(found.scalars())
