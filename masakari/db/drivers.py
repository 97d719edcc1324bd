"""What each driver of a database needs: time limits, and the settings of each new connection."""

import contextlib
import datetime
import functools
import math
import pathlib
import ssl
import weakref
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from masakari.clock import Clock
from masakari.db import sqltime

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 30
LOCK_TIMEOUT_S = 10
ABANDONED_S = 30
"""A transaction of whose client nothing is heard for so long is rolled back by the server.

A machine that loses its power closes no connection; what it had locked, nobody else could change
for hours.
"""
_POSTGRESQL_IS_ALIVE = {
    "tcp_user_timeout": ANSWER_TIMEOUT_S * 1000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}
"""libpq does not limit an answer: a server that has vanished is noticed by the kernel, in 30 s."""
TRUSTED_S = 5.0
"""So long after its last use a connection is taken to be alive."""

WRITES = "masakari_writes"
"""Execution option of connections whose transactions take SQLite's write lock at once."""
READS = "masakari_reads"
"""Execution option of connections whose transactions change nothing."""


def sqlite_file(url: URL) -> pathlib.Path | None:
    """The file of an SQLite database; None: it is another database, or in memory."""
    if url.get_backend_name() != "sqlite" or is_in_memory(url):
        return None
    return pathlib.Path(url.database or "").absolute()


def is_in_memory(url: URL) -> bool:
    """An SQLite database that nobody else can see."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def with_timeouts(url: URL, answer_timeout_s: int | None) -> URL:
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


def prepare(engine: sa.Engine, *, clock: Clock) -> None:
    """Set up each new connection of *engine*."""
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, clock)
        return
    if engine.dialect.name in ("mysql", "mariadb"):
        _prepare_mysql(engine)
        _read_without_transaction(engine)
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
    file = sqlite_file(engine.url)
    if file is not None:
        _keep_open(engine, file)


def _keep_open(engine: sa.Engine, file: pathlib.Path) -> None:
    """The *file* is not opened anew for each transaction, which is five times the work.

    oslo.db does that, for programs whose tests share connections among threads.
    """
    inode = "inode"

    def identity() -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            found = file.stat()
            return found.st_dev, found.st_ino
        return None

    def on_connect(_connection: Any, record: Any) -> None:
        record.info[inode] = identity()

    def on_checkout(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info[inode] != identity():
            raise sa.exc.DisconnectionError("the file was replaced")

    opened_anew = engine.pool
    engine.pool = sa.pool.QueuePool(
        opened_anew._creator,
        max_overflow=-1,  # whoever writes waits for SQLite's lock, not for a connection
        dialect=engine.dialect,
        _dispatch=opened_anew.dispatch,
    )
    sa.event.listen(engine, "connect", on_connect)
    sa.event.listen(engine, "checkout", on_checkout)


def _prepare_mysql(engine: sa.Engine) -> None:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        with contextlib.closing(dbapi_connection.cursor()) as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(
                "SET SESSION time_zone = '+00:00', "
                f"SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT_S}"
                # read by MariaDB only: MySQL has no such thing
                f"/*M!100300 , SESSION idle_transaction_timeout = {ABANDONED_S} */"
            )

    sa.event.listen(engine, "connect", on_connect)
    if engine.dialect.driver == "pymysql":
        engine.dialect.connect = _pymysql_connection()  # type: ignore[method-assign]


def _read_without_transaction(engine: sa.Engine) -> None:
    """Who only reads need not end anything: a turn to the server less.

    Each statement sees what is committed when it begins, in a transaction as well: the isolation
    level is READ COMMITTED.
    """

    def on_begin(connection: sa.Connection) -> None:
        reads = READS in connection.get_execution_options()
        if _commits_each_statement(connection.connection.dbapi_connection) != reads:
            connection.exec_driver_sql(f"SET autocommit = {int(reads)}")

    sa.event.listen(engine, "begin", on_begin)


def _commits_each_statement(dbapi_connection: Any) -> bool:
    """What the server has said last, so nobody is asked; only drivers of MySQL know."""
    known = getattr(dbapi_connection, "get_autocommit", None)
    return known is not None and bool(known())


@functools.cache
def _pymysql_connection() -> type:
    """PyMySQL's connection, without what TLS that verifies nobody does not need.

    Where the URL says nothing of TLS, PyMySQL uses it if the server can, and does not ask whose
    certificate that is.  For each connection it would load all CA certificates of the machine all
    the same: 25 ms of CPU time, 0.8 MiB.
    """
    # not everybody's driver
    from pymysql.connections import (  # type: ignore[import-untyped]  # noqa: PLC0415
        Connection,
    )

    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE

    class Opportunistic(Connection):  # type: ignore[misc]  # untyped
        def _create_ssl_ctx(self, options: Any) -> ssl.SSLContext:
            context: ssl.SSLContext = super()._create_ssl_ctx(options) if options else unverified
            return context

    return Opportunistic


def _prepare_postgresql(engine: sa.Engine) -> None:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        with contextlib.closing(dbapi_connection.cursor()) as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{ABANDONED_S}s'")
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
            if not _commits_each_statement(connection.dbapi_connection):
                rollback(connection)
            idle.add(connection.dbapi_connection)

    def on_statement(connection: sa.Connection, *_: object) -> None:
        idle.discard(connection.connection.dbapi_connection)

    engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]
    engine.dialect.do_rollback = do_rollback  # type: ignore[assignment, method-assign]
    sa.event.listen(engine, "before_cursor_execute", on_statement)
