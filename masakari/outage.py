"""Outages of the services that we need: the log tells once that one is gone, and once that it is
back, however many threads ask it however often.
"""

import threading

from oslo_log import log

from masakari.clock import Clock

LOG = log.getLogger(__name__)

BLIP_S = 1.0
"""What is asked again is not told of before: a connection that a restart has cut is no outage."""


class Outage:
    """Whether one service answers, as the log has it; for all threads, under one lock."""

    def __init__(self, service: str, clock: Clock, meanwhile: str = "") -> None:
        """*service* begins a sentence; *meanwhile* says what happens without it."""
        self._service = service
        self._clock = clock
        self._meanwhile = f"; {meanwhile}" if meanwhile else ""
        self._lock = threading.Lock()
        self._since: float | None = None
        self._is_told = False
        self._oddities: set[str] = set()

    @property
    def is_told(self) -> bool:
        """The log says that it is gone."""
        return self._is_told

    def now(self) -> float:
        """On the monotonic clock by which it is judged."""
        return self._clock.monotonic()

    def failed(self, why: str, *, is_final: bool = True) -> None:
        """It gave no answer; without *is_final* it is asked again at once."""
        now = self._clock.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            if self._is_told or not (is_final or now - self._since >= BLIP_S):
                return
            self._is_told = True
        LOG.warning("%s is not available: %s%s", self._service, why, self._meanwhile)

    def answered(self, asked_at: float) -> None:
        """It answered what it was asked at the monotonic time *asked_at*."""
        if self._since is None:
            return
        with self._lock:
            if self._since is None or asked_at < self._since:
                return  # what was under way when it went says nothing
            was_told, since = self._is_told, self._since
            self._is_told, self._since = False, None
        if was_told:
            LOG.info("%s is available again, after %.0f s", self._service, asked_at - since)

    def odd(self, what: str) -> None:
        """It answers, but not as it should: that is told once."""
        with self._lock:
            if what in self._oddities:
                return
            self._oddities.add(what)
        LOG.warning("%s: %s", self._service, what)
