"""Decide which guests have ceased to answer: the answers of agents in, one failure out.  Pure.

=========  ============================  =================================================
State      An answer                     None
=========  ============================  =================================================
discovery  healthy                       discovery: nobody is reported before it answered
healthy    healthy                       error, the first miss
error      healthy                       error; reported when the limits are passed
reported   discovery                     reported
=========  ============================  =================================================

A guest is reported when it has missed more than *threshold* + 1 answers in a row (it was asked
often enough, or the time of so many questions has passed and the newest one failed, too), and, if
its kind asks for that, has shown no I/O for *io_silence_s*.  An agent that has left its channel was
stopped by a kernel that works: that is no miss.  A start or a reset of the guest begins anew.

Where most guests are silent at once not they are the cause: nobody is reported while that is so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from masakari.monitors.instances.facts import Kind

FEW = 4
"""So many may be silent at once, whatever their share."""


class State(StrEnum):
    """What is thought of a guest."""

    DISCOVERY = "discovery"
    HEALTHY = "healthy"
    ERROR = "error"
    REPORTED = "reported"


class Answer(StrEnum):
    """How a question to an agent has ended."""

    GOOD = "good"
    MISSING = "missing"
    """late, none at all, or garbage"""
    ABSENT = "absent"
    """there is no agent on the channel"""
    PAUSED = "paused"
    """the guest does not run"""
    UNKNOWN = "unknown"
    """it could not be asked"""


Activity = int | Literal[Answer.UNKNOWN] | None
"""Bytes that a guest's disks have moved and its networks have sent; unknown: QEMU could not be
asked, so the guest may be at work; None: it was asked, and is silent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient we are."""

    interval_s: float
    threshold: int
    io_silence_s: float
    most_silent: float = 1.0
    """the share of the guests that may be silent at once"""

    def is_storm(self, numbers: Mapping[State, int]) -> bool:
        """Whether too many are silent: *numbers* of guests by their state."""
        silent = numbers.get(State.ERROR, 0) + numbers.get(State.REPORTED, 0)
        known = silent + numbers.get(State.HEALTHY, 0)
        return silent > FEW and silent > self.most_silent * known


@dataclass(slots=True)
class Track:
    """What is known of one guest; times are monotonic."""

    limits: Limits
    kind: Kind
    run: int = -1
    """libvirt's number of the domain's run"""
    state: State = State.DISCOVERY
    misses: int = 0
    missed_at: float = 0.0
    """the first of them"""
    activity: int | None = None
    """bytes that its disks and networks have moved, when it was asked last"""
    active_at: float = 0.0
    """when that had changed"""
    is_silent: bool = False
    """it was asked, and its last answer was missing: another question may take long"""

    def see(
        self, answer: Answer, now: float, activity: Activity = None, *, is_storm: bool = False
    ) -> bool:
        """Whether the guest is to be reported; nobody is in a storm."""
        if answer is not Answer.UNKNOWN:
            self.is_silent = answer is Answer.MISSING
        match answer:
            case Answer.GOOD:
                self._answered()
            case Answer.ABSENT | Answer.PAUSED:
                self.begin()
            case Answer.MISSING if self.state in (State.HEALTHY, State.ERROR):
                self._missed(now, activity)
                if self._is_over(now) and not is_storm:
                    self.state = State.REPORTED
                    return True
        return False

    def begin(self) -> None:
        """The guest has been started, reset, or paused."""
        self.state, self.misses, self.activity = State.DISCOVERY, 0, None

    def _answered(self) -> None:
        was_reported = self.state is State.REPORTED
        self.begin()
        if not was_reported:
            self.state = State.HEALTHY

    def _missed(self, now: float, activity: Activity) -> None:
        if self.state is State.HEALTHY:
            self.state, self.misses, self.missed_at = State.ERROR, 0, now
            self.active_at = now
        elif activity not in (None, self.activity):  # nor does the unknown accuse anybody
            self.active_at = now
        if isinstance(activity, int):
            self.activity = activity
        self.misses += 1

    def _is_over(self, now: float) -> bool:
        wanted = self.limits.threshold + 2
        too_long = now - self.missed_at >= (wanted - 1) * self.limits.interval_s
        if self.misses < wanted and not (too_long and self.misses > 1):
            return False
        is_silent = now - self.active_at >= self.limits.io_silence_s
        return is_silent or self.kind is Kind.HEARTBEAT
