"""Signs of progress: the loops of a process beat, and who looks finds those that have stopped.

A loop beats when it has got on, and not because time has passed: so health checks and systemd's
watchdog see a thread that hangs.  A round that failed, because the database is away, say, is
progress too: whether the process is of use is another question.
"""

import threading
from collections.abc import Mapping

from masakari.clock import Clock


class Pulse:
    """What the loops of one process are expected to do.  Owns its tables, under one lock."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is expected."""
        self._clock = clock
        self._lock = threading.Lock()
        self._within_s: dict[str, float] = {}
        self._beaten_at: dict[str, float] = {}

    def expect(self, loop: str, within_s: float) -> None:
        """From now on *loop* beats each *within_s* seconds at the latest.

        What is expected already is so without a beat: only the time it may take changes.
        """
        with self._lock:
            self._within_s[loop] = within_s
            self._beaten_at.setdefault(loop, self._clock.monotonic())

    def beat(self, loop: str) -> None:
        """The loop has got on; one of which nothing is expected may beat as well."""
        with self._lock:
            if loop in self._within_s:
                self._beaten_at[loop] = self._clock.monotonic()

    def rest(self, loop: str) -> None:
        """Nothing is expected of the loop: it has ended, or has nothing to do."""
        with self._lock:
            self._within_s.pop(loop, None)
            self._beaten_at.pop(loop, None)

    def stalled(self, now: float | None = None) -> list[str]:
        """The loops that should have beaten by *now* (monotonic; by default in this moment)."""
        with self._lock:
            at = self._clock.monotonic() if now is None else now
            return sorted(
                loop
                for loop, within_s in self._within_s.items()
                if at - self._beaten_at[loop] > within_s
            )

    def ages(self) -> Mapping[str, float]:
        """{loop: seconds since its last beat} of all of which something is expected."""
        with self._lock:
            now = self._clock.monotonic()
            return {loop: now - at for loop, at in sorted(self._beaten_at.items())}
