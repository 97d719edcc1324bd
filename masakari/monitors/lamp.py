"""An alarm of a monitor: its metric says always whether it is raised, the log when that changes."""

import logging

from masakari import metrics
from masakari.alarms import Alarm
from masakari.metrics import Meter

LOG = logging.getLogger(__name__)


class Lamp:
    """For one thread."""

    def __init__(self, alarm: Alarm, meter: Meter) -> None:
        """The alarm is not raised."""
        self._alarm = alarm
        self._meter = meter
        self._is_on = False

    @property
    def is_on(self) -> bool:
        """The alarm is raised."""
        return self._is_on

    def show(self, trouble: str | None) -> None:
        """The alarm is raised because of *trouble*, or is over (None)."""
        was_on, self._is_on = self._is_on, trouble is not None
        self._meter.set(metrics.ALARM, self._is_on, self._alarm.code)
        if self._is_on and not was_on:
            LOG.error("%s %s", self._alarm.code, trouble)
        elif was_on and not self._is_on:
            LOG.info("%s is over", self._alarm.code)
