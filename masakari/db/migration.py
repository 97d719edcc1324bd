"""`masakari-manage db sync` and `db version`: our tables by alembic, then TaskFlow's own.

The chain of revisions continues that of OpenStack's Masakari, so a database of any of its
releases is upgraded in place.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import alembic.command
import alembic.config
import alembic.util.exc
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from oslo_config import cfg
from oslo_log import log
from sqlalchemy.dialects import mysql

from masakari.clock import Clock, SystemClock
from masakari.db import models, progress, retry, session, steps
from masakari.db.session import Database
from masakari.errors import Invalid

LOG = log.getLogger(__name__)

VERSION_TABLE = "masakari_alembic_version"
LEGACY = {7: "8f848eb45d03", 8: "8bdf5929c5a6"}
"""sqlalchemy-migrate's version numbers, of releases before alembic, as our revisions."""
LEGACY_OVERRIDE = "FORCE_MASAKARI_DB_SYNC"
SYNC_LOCK = "masakari-db-sync"
SYNC_LOCK_TIMEOUT_S = 60


def sync(conf: cfg.ConfigOpts, revision: str | None = None, clock: Clock | None = None) -> None:
    """Our tables are at *revision* (None: the newest) or later, TaskFlow's at its newest.

    Raises ConfigInvalid, DatabaseUnavailable, and Invalid if there is no such revision or the
    database is none that can be upgraded.
    """
    clock = clock or SystemClock()
    with (
        contextlib.closing(progress.connect(conf, clock, answer_timeout_s=None)) as backend,
        _connected(conf, clock) as database,
        _alone(database),
    ):
        upgrade(database, revision)
        retry.calling(clock, lambda: _upgrade_taskflow(backend))


def version(conf: cfg.ConfigOpts, clock: Clock | None = None) -> str | None:
    """The revision of the database, None if it has none.

    Raises ConfigInvalid and DatabaseUnavailable.
    """
    with _connected(conf, clock or SystemClock()) as database:

        def read() -> str | None:
            with database.reading() as tx:
                return current(tx.connection)

        return retry.calling(database.clock, read)


def newest() -> str:
    """The revision to which `sync` brings a database."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101  the chain is not empty
    return head


def is_known(revision: str) -> bool:
    """Whether this release has the revision in its chain."""
    try:
        _check_revision(revision)
    except Invalid:
        return False
    return True


def upgrade(database: Database, revision: str | None = None) -> None:
    """Our tables are at *revision* (None: the newest) or later.  Raises as `sync`."""
    target = revision or "head"
    _check_revision(target)

    def run() -> None:
        with database.writing() as tx:
            _adopt_legacy(tx.connection)
            _check_ours(tx.connection)
            _check_known(tx.connection)
            alembic.command.upgrade(_config(tx.connection), target)

    retry.calling(database.clock, run)


@contextlib.contextmanager
def _connected(conf: cfg.ConfigOpts, clock: Clock) -> Iterator[Database]:
    # Changing a large table takes as long as it takes.
    database = session.connect(conf, clock, answer_timeout_s=None)
    try:
        yield database
    finally:
        database.dispose()


def _config(connection: sa.Connection | None = None) -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(pathlib.Path(__file__).parent / "alembic"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def current(connection: sa.Connection) -> str | None:
    """The revision of the database, None if it has none."""
    options = {"version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _check_revision(revision: str) -> None:
    try:
        ScriptDirectory.from_config(_config()).get_revision(revision)
    except alembic.util.exc.CommandError:
        raise Invalid(message=f"There is no database revision {revision}.") from None


def _check_ours(connection: sa.Connection) -> None:
    """Tables of our names that nobody says are ours are left alone.

    The table of the revision is made before the first of the others.
    """
    inspector = sa.inspect(connection)
    found = [t.name for t in models.metadata.sorted_tables if inspector.has_table(t.name)]
    if found and not inspector.has_table(VERSION_TABLE):
        raise Invalid(
            message=f"The database has a table {found[0]} but no {VERSION_TABLE}: it is another "
            "program's, or was not restored whole. Nothing was changed."
        )


def _check_known(connection: sa.Connection) -> None:
    """A database that a later release has upgraded is left alone."""
    revision = current(connection)
    if revision is None:
        return
    try:
        _check_revision(revision)
    except Invalid:
        raise Invalid(
            message=f"The database is at revision {revision}, which this release does not know."
        ) from None


def _adopt_legacy(connection: sa.Connection) -> None:
    """A database that sqlalchemy-migrate made has the alembic revision that it corresponds to."""
    inspector = sa.inspect(connection)
    if inspector.has_table(VERSION_TABLE) or not inspector.has_table("migrate_version"):
        return
    number = connection.execute(sa.text("SELECT max(version) FROM migrate_version")).scalar_one()
    newest = max(LEGACY)
    if number is None or number < min(LEGACY):
        raise Invalid(
            message=f"The database is at version {number} of an old release: upgrade it with that "
            f"release to version {min(LEGACY)} first."
        )
    if number > newest and not os.environ.get(LEGACY_OVERRIDE):
        raise Invalid(
            message=f"The database is at the unknown version {number} of an old release; set "
            f"{LEGACY_OVERRIDE}=1 to treat it as version {newest}."
        )
    LOG.info("The database is at version %s of an old release", number)
    alembic.command.stamp(_config(connection), LEGACY[min(number, newest)])


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[None]:
    """No other sync runs meanwhile.  (SQLite needs no lock: a writer is alone.)"""
    lock = _LOCKS.get(database.engine.dialect.name)
    if lock is None:
        yield
        return
    with retry.calling(database.clock, database.engine.connect) as connection:
        try:
            has_lock = lock(connection)
            connection.commit()  # servers end transactions in which nothing happens
        except sa.exc.SQLAlchemyError:
            has_lock = False
        if not has_lock:
            raise Invalid(message="Another masakari-manage db sync is running.")
        try:
            yield
        finally:
            connection.detach()  # it closes at the end, and the server gives the lock back


def _lock_mysql(connection: sa.Connection) -> bool:
    name = f"{SYNC_LOCK}-{connection.engine.url.database}"[:64]
    lock = sa.func.get_lock(name, SYNC_LOCK_TIMEOUT_S)
    return bool(connection.execute(sa.select(lock)).scalar() == 1)


def _lock_postgresql(connection: sa.Connection) -> bool:
    """Of this database; raises when it waits for too long."""
    connection.execute(sa.text(f"SET lock_timeout = '{SYNC_LOCK_TIMEOUT_S}s'"))
    connection.execute(sa.select(sa.func.pg_advisory_lock(sa.func.hashtext(SYNC_LOCK))))
    return True


_LOCKS = {"mysql": _lock_mysql, "mariadb": _lock_mysql, "postgresql": _lock_postgresql}


# ---- TaskFlow's tables


def _upgrade_taskflow(backend: progress.Backend) -> None:
    """TaskFlow's tables are at its newest, and on MySQL wide enough."""
    backend.get_connection().upgrade()
    if backend.engine.dialect.name in ("mysql", "mariadb"):
        with backend.engine.begin() as connection:
            _widen(connection)
    else:
        with backend.engine.begin() as connection:
            _index_parents(connection)


def _index_parents(connection: sa.Connection) -> None:
    """The flows of a book and the steps of a flow are found by an index, as on MySQL by itself."""
    for table in (steps.TABLES.flowdetails, steps.TABLES.atomdetails):
        index = f"{table.name}_parent_uuid_idx"
        connection.execute(
            sa.text(f"CREATE INDEX IF NOT EXISTS {index} ON {table.name} (parent_uuid)")
        )


def _widen(connection: sa.Connection) -> None:
    """What TaskFlow made TEXT, 64 KiB, is LONGTEXT."""
    inspector = sa.inspect(connection)
    for table in steps.TABLES:
        for column in inspector.get_columns(table.name):
            kind = column["type"]
            if type(kind) is not mysql.TEXT:
                continue
            wide = mysql.LONGTEXT(charset=kind.charset, collation=kind.collation)
            text = wide.compile(dialect=connection.dialect)
            connection.execute(
                sa.text(f"ALTER TABLE {table.name} MODIFY COLUMN `{column['name']}` {text} NULL")
            )
            LOG.info("Widened %s.%s", table.name, column["name"])
