"""The seam to time: whoever waits asks a `Clock`, so that tests decide how fast time passes."""

import datetime
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Event(Protocol):
    """As threading.Event, but its waiting is the clock's."""

    def set(self) -> None:
        """Every present and later `wait` returns at once."""

    def is_set(self) -> bool:
        """Whether `set` was called."""

    def clear(self) -> None:
        """Later waits wait again."""

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it was set within *timeout* seconds (None: without bound)."""


class Interrupted(Exception):
    """Nobody sleeps on this clock any more: the program is ending."""


class Clock(Protocol):
    """All that a program wants of time."""

    def now(self) -> datetime.datetime:
        """UTC, naive, with microseconds: for records and comparisons with records."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back: for durations."""

    def sleep(self, seconds: float) -> None:
        """Return when *seconds* have passed.  Clocks that can be interrupted raise Interrupted."""

    def event(self) -> Event:
        """A new event that waits on this clock."""


def wait_until(
    clock: Clock,
    predicate: Callable[[], bool],
    timeout: float,
    every: float = 1.0,
    soonest: float | None = None,
) -> bool:
    """Whether *predicate* became true within *timeout* seconds, asked at once and each *every*.

    With *soonest* it is asked more often at first: the pauses grow with the time that was waited,
    a tenth of it each, from *soonest* to *every* seconds.
    """
    began = clock.monotonic()
    while not predicate():
        waited = clock.monotonic() - began
        if waited >= timeout:
            return False
        pause = every if soonest is None else min(every, max(soonest, waited / 10))
        clock.sleep(min(pause, timeout - waited))
    return True


class SystemClock:
    """The machine's own time."""

    def __init__(self) -> None:
        """Not interrupted."""
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Who sleeps, now or later, gets Interrupted; events are waited for as before."""
        self._interrupted.set()

    def now(self) -> datetime.datetime:
        """UTC, naive."""
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)

    def monotonic(self) -> float:
        """As time.monotonic."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """As time.sleep, until `interrupt`: then it raises Interrupted."""
        if self._interrupted.wait(seconds):
            raise Interrupted

    def event(self) -> Event:
        """As threading.Event."""
        return threading.Event()
