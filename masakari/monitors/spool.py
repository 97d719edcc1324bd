"""What Masakari has not heard yet of VMs and processes: kept on disk, all of it, in order.

The reports of one subject are told one after the other.  What each answer of the API does:

=====================================  ==========================================================
202                                    heard
409 duplicate                          heard: an equal report is known already
409 otherwise (maintenance)            asked again from time to time; what other subjects have to
                                       tell goes on
400                                    rejected: an error is logged, and it is dropped
anything else, and no answer at all    sent again after a pause that grows; nothing is dropped
=====================================  ==========================================================
"""

import datetime
import json
import logging
import pathlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator

from masakari import clock as clock_
from masakari import metrics
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import report as report_
from masakari.monitors.teller import Report
from masakari.states import NotificationType, Reason

LOG = logging.getLogger(__name__)

MOST = 100_000
"""Reports that are kept; of more, the oldest are dropped."""
DOUBLINGS = 4
_SCHEMA = """CREATE TABLE IF NOT EXISTS reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    type TEXT NOT NULL,
    hostname TEXT NOT NULL,
    payload TEXT NOT NULL,
    generated_time TEXT NOT NULL)"""


class Spool:
    """One file, under one lock; reports are added by any thread, and sent by one."""

    def __init__(
        self,
        path: pathlib.Path,
        masakari: report_.Masakari,
        clock: clock_.Clock,
        *,
        retry_interval_s: float,
        retry_alarm: int,
        ask_again_s: float = 60.0,
        most: int = MOST,
        meter: Meter = UNMETERED,
    ) -> None:
        """What an earlier process could not tell is told by this one.  Raises OSError."""
        self._masakari = masakari
        self._clock = clock
        self._meter = meter
        self._longest_pause_s = retry_interval_s
        self._retry_alarm = retry_alarm
        self._ask_again_s = ask_again_s
        self._most = most
        self._unanswered = 0
        """Tries in a row."""
        self._resume_at = clock.monotonic()
        self._postponed: dict[str, float] = {}
        """{subject: when it is asked again}"""
        self._refused: dict[str, str] = {}
        self._lock = threading.Lock()
        self._database = _open(path)

    def add(self, reports: Iterable[Report]) -> None:
        """They survive our end from now on."""
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
        if not rows:
            return
        with self._lock, self._database as database:
            database.executemany(
                "INSERT INTO reports (subject, type, hostname, payload, generated_time) "
                "VALUES (?, ?, ?, ?, ?)",
                rows,
            )
            over = self._count() - self._most
            if over > 0:
                LOG.error("%d reports wait; the oldest %d are dropped", self._most, over)
                database.execute(
                    "DELETE FROM reports WHERE id IN (SELECT id FROM reports ORDER BY id LIMIT ?)",
                    (over,),
                )
        self._meter.set(metrics.OUTBOX, len(self))

    def __len__(self) -> int:
        """How many wait."""
        with self._lock:
            return self._count()

    def _count(self) -> int:
        ((count,),) = self._database.execute("SELECT count(*) FROM reports")
        return int(count)

    def next_try(self) -> float | None:
        """When `flush` has something to do, on the monotonic clock; None: nothing waits."""
        with self._lock:
            rows = self._database.execute("SELECT DISTINCT subject FROM reports").fetchall()
        subjects = {subject for (subject,) in rows}
        if not subjects:
            return None
        due = min(self._postponed.get(subject, 0.0) for subject in subjects)
        return max(self._resume_at, due)

    def flush(self) -> None:
        """Send all that is due, oldest first, until the API does not answer."""
        for id_, report in self._waiting():
            now = self._clock.monotonic()
            if now < self._resume_at:
                break
            if self._postponed.get(report.subject, 0.0) > now:
                continue
            if not self._send(id_, report):
                break
        self._meter.set(metrics.OUTBOX, len(self))

    def close(self) -> None:
        """The file is closed."""
        with self._lock:
            self._database.close()

    def _waiting(self) -> Iterator[tuple[int, Report]]:
        with self._lock:
            rows = self._database.execute(
                "SELECT id, subject, type, hostname, payload, generated_time FROM reports "
                "ORDER BY id"
            ).fetchall()
        for id_, subject, type_, hostname, payload, at in rows:
            yield (
                id_,
                Report(
                    subject,
                    NotificationType(type_),
                    hostname,
                    json.loads(payload),
                    datetime.datetime.fromisoformat(at),
                ),
            )

    def _send(self, id_: int, report: Report) -> bool:
        """Whether the API has answered."""
        try:
            answer = self._masakari.notify(_notification(report))
        except report_.Unanswered as error:
            self._missed(report, str(error))
            return False
        if answer.status not in (400, 409) and not 200 <= answer.status < 300:
            self._missed(report, str(answer))
            return False
        self._heard()
        if answer.status == 409 and answer.reason != Reason.DUPLICATE:
            self._ask_again(report, answer)
            return True
        self._meter.count(metrics.REPORTS, "rejected" if answer.status == 400 else "delivered")
        told = LOG.error if answer.status == 400 else LOG.info
        told("%s: %s reported (%s)", report.subject, _what(report), answer)
        with self._lock, self._database as database:
            database.execute("DELETE FROM reports WHERE id = ?", (id_,))
        self._postponed.pop(report.subject, None)
        self._refused.pop(report.subject, None)
        return True

    def _ask_again(self, report: Report, answer: report_.Answer) -> None:
        self._meter.count(metrics.REPORTS, "postponed")
        if self._refused.get(report.subject) != answer.refusal:
            LOG.warning(
                "%s: Masakari refuses %s (%s); it is sent again each %g s while that is so",
                *(report.subject, _what(report), answer, self._ask_again_s),
            )
        self._refused[report.subject] = answer.refusal
        self._postponed[report.subject] = self._clock.monotonic() + self._ask_again_s

    def _missed(self, report: Report, why: str) -> None:
        self._meter.count(metrics.REPORTS, "unanswered")
        self._unanswered += 1
        doublings = min(self._unanswered - 1, DOUBLINGS)
        pause_s = self._longest_pause_s / 2 ** (DOUBLINGS - doublings)
        self._resume_at = self._clock.monotonic() + pause_s
        if self._unanswered == 1:
            LOG.warning(
                "%s: Masakari has not heard of %s (%s); sent until it has",
                *(report.subject, _what(report), why),
            )
        elif self._unanswered % self._retry_alarm == 0:
            LOG.error(
                "Masakari has not answered %d tries (%s); %d reports wait: look after masakari-api "
                "and [api]",
                *(self._unanswered, why, len(self)),
            )

    def _heard(self) -> None:
        if self._unanswered:
            LOG.info("Masakari answers again, after %d tries", self._unanswered)
        self._unanswered = 0
        self._resume_at = self._clock.monotonic()


def _open(path: pathlib.Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        database = sqlite3.connect(path, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(_SCHEMA)
        database.commit()
    except sqlite3.Error as e:
        raise OSError(str(e)) from None
    return database


def _notification(report: Report) -> report_.Notification:
    return {
        "type": report.type.value,
        "hostname": report.hostname,
        "generated_time": report.generated_time.isoformat(timespec="microseconds"),
        "payload": dict(report.payload),
    }


def _what(report: Report) -> str:
    """The event in words."""
    return " ".join(
        value
        for key, value in sorted(report.payload.items())
        if key in ("event", "vir_domain_event")
    )
