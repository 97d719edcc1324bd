"""A disk that is full, for one file of reports."""

import contextlib
import pathlib
import sqlite3
from collections.abc import Iterator


@contextlib.contextmanager
def full(path: pathlib.Path, change: str = "INSERT") -> Iterator[None]:
    """SQLite refuses each *change* of the reports in the file meanwhile."""
    _run(
        path,
        f"CREATE TRIGGER full BEFORE {change} ON reports "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
    )
    try:
        yield
    finally:
        _run(path, "DROP TRIGGER full")


def _run(path: pathlib.Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)
