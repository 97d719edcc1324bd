"""The events of libvirt on their way from its thread to ours: in order, and bounded."""

import collections
import threading
from collections.abc import Callable, Sequence

from masakari.monitors.instances.judge import Event

MOST = 10_000


class Inbox:
    """Owns the queue, under one lock; for many threads."""

    def __init__(self, wake: Callable[[], None], most: int = MOST) -> None:
        """Call *wake* when there is something."""
        self._wake = wake
        self._most = most
        self._lock = threading.Lock()
        self._events: collections.deque[Event] = collections.deque()
        self._lost = 0
        self._last: Event | None = None

    def put(self, event: Event) -> bool:
        """It is taken after all that are there; False: there is no room, it is lost.

        The same again in a row is one, as of resets.
        """
        with self._lock:
            last = self._last
            if self._events and last and (last.uuid, last.words) == (event.uuid, event.words):
                return True
            has_room = len(self._events) < self._most
            if has_room:
                self._events.append(event)
                self._last = event
            else:
                self._lost += 1
        self._wake()
        return has_room

    def take(self) -> tuple[Sequence[Event], int]:
        """(all that are there, oldest first; how many had no room since the last time)"""
        with self._lock:
            found, lost = list(self._events), self._lost
            self._events.clear()
            self._lost = 0
        return found, lost
