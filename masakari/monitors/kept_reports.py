"""The file of the reports that Masakari has not heard yet, in their order."""

import datetime
import json
import logging
import pathlib
import sqlite3
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from masakari.monitors.teller import Report
from masakari.states import NotificationType

LOG = logging.getLogger(__name__)

_SCHEMA = """CREATE TABLE IF NOT EXISTS reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    type TEXT NOT NULL,
    hostname TEXT NOT NULL,
    payload TEXT NOT NULL,
    generated_time TEXT NOT NULL)"""
_WAITS = "id NOT IN (SELECT value FROM json_each(?))"


class KeptReports:
    """One file, under one lock; for many threads."""

    def __init__(self, path: pathlib.Path, most: int) -> None:
        """What an earlier process has left waits.  Of more than *most* the oldest are dropped.

        Raises OSError.
        """
        self._path = path
        self._most = most
        self._lock = threading.Lock()
        self._database = _open(path, "FULL")
        # What a power failure brings back is sent again, and is a duplicate: no need to wait.
        self._told = _open(path, "NORMAL")
        self._gone: set[int] = set()
        """removed, but the disk did not take that"""

    def add(self, reports: Iterable[Report]) -> None:
        """They survive our end from now on.  Raises OSError: none of them is kept."""
        rows = [
            (
                r.subject,
                str(r.type),
                r.hostname,
                json.dumps(dict(r.payload)),
                r.generated_time.isoformat(timespec="microseconds"),
            )
            for r in reports
        ]
        try:
            with self._lock, self._database as database:
                self._insert(database, rows)
        except sqlite3.Error as e:
            raise OSError(str(e)) from None

    def _insert(self, database: sqlite3.Connection, rows: Sequence[Sequence[str]]) -> None:
        database.executemany(
            "INSERT INTO reports (subject, type, hostname, payload, generated_time) "
            "VALUES (?, ?, ?, ?, ?)",
            rows,
        )
        ((count,),) = database.execute("SELECT count(*) FROM reports")
        over = count - self._most
        if over > 0:
            LOG.error("%d reports wait; the oldest %d are dropped", self._most, over)
            database.execute(
                "DELETE FROM reports WHERE id IN (SELECT id FROM reports ORDER BY id LIMIT ?)",
                (over,),
            )

    def __len__(self) -> int:
        """How many wait."""
        ((count,),) = self._select("count(*)")
        return int(count)

    def subjects(self) -> list[str]:
        """Those that have something to tell."""
        return [subject for (subject,) in self._select("DISTINCT subject")]

    def waiting(self) -> Collection[list[tuple[int, Report]]]:
        """(id, report) of each subject, the oldest first; the subject with the oldest first."""
        rows = self._select("id, subject, type, hostname, payload, generated_time")
        found: dict[str, list[tuple[int, Report]]] = {}
        for id_, subject, type_, hostname, payload, at in rows:
            report = Report(
                subject,
                NotificationType(type_),
                hostname,
                json.loads(payload),
                datetime.datetime.fromisoformat(at),
            )
            found.setdefault(subject, []).append((id_, report))
        return found.values()

    def _select(self, what: str) -> list[tuple[Any, ...]]:  # Any: as SQLite stores them
        with self._lock:
            return self._database.execute(
                f"SELECT {what} FROM reports WHERE {_WAITS} ORDER BY id",  # noqa: S608  constants
                (json.dumps(sorted(self._gone)),),
            ).fetchall()

    def remove(self, id_: int) -> None:
        """It does not wait any more; where the disk does not take that, until our end."""
        with self._lock:
            is_refused = bool(self._gone)
            self._gone.add(id_)
            if is_refused:  # it is tried again with `tidy`, not for each
                return
            if why := self._delete():
                LOG.warning(
                    "%s: what Masakari has heard cannot be removed (%s): it is told again after a "
                    "restart",
                    *(self._path, why),
                )

    def tidy(self) -> None:
        """What the disk has not taken is tried again."""
        with self._lock:
            if self._gone and not self._delete():
                LOG.info("%s: what Masakari has heard is removed", self._path)

    def _delete(self) -> str:
        """Why the disk has not taken that; empty: it has."""
        try:
            with self._told as database:
                database.execute(
                    "DELETE FROM reports WHERE id IN (SELECT value FROM json_each(?))",
                    (json.dumps(sorted(self._gone)),),
                )
        except sqlite3.Error as e:
            return str(e) or type(e).__name__
        self._gone.clear()
        return ""

    def close(self) -> None:
        """The file is closed."""
        with self._lock:
            self._database.close()
            self._told.close()


def _open(path: pathlib.Path, synchronous: str) -> sqlite3.Connection:
    """A connection; *synchronous*: FULL, or NORMAL where the last changes may get lost."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        database = sqlite3.connect(path, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {synchronous}")
        database.execute(_SCHEMA)
        database.commit()
    except sqlite3.Error as e:
        raise OSError(str(e)) from None
    return database
