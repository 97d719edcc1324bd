"""What to do about errors of the database: repeat what may pass, name what will not.

Deadlocks and lost connections are met by running the whole transaction again: after a deadlock for
as long as anybody would wait, since one of the rivals always gets through; without a server a few
times.  What remains becomes `errors.DatabaseUnavailable`; its `details["detail"]` has the
server's words for the log, its message is fit for clients.
"""

import itertools
import random
import sqlite3
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy.exc as sa_exc
from oslo_db import exception as db_exc
from oslo_log import log

from masakari.clock import Clock
from masakari.errors import DatabaseUnavailable
from masakari.outage import Outage

LOG = log.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.6
"""Waits before the repetitions: each is twice the one before, and shortened at random."""
TRIES_WITHOUT_SERVER = 6
PATIENCE_S = 10.0
"""No repetition begins later than this after the first try."""

SCHEMA_DIFFERS = "The database's tables are not those of this release: run masakari-manage db sync."
RIGHT_MISSING = "The database's user may not do that."

_CONTENTION = (db_exc.DBDeadlock, db_exc.DBConsistencyError)
_ABSENT_DATABASE = (db_exc.DBConnectionError, db_exc.DBNonExistentDatabase, sa_exc.TimeoutError)
_ABSENT_TABLE = ("no such table", "no such column", "has no column", "does not exist")
_ABSENT_TABLE_CODES = (1054, 1146)
"""MySQL: unknown column, unknown table."""
_RIGHT_MISSING_CODES = (1044, 1142, 1143, 1227)
"""MySQL: no access to the database, no such right on the table or the column, no such privilege."""
_RIGHT_MISSING = ("permission denied for ", "must be owner of ")
"""PostgreSQL."""
_PASSING = (
    "is locked",  # SQLite
    # PostgreSQL
    "Connection refused",
    "timeout expired",
    "the database system is ",  # starting up, shutting down
    "server closed the connection",
    "due to lock timeout",
    "remaining connection slots",
    "too many clients",
)

R = TypeVar("R")


def calling(clock: Clock, call: Callable[[], R], outage: Outage | None = None) -> R:
    """The result of *call*, which is one whole transaction.  Raises DatabaseUnavailable.

    *outage* is told how it went.
    """
    began_at = asked_at = clock.monotonic()
    for tries in itertools.count(1):
        try:
            result = call()
        except (db_exc.DBError, sa_exc.SQLAlchemyError) as e:
            pause_s = _pause_s(e, tries)
            if pause_s is None or clock.monotonic() + pause_s > began_at + PATIENCE_S:
                error = _named(e)
                if outage is not None and isinstance(error, DatabaseUnavailable):
                    _tell(outage, error)
                raise error from e
            LOG.debug("Database: %s; trying again", words(e))
        else:
            if outage is not None:
                outage.answered(asked_at)
            return result
        clock.sleep(pause_s)
        asked_at = clock.monotonic()
    raise AssertionError("never reached")


def _tell(outage: Outage, error: DatabaseUnavailable) -> None:
    if error.is_away:
        outage.failed(str(error.details["detail"]))
    else:
        outage.odd(f"{error} ({error.details['detail']})")


def _pause_s(error: Exception, tries: int) -> float | None:
    """How long to wait before the call is repeated that has failed so often; None: no more."""
    longest_s = min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S)
    if isinstance(error, _CONTENTION):
        return random.uniform(0, longest_s)  # noqa: S311  not a secret; rivals must part
    if _may_pass(error) and tries < TRIES_WITHOUT_SERVER:
        return random.uniform(longest_s / 2, longest_s)  # noqa: S311
    return None


def _may_pass(error: Exception) -> bool:
    if isinstance(error, (*_CONTENTION, *_ABSENT_DATABASE)):
        return True
    if not isinstance(error, sa_exc.OperationalError):
        return False
    return any(words in str(error.orig) for words in _PASSING)


def _named(error: Exception) -> Exception:
    """The error as the caller gets it: a defect stays what it is."""
    detail = words(error)
    if _schema_differs(error, detail):
        return DatabaseUnavailable(SCHEMA_DIFFERS, detail=detail)
    if _code(error) in _RIGHT_MISSING_CODES or detail.startswith(_RIGHT_MISSING):
        return DatabaseUnavailable(RIGHT_MISSING, detail=detail)
    if _may_pass(error) or isinstance(error, sa_exc.OperationalError) or _is_no_database(error):
        return DatabaseUnavailable(detail=detail)
    return error


def _is_no_database(error: Exception) -> bool:
    """SQLite: the file is something else, or damaged."""
    original = getattr(getattr(error, "inner_exception", None), "orig", None)
    return type(original) is sqlite3.DatabaseError


def _schema_differs(error: Exception, detail: str) -> bool:
    if isinstance(error, db_exc.DBNonExistentTable):
        return True
    if not isinstance(_statement_error(error), sa_exc.OperationalError | sa_exc.ProgrammingError):
        return False
    return _code(error) in _ABSENT_TABLE_CODES or any(words in detail for words in _ABSENT_TABLE)


def _statement_error(error: Exception) -> Exception:
    """SQLAlchemy's error, also where oslo.db has another around it."""
    return getattr(error, "inner_exception", None) or error


def _code(error: Exception) -> object:
    """MySQL's number of the error."""
    arguments = getattr(getattr(_statement_error(error), "orig", None), "args", ())
    return arguments[0] if arguments else None


def words(error: Exception) -> str:
    """What the server or driver said, without statement and parameters."""
    inner = _statement_error(error)
    original = getattr(inner, "orig", None) or inner
    words = [word for word in original.args if isinstance(word, str)]  # MySQL: (code, words)
    said = (words[0] if words else str(original)).partition("\n")[0]
    if said == "disk I/O error":  # SQLite, whose name of the error says which call has failed
        return f"{said} ({getattr(original, 'sqlite_errorname', '?')}): is the disk full?"
    return said
