"""What goes wrong in the simulated cloud, as data."""

import dataclasses
import fnmatch
import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class ApiError(Exception):
    """Nova's answer is an error; code 0 means that the connection broke.

    With code 200 the message is the body of an answer that nobody understands.
    """

    def __init__(self, code: int, message: str, retry_after_s: float | None = None) -> None:
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        super().__init__(f"{message} (HTTP {code})")


class Outcome(StrEnum):
    """How an accepted evacuation, migration, stop or start ends, if not well."""

    FAIL = "fail"
    """The VM cannot be moved, stopped or started: it is in error, on its old host."""
    ROLLBACK = "rollback"
    """It cannot, and Nova notices early: the VM is as before."""
    NO_HOST = "no-host"
    """The scheduler finds none: an evacuated VM is in error, a migrated one as before."""
    STRAND = "strand"
    """A migration only: its new host cannot start the VM, which is in error there."""
    HANG = "hang"
    """It never ends."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the simulated Nova."""

    verb: str
    """as in cloud.Cloud"""
    server_id: str | None = None
    server_name: str | None = None
    host: str | None = None
    """the server's host, or the service's"""


@dataclass(frozen=True)
class Fault:
    """Something that happens to the calls that it matches; the defaults match every call, once.

    `Fault("evacuate", server="vm2", times=2, outcome=Outcome.FAIL)`: two evacuations of vm2 fail.
    `Fault(error=503, times=None, start=60, until=90)`: Nova answers 503 for half a minute.
    `Fault("lock", hook=lambda call: clock.kill("engine-a"))`: the engine dies at its first lock.
    """

    verb: str = "*"
    """Name of a verb of cloud.Cloud, or a pattern."""
    server: str | None = None
    """Name or id."""
    host: str | None = None
    error: int | None = None
    """HTTP status of the answer; 0: the connection breaks instead."""
    garbage: str | None = None
    """The body of the answer instead, with status 200: a proxy's page, or JSON of another kind."""
    when: str = "before"
    """Whether `error`, `garbage` and `hook` come before or after Nova has done what was asked."""
    retry_after_s: float | None = None
    """With `error`: Nova names a time to wait."""
    latency_s: float = 0.0
    """The answer takes so much longer."""
    outcome: Outcome | None = None
    """Of an evacuation, a migration, a stop or a start that is accepted."""
    duration_s: float | None = None
    """Of the same."""
    hook: Callable[[Call], None] | None = None
    """Is called in the caller's thread."""
    skip: int = 0
    """So many matching calls pass first."""
    times: int | None = 1
    """So many calls are hit; None: all."""
    start: float = 0.0
    """Seconds on the cloud's clock (monotonic) from which on it happens ..."""
    until: float = math.inf
    """... and at which it no longer does."""
    chance: float = 1.0
    """Share of the matching calls that are hit."""

    def matches(self, call: Call, now: float) -> bool:
        """Whether the fault is about such a call at that time."""
        return (
            self.start <= now < self.until
            and fnmatch.fnmatchcase(call.verb, self.verb)
            and self.server in (None, call.server_id, call.server_name)
            and self.host in (None, call.host)
        )


class Faults:
    """The faults that are planned; thread-safe."""

    def __init__(self, seed: int = 1) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311  # reproducible on purpose
        self._planned: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """It happens from now on."""
        if fault.when not in ("before", "after"):
            raise ValueError(f"when is before or after, not {fault.when}")
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._planned.clear()

    def take(self, call: Call, now: float) -> list[Fault]:
        """The faults that hit the call, in the order of their planning; each is used up by one."""
        hits = []
        with self._lock:
            for index, fault in enumerate(self._planned):
                if not fault.matches(call, now):
                    continue
                if fault.skip:
                    self._planned[index] = dataclasses.replace(fault, skip=fault.skip - 1)
                elif fault.chance >= 1 or self._random.random() < fault.chance:
                    hits.append(fault)
                    if fault.times is not None:
                        left = fault.times - 1
                        self._planned[index] = dataclasses.replace(fault, times=left)
            self._planned = [f for f in self._planned if f.times is None or f.times > 0]
        return hits
