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
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import URL

from masakari.clock import Clock
from masakari.db import drivers, retry, sqltime
from masakari.errors import ConfigInvalid
from masakari.outage import Outage

P = ParamSpec("P")
R = TypeVar("R")

SUPPORTED = ("sqlite", "mysql", "postgresql")
POSTGRESQL = "postgresql+psycopg2"
"""What postgresql:// without a driver means, as it always did (SQLAlchemy 2.1 means psycopg)."""
MEANWHILE = "it is asked again and again"

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
        self._reading_engine = engine.execution_options(**{drivers.READS: True})
        self._writing_engine = engine.execution_options(**{drivers.WRITES: True})
        # An SQLite database in memory has one connection: one transaction at a time.
        self._turn: contextlib.AbstractContextManager[object] = (
            threading.Lock() if drivers.is_in_memory(engine.url) else contextlib.nullcontext()
        )

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that changes nothing; errors are the driver's."""
        with self._turn, self._reading_engine.connect() as connection:
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
    conf: cfg.ConfigOpts, clock: Clock, *, answer_timeout_s: int | None = drivers.ANSWER_TIMEOUT_S
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


def _problem_of_directory(url: URL, state_path: pathlib.Path) -> str | None:
    """Why an SQLite file cannot be where it should be; only *state_path* is made for it."""
    file = drivers.sqlite_file(url)
    if file is None or file.parent.is_dir():
        return None
    if file.parent != state_path:
        return f"there is no directory {file.parent}."
    there = next(path for path in state_path.parents if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return f"cannot make the directory {state_path}."
    return None


def make_engine(
    conf: cfg.ConfigOpts, url: URL, clock: Clock, *, answer_timeout_s: int | None
) -> sa.Engine:
    """An SQLAlchemy engine as oslo.db makes it, with our settings of each server."""
    context = enginefacade.transaction_context()
    context.configure(
        connection=drivers.with_timeouts(url, answer_timeout_s).render_as_string(
            hide_password=False
        ),
        sqlite_fk=True,
        max_retries=0,  # whoever uses the first connection retries
        thread_checkin=False,
        **{name: conf.database[name] for name in _POOL_OPTIONS},
    )
    context.append_on_engine_create(functools.partial(drivers.prepare, clock=clock))
    engine: sa.Engine = context.writer.get_engine()
    return engine
