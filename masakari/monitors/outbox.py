"""What Masakari has not heard yet: kept, and sent again until it has.

There is at most one event for each subject, the newest: an event replaces an older one that was
not delivered, so the order of each subject's events is kept.  A sign of life takes an accusation
back that was not delivered.  In short, what each answer of the API does:

=====================================  ==========================================================
202                                    delivered
409 duplicate                          delivered (another monitor was faster); the report of a
                                       *second* death is asked again, as the first may hide it
409 maintenance                        asked again from time to time, while the state lasts
400                                    rejected: MSK-402, see `core`
any other                              sent again after a pause that grows; what other subjects
                                       have to tell goes on
no answer at all                       nothing is sent during a pause that grows; then another
                                       subject is tried each time, until one is answered
=====================================  ==========================================================

What waits can be kept over a restart (`known`, `restore`).  What an earlier process has left is
sent only when the judge still says so.

Reminders of deaths that were delivered are not kept: each is tried once, after everything else,
and 409 is their usual answer.
"""

import collections
import dataclasses
import datetime
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from masakari import clock as clock_
from masakari import metrics
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import report
from masakari.monitors.judge import Event, State
from masakari.monitors.patience import Patience
from masakari.states import HostProof, Reason

LOG = logging.getLogger(__name__)

Compose = Callable[[Event, datetime.datetime], report.Notification]
"""The notification that tells of an event, generated at the given time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """The API's last word on an event."""

    event: Event
    accepted: bool
    """False: the API rejects it, sending it again does not help."""


class _Verdict(Enum):
    DELIVERED = auto()
    ASK_AGAIN = auto()
    REJECTED = auto()
    NOT_TAKEN = auto()
    """The API, or who stands before it, was in no state to say anything of the report."""


_OUTCOMES = {
    _Verdict.DELIVERED: "delivered",
    _Verdict.ASK_AGAIN: "postponed",
    _Verdict.REJECTED: "rejected",
    _Verdict.NOT_TAKEN: "unanswered",
}
"""As metrics name them."""


@dataclasses.dataclass(slots=True)
class _Pending:
    event: Event
    generated_time: datetime.datetime
    due: float
    """On the monotonic clock."""
    maybe_heard: bool = False
    """A try was sent to which no answer came."""
    refused: str | None = None
    """How the API last refused it; since then each try tells of its own time."""
    tries: int = 0
    """In a row whose answer was no verdict."""
    has_failed: bool = False
    """A try of it ended with an error that nobody expects, which was told."""


class Outbox:
    """The events on their way to Masakari; for one thread."""

    def __init__(
        self,
        masakari: report.Masakari,
        clock: clock_.Clock,
        compose: Compose,
        *,
        retry_interval_s: float,
        retry_alarm: int,
        ask_again_s: float,
        meter: Meter = UNMETERED,
    ) -> None:
        self._masakari = masakari
        self._clock = clock
        self._compose = compose
        self._meter = meter
        self._patience = Patience(clock, longest_pause_s=retry_interval_s, alarm=retry_alarm)
        self._ask_again_s = ask_again_s
        self._pending: dict[str, _Pending] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Masakari shall hear *events*; those that are under way already are not doubled."""
        for event in events:
            old = self._pending.get(event.subject)
            if old is not None and old.event.state is event.state:
                old.event = event
                if old.due == math.inf:
                    old.due = self._clock.monotonic()
                continue
            maybe_heard = old is not None and old.maybe_heard
            self._pending[event.subject] = _Pending(
                event, event.at, self._clock.monotonic(), maybe_heard
            )

    def take_back(self, subjects: Collection[str]) -> list[str]:
        """Nobody is accused any more whom *subjects* names; those whose report may have arrived."""
        maybe_heard = []
        for subject in sorted(subjects & self._pending.keys()):
            pending = self._pending[subject]
            if pending.event.state is not State.OFFLINE:
                continue
            del self._pending[subject]
            LOG.warning("%s: shows a sign of life, its report is taken back", subject)
            if pending.maybe_heard:
                maybe_heard.append(subject)
        return maybe_heard

    def drop(self, subjects: Collection[str]) -> None:
        """Forget the events of *subjects*, which are not watched any more."""
        for subject in sorted(subjects & self._pending.keys()):
            del self._pending[subject]
            LOG.warning("%s: not watched any more, its report is dropped", subject)

    def next_try(self) -> float | None:
        """When `flush` has something to do, on the monotonic clock; None: nothing is waiting."""
        due = min((p.due for p in self._pending.values()), default=math.inf)
        return None if due == math.inf else max(self._patience.resume_at, due)

    def known(self) -> Mapping[str, Any]:
        """What waits, as JSON can hold it: {subject: {state, at, generated_time, …}}."""
        return {
            subject: {
                "state": str(pending.event.state),
                "at": pending.event.at.isoformat(),
                "detail": pending.event.detail,
                "again": pending.event.again,
                "proof": pending.event.proof and str(pending.event.proof),
                "generated_time": pending.generated_time.isoformat(),
                "maybe_heard": pending.maybe_heard,
            }
            for subject, pending in self._pending.items()
        }

    def restore(self, known: Mapping[str, Any]) -> None:
        """What `known` has given to an earlier process waits; `add` says that it still holds.

        Raises LookupError, TypeError or ValueError if it has another form.
        """
        restored = {}
        for subject, row in known.items():
            at = datetime.datetime.fromisoformat(row["at"])
            proof = HostProof(row["proof"]) if row.get("proof") else None
            event = Event(
                subject, State(row["state"]), at, str(row["detail"]), bool(row["again"]), proof
            )
            generated = datetime.datetime.fromisoformat(row["generated_time"])
            restored[subject] = _Pending(event, generated, math.inf, bool(row["maybe_heard"]))
        self._pending = restored

    def flush(self) -> Sequence[Delivery]:
        """Send all that is due, oldest first, until the API does not answer.

        When it did not answer last time another one is first each time, as what is told may be why.
        """
        deliveries = []
        now = self._clock.monotonic()
        due = [p for p in self._pending.values() if p.due <= now]
        waiting = collections.deque(sorted(due, key=lambda p: p.generated_time))
        waiting.rotate(-self._patience.unanswered)
        for pending in waiting:
            self._meter.set(metrics.OUTBOX, len(self._pending))
            if self._clock.monotonic() < self._patience.resume_at:
                break
            try:
                delivery = self._send(pending)
            except Exception as error:  # whatever it is, the judge hears of the others
                self._fail(pending, error)
                break
            if delivery is not None:
                del self._pending[pending.event.subject]
                deliveries.append(delivery)
        self._meter.set(metrics.OUTBOX, len(self._pending))
        return deliveries

    def remind(self, deaths: Iterable[Event], until: float) -> Sequence[Delivery]:
        """Tell of *deaths* once more; the API's last word on each that it has answered.

        Each is tried once.  None is sent while a report is due or the API does not answer, nor
        after *until* on the monotonic clock.
        """
        deliveries = []
        for event in deaths:
            now = self._clock.monotonic()
            next_try = self.next_try()
            is_report_due = next_try is not None and next_try <= now
            if is_report_due or now < self._patience.resume_at or now >= until:
                break
            delivery = self._remind(event)
            if delivery is None:
                break
            deliveries.append(delivery)
        return deliveries

    def _remind(self, event: Event) -> Delivery | None:
        """Try once; the API's last word, if it said one."""
        try:
            answer = self._masakari.notify(self._compose(event, event.at))
        except report.Unanswered as error:
            LOG.debug("%s: no answer to the reminder (%s)", event.subject, error)
            return None
        verdict = _judge(answer, event)
        if verdict is _Verdict.NOT_TAKEN:
            LOG.debug("%s: the reminder was not taken (%s)", event.subject, answer)
            return None
        if verdict is _Verdict.REJECTED:
            _log_rejection(event, answer)
        else:
            level = logging.DEBUG if answer.status == 409 else logging.INFO
            LOG.log(level, "%s: still %s, reported again (%s)", event.subject, event.state, answer)
        return Delivery(event, verdict is not _Verdict.REJECTED)

    def _send(self, pending: _Pending) -> Delivery | None:
        """Try once; the API's last word, if it said one."""
        self._patience.pause()  # whatever happens to this try, the next one is not at once
        if pending.refused is not None:
            pending.generated_time = self._clock.now()
        try:
            answer = self._masakari.notify(self._compose(pending.event, pending.generated_time))
        except report.Unanswered as error:
            pending.maybe_heard |= error.maybe_heard
            self._miss(pending, str(error))
            return None
        verdict = _judge(answer, pending.event)
        self._meter.count(metrics.REPORTS, _OUTCOMES[verdict])
        self._patience.answered()
        if verdict is _Verdict.NOT_TAKEN:
            self._postpone(pending, answer)
            return None
        pending.tries = 0
        if verdict is _Verdict.ASK_AGAIN:
            self._ask_again(pending, answer)
            return None
        accepted = verdict is _Verdict.DELIVERED
        if accepted:
            LOG.info("%s: %s reported (%s)", pending.event.subject, pending.event.state, answer)
        else:
            _log_rejection(pending.event, answer)
        return Delivery(pending.event, accepted)

    def _ask_again(self, pending: _Pending, answer: report.Answer) -> None:
        """Keep it for later."""
        if pending.refused != answer.refusal:
            LOG.warning(
                "%s: Masakari refuses the report that it is %s (%s); it is sent again each %g s "
                "while that is so",
                pending.event.subject,
                pending.event.state,
                answer,
                self._ask_again_s,
            )
        pending.refused = answer.refusal
        pending.maybe_heard = False
        pending.due = self._clock.monotonic() + self._ask_again_s

    def _postpone(self, pending: _Pending, answer: report.Answer) -> None:
        """It may be this report that the API, or who stands before it, cannot bear."""
        pending.maybe_heard |= answer.status >= 500
        pending.tries += 1
        event = pending.event
        what = f"{event.subject}: Masakari has not taken the report that it is {event.state}"
        pending.due = self._patience.postponed(what, str(answer), pending.tries)

    def _fail(self, pending: _Pending, error: Exception) -> None:
        """A try has ended with an error that nobody expects."""
        if not pending.has_failed:
            LOG.error("%s: its report failed", pending.event.subject, exc_info=error)
        pending.has_failed = True
        pending.maybe_heard = True
        self._miss(pending, type(error).__name__)

    def _miss(self, pending: _Pending, why: str) -> None:
        self._meter.count(metrics.REPORTS, "unanswered")
        event = pending.event
        what = f"{event.subject}: Masakari has not heard that it is {event.state}"
        self._patience.missed(what, why, len(self._pending))


def _log_rejection(event: Event, answer: report.Answer) -> None:
    LOG.warning(
        "%s: Masakari rejects the report that it is %s (%s); it is asked again when the registered "
        "hosts or its state change",
        event.subject,
        event.state,
        answer,
    )


def _judge(answer: report.Answer, event: Event) -> _Verdict:
    """What the API's answer means for the event."""
    if 200 <= answer.status < 300:
        return _Verdict.DELIVERED
    if answer.status == 409:
        another_death = event.again and event.state is State.OFFLINE
        known = answer.reason == Reason.DUPLICATE and not another_death
        return _Verdict.DELIVERED if known else _Verdict.ASK_AGAIN
    if answer.status == 400:
        return _Verdict.REJECTED
    return _Verdict.NOT_TAKEN
