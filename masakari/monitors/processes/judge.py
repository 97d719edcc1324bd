"""Decide what is done about processes that do not run: samples in, attempts and reports out.

Pure: nothing here looks, waits, runs or sends.

A process that is down is started again at once, then with pauses that double, at most *attempts*
times.  If it is not up then, Masakari is told that it STOPPED, and nothing more is tried.  Where no
command starts it (systemd, or a person, may), it has one pause's time to come back.  A process
counts as well when it has been up for *stable_s*: only then are its attempts forgiven, and, if it
was reported, Masakari is told that it STARTED.  So one that dies again and again is reported,
although each single attempt succeeds; a start by systemd counts as an attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LONGEST_PAUSE = 16
"""Times the first one."""


class Look(StrEnum):
    """What one look at one process says."""

    UP = "up"
    DOWN = "down"
    BETWEEN = "between"
    """It is being started, stopped or reloaded by systemd."""
    UNKNOWN = "unknown"
    """Nobody could tell."""


class Order(StrEnum):
    """What is to be done now."""

    START = "start"
    RESTART = "restart"
    TELL_STOPPED = "STOPPED"
    TELL_STARTED = "STARTED"


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient we are."""

    attempts: int
    pause_s: float
    """between the first two attempts"""
    stable_s: float
    between_s: float
    """so long a unit may be between up and down"""


@dataclass(slots=True)
class Track:
    """What is known of one process; times are monotonic."""

    limits: Limits
    can_start: bool
    """there is a command for it"""
    can_restart: bool
    is_told_stopped: bool = False
    """Masakari was, or will be, told that it is down"""
    was_up: bool = False
    attempts: int = 0
    is_attempted: bool = False
    """an attempt is under way"""
    next_attempt: float = 0.0
    up_since: float | None = None
    between_since: float | None = None

    def see(self, look: Look, now: float, deaths: int = 0) -> Order | None:
        """What is to be done after this *look*; systemd has seen so many *deaths* since the last.

        An order to START or RESTART is followed by `attempted`.
        """
        if look is not Look.BETWEEN:
            self.between_since = None
        if deaths and look is not Look.DOWN and self._has_relapsed(deaths):
            return self._give_up()
        match look:
            case Look.UP:
                return self._up(now)
            case Look.DOWN:
                return self._down(now)
            case Look.BETWEEN:
                return self._between(now)
            case Look.UNKNOWN:
                return None

    def _has_relapsed(self, deaths: int) -> bool:
        """Whether systemd has started it too often."""
        self.up_since = None
        self.attempts += deaths
        return self.attempts > self.limits.attempts

    def attempted(self, now: float) -> None:
        """The attempt that was ordered last has ended, well or not; a look will tell."""
        self.is_attempted = False
        doublings = min(self.attempts - 1, LONGEST_PAUSE.bit_length() - 1)
        self.next_attempt = now + self.limits.pause_s * 2**doublings

    def _up(self, now: float) -> Order | None:
        self.was_up = True
        if self.up_since is None:
            self.up_since = now
        if now - self.up_since < self.limits.stable_s:
            return None
        self.attempts = 0
        if not self.is_told_stopped:
            return None
        self.is_told_stopped = False
        return Order.TELL_STARTED

    def _down(self, now: float) -> Order | None:
        self.up_since = None
        if self.is_attempted or now < self.next_attempt:
            return None
        order = self._attempt()
        if order is not None and self.attempts < self.limits.attempts:
            self.attempts += 1
            self.is_attempted = True
            return order
        if order is None and self.attempts == 0:
            self.attempts = 1
            self.next_attempt = now + self.limits.pause_s
            return None
        return self._give_up()

    def _attempt(self) -> Order | None:
        """What would bring it up."""
        if self.can_start and not self.was_up:
            return Order.START
        return Order.RESTART if self.can_restart else None

    def _between(self, now: float) -> Order | None:
        self.up_since = None
        if self.between_since is None:
            self.between_since = now
        if now - self.between_since < self.limits.between_s:
            return None
        return self._give_up()

    def _give_up(self) -> Order | None:
        if self.is_told_stopped:
            return None
        self.is_told_stopped = True
        return Order.TELL_STOPPED


def summary(looks: Mapping[str, Look]) -> str:
    """One sentence about all of them."""
    up = sum(look is Look.UP for look in looks.values())
    others = [f"{name} {look}" for name, look in sorted(looks.items()) if look is not Look.UP]
    return ", ".join([f"{up} of {len(looks)} processes up", *others])
