"""The database's own clock as an SQL expression, the same on every server."""

import datetime
from typing import Any

from sqlalchemy import DateTime, Integer, String, literal, literal_column
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

PreciseTime = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
"""UTC, naive, with microseconds on every server."""

SQLITE_FUNCTION = "masakari_now"
"""Registered on each SQLite connection: masakari_now(offset in microseconds)."""


class DatabaseTime(FunctionElement[datetime.datetime]):
    """UTC now plus an offset, by the database's clock (on SQLite: by the program's)."""

    name = "database_time"
    type = PreciseTime
    inherit_cache = True


def now(plus_s: float = 0) -> DatabaseTime:
    """The database's time *plus_s* seconds from now."""
    return DatabaseTime(literal(round(plus_s * 1_000_000), Integer))


class Text(FunctionElement[str]):
    """A time as answers show it, such as 2026-11-21T03:05:55.000000."""

    name = "time_text"
    type = String()
    inherit_cache = True


def sqlite_text(moment: datetime.datetime) -> str:
    """As SQLAlchemy stores a DateTime on SQLite, so that texts compare as times do."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


# The compiler hooks of SQLAlchemy are untyped: `Any` for elements and compilers.


@compiles(DatabaseTime, "sqlite")
def _sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"{SQLITE_FUNCTION}({compiler.process(element.clauses, **kw)})"


@compiles(DatabaseTime, "mysql", "mariadb")
def _mysql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"(UTC_TIMESTAMP(6) + INTERVAL {compiler.process(element.clauses, **kw)} MICROSECOND)"


@compiles(DatabaseTime, "postgresql")
def _postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    offset = compiler.process(element.clauses, **kw)
    return f"(timezone('UTC', clock_timestamp()) + {offset} * interval '1 microsecond')"


def _formatting(element: Any, compiler: Any, before: str, behind: str, **kw: Any) -> str:
    column = compiler.process(element.clauses, **kw)
    return f"{before}{column}{compiler.process(literal_column(behind), **kw)}"


@compiles(Text, "sqlite")
def _sqlite_as_text(element: Any, compiler: Any, **kw: Any) -> str:
    # what others stored may have no fraction
    return _formatting(
        element, compiler, "substr(replace(", ", ' ', 'T') || '.000000', 1, 26)", **kw
    )


@compiles(Text, "mysql", "mariadb")
def _mysql_as_text(element: Any, compiler: Any, **kw: Any) -> str:
    return _formatting(element, compiler, "DATE_FORMAT(", ", '%Y-%m-%dT%H:%i:%s.%f')", **kw)


@compiles(Text, "postgresql")
def _postgresql_as_text(element: Any, compiler: Any, **kw: Any) -> str:
    return _formatting(element, compiler, "to_char(", """, 'YYYY-MM-DD"T"HH24:MI:SS.US')""", **kw)
