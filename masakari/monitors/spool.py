"""What Masakari has not heard yet of VMs and processes: kept on disk, all of it, in order.

The reports of one subject are told one after the other, those of several at the same time.  What
each answer of the API does:

=====================================  ==========================================================
202                                    heard
409 duplicate                          heard: an equal report is known already
409 otherwise (maintenance)            asked again from time to time; what other subjects have to
                                       tell goes on
400                                    rejected: an error is logged, and it is dropped
any other                              sent again after a pause that grows; what other subjects
                                       have to tell goes on
no answer at all                       nothing is sent during a pause that grows; then another
                                       subject is tried each time, until one is answered
=====================================  ==========================================================

Nothing is dropped but what is rejected.
"""

import collections
import concurrent.futures
import logging
import pathlib
import threading
from collections.abc import Iterable

from masakari import clock as clock_
from masakari import metrics
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import kept_reports
from masakari.monitors import report as report_
from masakari.monitors.patience import Patience
from masakari.monitors.teller import Report
from masakari.states import Reason

LOG = logging.getLogger(__name__)

MOST = 100_000
"""Reports that are kept; of more, the oldest are dropped."""
PARALLEL = 8
"""Reports that are sent at a time, at most."""
TURN_S = 10.0
"""So long `flush` goes on sending; then its caller may show that it gets on, or end."""


class Spool:
    """Reports are added by any thread, and sent when one says so; its state is under one lock."""

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
        parallel: int = PARALLEL,
        meter: Meter = UNMETERED,
    ) -> None:
        """What an earlier process could not tell is told by this one.  Raises OSError."""
        self._kept = kept_reports.KeptReports(path, most)
        self._masakari = masakari
        self._clock = clock
        self._meter = meter
        self._patience = Patience(clock, longest_pause_s=retry_interval_s, alarm=retry_alarm)
        """Several tries that were under way together are one."""
        self._ask_again_s = ask_again_s
        self._until = clock.monotonic()
        self._postponed: dict[str, float] = {}
        """{subject: when it is asked again}"""
        self._refused: dict[str, str] = {}
        self._waiting = 0
        """So many reports waited when `flush` began: who sends does not wait for the disk."""
        self._unheard: dict[str, int] = {}
        """{subject: tries in a row whose answer was no verdict}"""
        self._lock = threading.Lock()
        self._others = concurrent.futures.ThreadPoolExecutor(max(1, parallel - 1), "reports")
        self._parallel = parallel

    def add(self, reports: Iterable[Report]) -> None:
        """They survive our end from now on.  Raises OSError: none of them is kept."""
        self._kept.add(reports)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._kept)

    def next_try(self) -> float | None:
        """When `flush` has something to do, on the monotonic clock; None: nothing waits."""
        subjects = self._kept.subjects()
        if not subjects:
            return None
        with self._lock:
            due = min(self._postponed.get(subject, 0.0) for subject in subjects)
            return max(self._patience.resume_at, due)

    def flush(self) -> None:
        """Send what is due, oldest first, until the API does not answer; for one thread.

        What takes longer than a turn is left for the next one.  Several subjects are served at a
        time, unless the API did not answer last time: then one is tried first, each time another,
        as what it has to tell may be why.
        """
        self._until = self._clock.monotonic() + TURN_S
        self._kept.tidy()
        waiting = self._kept.waiting()
        self._waiting = sum(map(len, waiting))
        subjects = collections.deque(each for each in waiting if self._is_due(each[0][1].subject))
        unanswered = self._patience.unanswered
        if unanswered and subjects:
            subjects.rotate(-unanswered)
            self._send_all(subjects.popleft())
        others = [
            self._others.submit(self._take_turns, subjects)
            for _ in range(min(len(subjects), self._parallel) - 1)
        ]
        try:
            self._take_turns(subjects)
        finally:  # nobody sends any more when the next turn begins
            concurrent.futures.wait(others)
        for other in others:
            other.result()
        self._meter.set(metrics.OUTBOX, len(self))

    def close(self) -> None:
        """The file is closed."""
        self._others.shutdown()
        self._kept.close()

    def _take_turns(self, subjects: collections.deque[list[tuple[int, Report]]]) -> None:
        """Send those of the first subject, and so on, until none is left."""
        while True:
            try:
                reports = subjects.popleft()
            except IndexError:
                return
            self._send_all(reports)

    def _send_all(self, reports: list[tuple[int, Report]]) -> None:
        """Send them, one subject's, one after the other, until an answer is not the last word."""
        for id_, report in reports:
            if not self._is_due(report.subject):
                return
            try:
                answer = self._masakari.notify(_notification(report))
            except report_.Unanswered as error:
                self._missed(report, str(error))
                return
            if not self._take(id_, report, answer):
                return

    def _is_due(self, subject: str) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            due = max(self._patience.resume_at, self._postponed.get(subject, 0.0))
        return due <= now < self._until

    def _take(self, id_: int, report: Report, answer: report_.Answer) -> bool:
        """Whether it is done with: what the same subject has to tell after it is next."""
        with self._lock:
            self._patience.answered()
        if answer.status not in (400, 409) and not 200 <= answer.status < 300:
            self._postpone(report, answer)
            return False
        if answer.status == 409 and answer.reason != Reason.DUPLICATE:
            self._ask_again(report, answer)
            return False
        self._meter.count(metrics.REPORTS, "rejected" if answer.status == 400 else "delivered")
        told = LOG.error if answer.status == 400 else LOG.info
        told("%s: %s reported (%s)", report.subject, _what(report), answer)
        self._kept.remove(id_)
        with self._lock:
            for known in (self._postponed, self._refused, self._unheard):
                known.pop(report.subject, None)
        return True

    def _ask_again(self, report: Report, answer: report_.Answer) -> None:
        self._meter.count(metrics.REPORTS, "postponed")
        with self._lock:
            is_new = self._refused.get(report.subject) != answer.refusal
            self._refused[report.subject] = answer.refusal
            self._postponed[report.subject] = self._clock.monotonic() + self._ask_again_s
        if is_new:
            LOG.warning(
                "%s: Masakari refuses %s (%s); it is sent again each %g s while that is so",
                *(report.subject, _what(report), answer, self._ask_again_s),
            )

    def _postpone(self, report: Report, answer: report_.Answer) -> None:
        """It may be this report that the API, or who stands before it, cannot bear."""
        self._meter.count(metrics.REPORTS, "unanswered")
        what = f"{report.subject}: Masakari has not taken {_what(report)}"
        with self._lock:
            tries = self._unheard[report.subject] = self._unheard.get(report.subject, 0) + 1
            self._postponed[report.subject] = self._patience.postponed(what, str(answer), tries)

    def _missed(self, report: Report, why: str) -> None:
        self._meter.count(metrics.REPORTS, "unanswered")
        what = f"{report.subject}: Masakari has not heard of {_what(report)}"
        with self._lock:
            if self._clock.monotonic() >= self._patience.resume_at:  # else one was missed with it
                self._patience.missed(what, why, self._waiting)


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
