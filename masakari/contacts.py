"""With whom this process has spoken last: database, message bus, Keystone, Nova and others.

Who asks for something notes how that ended, so health checks need not ask themselves, and wait.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from masakari.clock import Clock

DATABASE, BUS, KEYSTONE, NOVA, MASAKARI = "database", "bus", "Keystone", "Nova", "Masakari"
LIBVIRT, COORDINATION = "libvirt", "coordination"


@dataclass(frozen=True, slots=True)
class Contact:
    """How it went with one of them."""

    is_well: bool
    """The last request was answered, be it with a refusal."""
    at: float
    """when that was, monotonic"""
    answered_at: float | None
    """when a request was answered last, monotonic; None: never"""
    problem: str = ""
    is_refused: bool = False
    """They answer, but do not accept who we are."""


class Contacts:
    """What is known of all of them; for many threads.  Owns its table, under one lock."""

    def __init__(self, clock: Clock) -> None:
        """Nobody was spoken with."""
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Contact] = {}

    def answered(self, who: str) -> None:
        """A request was answered."""
        now = self._clock.monotonic()
        with self._lock:
            self._known[who] = Contact(True, now, now)

    def failed(self, who: str, problem: str, *, is_refused: bool = False) -> None:
        """A request was not answered, or (*is_refused*) our credentials were not accepted."""
        now = self._clock.monotonic()
        with self._lock:
            before = self._known.get(who)
            answered_at = before.answered_at if before else None
            self._known[who] = Contact(False, now, answered_at, problem, is_refused)

    def known(self) -> Mapping[str, Contact]:
        """{who: how it went last}"""
        with self._lock:
            return dict(self._known)
