"""Places for the evacuations in flight; what comes before and after one needs no place."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from masakari.clock import Clock, Event

WAKE_UP_S = 5.0
"""Seconds after which a waiting thread looks by itself whether it still may."""


class Slots:
    """So many places; of those who wait the lowest rank comes next.

    Owns `_free` and `_waiting`, under one lock; nobody waits while holding it.
    """

    def __init__(self, clock: Clock, size: int) -> None:
        """All *size* places are free."""
        self._clock = clock
        self._lock = threading.Lock()
        self._free = size
        self._waiting: list[tuple[int, int, Event]] = []
        self._sequence = itertools.count()

    @contextmanager
    def place(self, rank: int, check: Callable[[], None]) -> Iterator[None]:
        """A place is ours.  *check* is asked while we wait and when we have it, and may raise."""
        turn = self._clock.event()
        with self._lock:
            heapq.heappush(self._waiting, (rank, next(self._sequence), turn))
            self._fill()
        try:
            while not turn.wait(WAKE_UP_S):
                check()
            check()
            yield
        finally:
            with self._lock:
                self._leave(turn)
                self._fill()

    def _fill(self) -> None:
        """Whoever can have a place has one."""
        while self._free and self._waiting:
            self._free -= 1
            heapq.heappop(self._waiting)[2].set()

    def _leave(self, turn: Event) -> None:
        """The place, or the place in the queue, is given up."""
        if turn.is_set():
            self._free += 1
            return
        self._waiting = [entry for entry in self._waiting if entry[2] is not turn]
        heapq.heapify(self._waiting)
