"""The alarm that somebody whom a monitor needs has not answered for long."""

from masakari import clock as clock_
from masakari.alarms import Alarm
from masakari.metrics import UNMETERED, Meter
from masakari.monitors.lamp import Lamp


class Silence:
    """Raised *after_s* seconds after the first of the tries that have failed; for one thread."""

    def __init__(
        self, alarm: Alarm, clock: clock_.Clock, *, after_s: float, meter: Meter = UNMETERED
    ) -> None:
        """Nobody is missed."""
        self._lamp = Lamp(alarm, meter)
        self._summary = alarm.summary
        self._clock = clock
        self._after_s = after_s
        self._since: float | None = None
        self._why = ""

    def missed(self, why: str) -> None:
        """They have not answered, because of *why*."""
        self._why = why
        if self._since is None:
            self._since = self._clock.monotonic()

    def answered(self) -> None:
        """They have; the alarm is over."""
        self._since = None

    def look(self) -> None:
        """The log and the metric say whether the alarm is raised now."""
        silent_s = 0.0 if self._since is None else self._clock.monotonic() - self._since
        is_long = silent_s >= self._after_s
        self._lamp.show(f"{self._summary} (for {silent_s:.0f} s: {self._why})" if is_long else None)
