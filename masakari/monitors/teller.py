"""A thread that tells Masakari, so that who looks never waits for who listens."""

import collections
import datetime
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from masakari import alarms, metrics
from masakari import clock as clock_
from masakari import pulse as pulse_
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import memory as memory_
from masakari.states import NotificationType

LOG = logging.getLogger(__name__)

LOOP = "reports"
"""Its name where loops say that they get on."""
PAUSE_S = 30.0
STALLED_S = 600.0
SOON_S = 1.0
MOST_UNWRITTEN = 10_000
"""Reports that wait in memory while the disk takes none; of more, the oldest are dropped."""


@dataclass(frozen=True, slots=True)
class Report:
    """One failure, or its end."""

    subject: str
    """whose reports are told one after the other"""
    type: NotificationType
    hostname: str
    payload: Mapping[str, str]
    generated_time: datetime.datetime
    """UTC, naive: when it was noticed"""


class Outbox(Protocol):
    """What is kept on disk until Masakari has heard it."""

    def add(self, reports: Iterable[Report]) -> object:
        """They are kept, all or none of them; for any thread.  Raises OSError."""

    def flush(self) -> object:
        """What is due has been tried; for one thread."""

    def next_try(self) -> float | None:
        """When something is due, on the monotonic clock; None: nothing waits."""


class Teller:
    """The thread that flushes the outbox, and who wakes it."""

    def __init__(
        self,
        outbox: Outbox,
        clock: clock_.Clock,
        pulse: pulse_.Pulse,
        *,
        meter: Meter = UNMETERED,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._pulse = pulse
        self._meter = meter
        self._wake = clock.event()
        self._lock = threading.Lock()
        self._unwritten: collections.deque[Report] = collections.deque(maxlen=MOST_UNWRITTEN)
        self._trouble: str | None = None
        """why reports are not written at present"""

    def tell(self, *reports: Report) -> bool:
        """They are kept, and Masakari will hear them; waits for the disk alone, once.

        False: the disk takes none; they, and those before them, are written with a later call,
        which may be without reports.  That they were told is kept with `remember`.  For any
        thread.
        """
        with self._lock:
            over = len(self._unwritten) + len(reports) - MOST_UNWRITTEN
            if over > 0:
                LOG.error("%d reports are not written; %d are dropped", MOST_UNWRITTEN, over)
            self._unwritten.extend(reports)
            if not self._unwritten:
                return True
            try:
                self._outbox.add(self._unwritten)
            except OSError as e:
                self._complain(str(e))
                return False
            self._unwritten.clear()
            if self._trouble:
                LOG.info("reports are written again")
            self._trouble = None
        self._wake.set()
        return True

    def remember(self, memory: memory_.Memory, known: memory_.Known) -> None:
        """What is *known* is kept in *memory*, unless reports that follow from it are not.

        MSK-404 is raised while either is so.
        """
        is_told = self.tell()
        if is_told:
            memory.keep(known)
        is_kept = is_told and not memory.trouble
        self._meter.set(metrics.ALARM, not is_kept, alarms.NOT_KEPT.code)

    def _complain(self, why: str) -> None:
        if why != self._trouble:
            LOG.error(
                "%s reports cannot be written (%s): they wait in memory, a restart would forget "
                "them",
                *(alarms.NOT_KEPT.code, why),
            )
        self._trouble = why

    def run(self, stop: clock_.Event) -> None:
        """Go on until *stop* is set; `wake` as well ends it at once."""
        self._pulse.expect(LOOP, PAUSE_S + STALLED_S)
        while not stop.is_set():
            self._wake.clear()
            try:
                self._outbox.flush()
                pause_s = self._pause_s()
            except Exception:
                LOG.exception("reports could not be told; it is tried again")
                stop.wait(SOON_S)
                pause_s = 0.0
            self._pulse.beat(LOOP)
            if not stop.is_set():
                self._wake.wait(pause_s)
        self._pulse.rest(LOOP)

    def wake(self) -> None:
        """Look at once whether it is time to stop."""
        self._wake.set()

    def _pause_s(self) -> float:
        next_try = self._outbox.next_try()
        if next_try is None:
            return PAUSE_S
        return min(PAUSE_S, max(0.0, next_try - self._clock.monotonic()))
