"""Sending in the background: a bounded queue and a thread of its own, for what may block long."""

import collections
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from oslo_log import log

from masakari import metrics
from masakari.metrics import UNMETERED, Meter

LOG = log.getLogger(__name__)

Item = TypeVar("Item")


class Sender(Generic[Item]):
    """Hands items to *send*, in their order.  Owns its queue, under one condition.

    Its thread starts with the first item, so that it survives a fork.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Item], None],
        length: int,
        meter: Meter = UNMETERED,
    ) -> None:
        """Keep at most *length* items that wait; *name* is the thread's."""
        self._name = name
        self._send = send
        self._length = length
        self._meter = meter
        self._waiting: collections.deque[Item] = collections.deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def put(self, item: Item) -> bool:
        """It is sent soon, or False: too many are waiting.  Returns at once, never raises."""
        with self._changed:
            if self._is_closed or len(self._waiting) >= self._length:
                self._meter.count(metrics.DROPPED, self._name)
                return False
            self._waiting.append(item)
            self._meter.set(metrics.QUEUE, len(self._waiting), self._name)
            if self._thread is None:
                # daemon: to a bus that is away it would try for ever
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return True

    def close(self, timeout_s: float) -> int:
        """What waits is sent within *timeout_s* seconds, nothing later; so many were not."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is None:
            return 0
        self._thread.join(timeout_s)
        with self._changed:
            left = len(self._waiting) + self._thread.is_alive()
            self._waiting.clear()
        return left

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_closed:
                        return
                    self._changed.wait()
                item = self._waiting.popleft()
                self._meter.set(metrics.QUEUE, len(self._waiting), self._name)
            try:
                self._send(item)
            except Exception:  # without this thread nothing leaves any more
                LOG.exception("%s: unexpected error", self._name)
