"""The alarm that somebody whom a monitor needs has not answered for long."""

import logging

from masakari import clock as clock_
from masakari import metrics
from masakari.alarms import Alarm
from masakari.metrics import UNMETERED, Meter

LOG = logging.getLogger(__name__)


class Silence:
    """Raised *after_s* seconds after the first of the tries that have failed; for one thread."""

    def __init__(
        self, alarm: Alarm, clock: clock_.Clock, *, after_s: float, meter: Meter = UNMETERED
    ) -> None:
        """Nobody is missed."""
        self._alarm = alarm
        self._clock = clock
        self._after_s = after_s
        self._meter = meter
        self._since: float | None = None
        self._why = ""
        self._is_raised = False

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
        was_raised, self._is_raised = self._is_raised, silent_s >= self._after_s
        self._meter.set(metrics.ALARM, self._is_raised, self._alarm.code)
        if self._is_raised and not was_raised:
            LOG.error(
                "%s %s (for %.0f s: %s)",
                *(self._alarm.code, self._alarm.summary, silent_s, self._why),
            )
        elif was_raised and not self._is_raised:
            LOG.info("%s is over", self._alarm.code)
