"""What is pushed to a monitor: it makes it look sooner, and is no proof of anything.

However many pushes come, there is a pause after each round that they brought: a second, or as long
as that round took.  What is pushed meanwhile is looked at once, after the pause.  The last round is
followed by one more: what was pushed may have been too new to be seen.
"""

import math
import threading
from typing import Protocol

from masakari import clock as clock_
from masakari import metrics
from masakari.metrics import UNMETERED, Meter

PAUSE_S = 1.0
AGAIN_S = 5.0
NAMED = 3
"""So many of the pushes that brought a round are named."""


class Wake(Protocol):
    """Who is told of what was pushed; returns at once, for any thread."""

    def __call__(self, source: str, why: str) -> None:
        """*source* is the name in `[host] push`; *why* a sentence for the log."""


class Source(Protocol):
    """Who hears what is pushed, in a thread of its own."""

    def start(self) -> None:
        """It is heard as soon as it can be; returns at once."""

    def stop(self) -> None:
        """Nothing is heard any more; returns soon."""


class Pushes:
    """Pushes that nobody has looked at yet, and the end of a pause; for all threads, one lock."""

    def __init__(self, clock: clock_.Clock, meter: Meter = UNMETERED) -> None:
        """There are none."""
        self._clock = clock
        self._meter = meter
        self._lock = threading.Lock()
        self._bell = clock.event()
        self._why: dict[str, None] = {}
        self._count = 0
        self._resume_at = clock.monotonic()
        self._again_s = self._again_at = math.inf

    def push(self, source: str, why: str) -> None:
        """Somebody looks soon; as Wake."""
        self._meter.count(metrics.PUSHES, source)
        with self._lock:
            self._count += 1
            is_first = self._count == 1
            if len(self._why) < NAMED:
                self._why[why] = None
        if is_first:
            self._bell.set()

    def due(self) -> float | None:
        """When the pushes are to be looked at, on the monotonic clock; None: there are none."""
        with self._lock:
            due = min(self._again_at, self._resume_at if self._count else math.inf)
        return None if due == math.inf else due

    def take(self) -> str:
        """What was pushed, which is looked at now; empty: nothing new."""
        with self._lock:
            named, more = list(self._why), self._count - len(self._why)
            self._again_s = AGAIN_S if self._count else math.inf
            self._why, self._count = {}, 0
        return "; ".join([*named, *([f"and {more} more"] if more else [])])

    def looked(self, began: float) -> None:
        """The round after `take` is over; it began at *began*."""
        now = self._clock.monotonic()
        with self._lock:
            self._resume_at = now + max(PAUSE_S, now - began)
            self._again_at = now + self._again_s

    def wait(self, timeout_s: float) -> None:
        """Return after so many seconds, at the first push since, or when `ring` ends it."""
        self._bell.wait(timeout_s)
        self._bell.clear()

    def ring(self) -> None:
        """The present wait, or the next one, ends at once."""
        self._bell.set()
