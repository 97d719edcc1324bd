"""Connections and transactions: `connect`, and the decorators `reader` and `writer`.

A function of this package is one transaction:

    @writer
    def claim(tx: Transaction, uuid: str, *, owner: str) -> Notification | None: ...

    claim(database, uuid, owner="engine-a")        # as it is called

It is run again after a deadlock or a lost connection, so it keeps no state between runs.
"""

import contextlib
import datetime
import functools
import math
import os
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import URL

from masakari.clock import Clock
from masakari.db import retry, sqltime
from masakari.errors import ConfigInvalid
from masakari.outage import Outage

P = ParamSpec("P")
R = TypeVar("R")

SUPPORTED = ("sqlite", "mysql", "postgresql")
POSTGRESQL = "postgresql+psycopg2"
"""What postgresql:// without a driver means, as it always did (SQLAlchemy 2.1 means psycopg)."""
CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 30
LOCK_TIMEOUT_S = 10
_POSTGRESQL_IS_ALIVE = {
    "tcp_user_timeout": ANSWER_TIMEOUT_S * 1000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}
"""libpq does not limit an answer: a server that has vanished is noticed by the kernel, in 30 s."""
MEANWHILE = "it is asked again and again"
TRUSTED_S = 5.0
"""So long after its last use a connection is taken to be alive."""

WRITES = "masakari_writes"
"""Execution option of connections whose transactions take SQLite's write lock at once."""

_POOL_OPTIONS = (
    "connection_recycle_time",
    "connection_debug",
    "connection_trace",
    "connection_parameters",
    "max_overflow",
    "max_pool_size",
    "mysql_sql_mode",
    "mysql_wsrep_sync_wait",
    "pool_timeout",
    "sqlite_synchronous",
)


class Transaction:
    """What a function of this package works with."""

    def __init__(self, connection: sa.Connection, clock: Clock) -> None:
        """Work on *connection*, which has begun a transaction."""
        self.connection = connection
        self._clock = clock

    def now(self) -> datetime.datetime:
        """The database's time, UTC, naive: for what several programs compare."""
        return self.connection.execute(sa.select(sqltime.now())).scalar_one()

    def clock_now(self) -> datetime.datetime:
        """The program's time in whole seconds, UTC, naive: for created_at and the like."""
        return self.clock_now_precisely().replace(microsecond=0)

    def clock_now_precisely(self) -> datetime.datetime:
        """The program's time, UTC, naive: for what programs wait for."""
        return self._clock.now()


class Database:
    """One database with its pool of connections and the program's clock; thread-safe."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        """Use *engine*, made by `make_engine`."""
        self.engine = engine
        self.clock = clock
        self.outage = Outage("the database", clock, MEANWHILE)
        self._writing_engine = engine.execution_options(**{WRITES: True})
        # An SQLite database in memory has one connection: one transaction at a time.
        self._turn: contextlib.AbstractContextManager[object] = (
            threading.Lock() if is_in_memory(engine.url) else contextlib.nullcontext()
        )

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that is rolled back at the end; errors are the driver's."""
        with self._turn, self.engine.connect() as connection:
            yield Transaction(connection, self.clock)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that is committed at the end; errors are the driver's."""
        with self._turn, self._writing_engine.begin() as connection:
            yield Transaction(connection, self.clock)


def reader(
    function: Callable[Concatenate[Transaction, P], R],
) -> Callable[Concatenate[Database, P], R]:
    """The function, to be called with a Database: one transaction that changes nothing."""

    @functools.wraps(function)
    def call(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        def once() -> R:
            with database.reading() as tx:
                return function(tx, *args, **kwargs)

        return retry.calling(database.clock, once, database.outage)

    return call


def writer(
    function: Callable[Concatenate[Transaction, P], R],
) -> Callable[Concatenate[Database, P], R]:
    """The function, to be called with a Database: one transaction, all of it or nothing."""

    @functools.wraps(function)
    def call(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        def once() -> R:
            with database.writing() as tx:
                return function(tx, *args, **kwargs)

        return retry.calling(database.clock, once, database.outage)

    return call


def connect(
    conf: cfg.ConfigOpts, clock: Clock, *, answer_timeout_s: int | None = ANSWER_TIMEOUT_S
) -> Database:
    """The database of `[database] connection`; a connection is made when it is first used.

    A MySQL server that does not answer within *answer_timeout_s* counts as away.  Raises
    ConfigInvalid.
    """
    url = parse_url(conf, group="database")
    return Database(make_engine(conf, url, clock, answer_timeout_s=answer_timeout_s), clock)


def parse_url(conf: cfg.ConfigOpts, *, group: str) -> URL:
    """The checked URL of option `connection` of *group*.  Raises ConfigInvalid."""
    text: str | None = conf[group].connection

    def invalid(problem: str) -> ConfigInvalid:
        return ConfigInvalid(group=group, option="connection", problem=problem)

    if not text:
        raise invalid("a database URL is needed, e.g. mysql+pymysql://user:password@host/masakari.")
    try:
        url = sa.make_url(text)
    except (sa_exc.ArgumentError, ValueError):
        # No part of the value is repeated: it may have a password in it.
        raise invalid("not a URL of the form dialect+driver://user:password@host/name.") from None
    if url.drivername == "postgresql":
        url = url.set(drivername=POSTGRESQL)
    state_path = pathlib.Path(conf.state_path).absolute()
    if problem := _problem_of_driver(url) or _problem_of_directory(url, state_path):
        raise invalid(problem)
    return url


def _problem_of_driver(url: URL) -> str | None:
    """Why we cannot speak with such a database."""
    dialect = url.drivername.partition("+")[0]
    if dialect not in (*SUPPORTED, "mariadb"):
        return f"unknown kind of database {dialect!r}, use one of {', '.join(SUPPORTED)}."
    try:
        url.get_dialect().import_dbapi()
    except sa_exc.NoSuchModuleError:
        return f"unknown database driver {url.drivername!r}."
    except ImportError as e:
        return f"the driver of {url.drivername!r} is not installed ({e})."
    return None


def sqlite_file(url: URL) -> pathlib.Path | None:
    """The file of an SQLite database; None: it is another database, or in memory."""
    if url.get_backend_name() != "sqlite" or is_in_memory(url):
        return None
    return pathlib.Path(url.database or "").absolute()


def _problem_of_directory(url: URL, state_path: pathlib.Path) -> str | None:
    """Why an SQLite file cannot be where it should be; only *state_path* is made for it."""
    file = sqlite_file(url)
    if file is None or file.parent.is_dir():
        return None
    if file.parent != state_path:
        return f"there is no directory {file.parent}."
    there = next(path for path in state_path.parents if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return f"cannot make the directory {state_path}."
    return None


def is_in_memory(url: URL) -> bool:
    """An SQLite database that nobody else can see."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def make_engine(
    conf: cfg.ConfigOpts, url: URL, clock: Clock, *, answer_timeout_s: int | None
) -> sa.Engine:
    """An SQLAlchemy engine as oslo.db makes it, with our settings of each server."""
    context = enginefacade.transaction_context()
    context.configure(
        connection=_with_timeouts(url, answer_timeout_s).render_as_string(hide_password=False),
        sqlite_fk=True,
        max_retries=0,  # whoever uses the first connection retries
        thread_checkin=False,
        **{name: conf.database[name] for name in _POOL_OPTIONS},
    )
    context.append_on_engine_create(functools.partial(_prepare, clock=clock))
    engine: sa.Engine = context.writer.get_engine()
    return engine


def _with_timeouts(url: URL, answer_timeout_s: int | None) -> URL:
    """The URL, with time limits where the operator gave none."""
    if is_in_memory(url):
        return url
    backend = url.get_backend_name()
    if backend == "sqlite":
        limits = {"timeout": LOCK_TIMEOUT_S}
    else:
        limits = {"connect_timeout": CONNECT_TIMEOUT_S}
    if backend in ("mysql", "mariadb") and answer_timeout_s is not None:
        limits |= {"read_timeout": answer_timeout_s, "write_timeout": answer_timeout_s}
    if backend == "postgresql":
        limits |= _POSTGRESQL_IS_ALIVE
    defaults = {name: str(seconds) for name, seconds in limits.items()}
    return url.update_query_dict({**defaults, **url.query})


def _prepare(engine: sa.Engine, *, clock: Clock) -> None:
    """Set up each new connection of *engine*."""
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, clock)
        return
    if engine.dialect.name in ("mysql", "mariadb"):
        _prepare_mysql(engine)
    elif engine.dialect.name == "postgresql":
        _prepare_postgresql(engine)
    _ping_rarely(engine, clock)
    _roll_back_what_was_begun(engine)


# The events of SQLAlchemy hand over the driver's own, untyped connections: `Any`.


def _prepare_sqlite(engine: sa.Engine, clock: Clock) -> None:
    def now(offset_us: int) -> str:
        return sqltime.sqlite_text(clock.now() + datetime.timedelta(microseconds=offset_us))

    def before_connect(*_: object) -> None:
        # not earlier: a program that refuses its configuration leaves nothing behind
        file = sqlite_file(engine.url)
        if file is not None:
            file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)

    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.create_function(sqltime.SQLITE_FUNCTION, 1, now)
        dbapi_connection.execute("PRAGMA journal_mode = WAL")

    def on_begin(connection: sa.Connection) -> None:
        # A transaction that reads first and then writes fails at once when another one wrote
        # in between; one that takes the write lock first only waits.  oslo.db has just begun a
        # transaction of the first kind.
        if connection.get_execution_options().get(WRITES):
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "do_connect", before_connect)
    sa.event.listen(engine, "connect", on_connect)
    sa.event.listen(engine, "begin", on_begin)


def _prepare_mysql(engine: sa.Engine) -> None:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        with contextlib.closing(dbapi_connection.cursor()) as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(
                "SET SESSION time_zone = '+00:00', "
                f"SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT_S}"
            )

    sa.event.listen(engine, "connect", on_connect)


def _prepare_postgresql(engine: sa.Engine) -> None:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        with contextlib.closing(dbapi_connection.cursor()) as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
        dbapi_connection.commit()

    sa.event.listen(engine, "connect", on_connect)


def _ping_rarely(engine: sa.Engine, clock: Clock) -> None:
    """A connection that somebody has just used is not pinged again before it is handed out.

    If it is lost all the same, the first statement fails, and the transaction is run again.
    """
    used_at: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
    ping = engine.dialect.do_ping

    def on_checkin(dbapi_connection: Any, _record: Any) -> None:
        if dbapi_connection is not None:
            used_at[dbapi_connection] = clock.monotonic()

    def do_ping(dbapi_connection: Any) -> bool:
        idle_since = used_at.get(dbapi_connection, -math.inf)
        return clock.monotonic() - idle_since < TRUSTED_S or ping(dbapi_connection)

    sa.event.listen(engine, "checkin", on_checkin)
    engine.dialect.do_ping = do_ping  # type: ignore[method-assign]


def _roll_back_what_was_begun(engine: sa.Engine) -> None:
    """A connection that has just ended its transaction is not rolled back when it is given back."""
    idle: weakref.WeakSet[Any] = weakref.WeakSet()
    commit, rollback = engine.dialect.do_commit, engine.dialect.do_rollback

    def do_commit(connection: Any) -> None:
        commit(connection)
        idle.add(connection.dbapi_connection)

    def do_rollback(connection: Any) -> None:
        if connection.dbapi_connection not in idle:
            rollback(connection)
            idle.add(connection.dbapi_connection)

    def on_statement(connection: sa.Connection, *_: object) -> None:
        idle.discard(connection.connection.dbapi_connection)

    engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]
    engine.dialect.do_rollback = do_rollback  # type: ignore[assignment, method-assign]
    sa.event.listen(engine, "before_cursor_execute", on_statement)
