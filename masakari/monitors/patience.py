"""How long Masakari is left alone that has not answered, and how loudly that is told."""

import logging

from masakari import clock as clock_

LOG = logging.getLogger(__name__)

DOUBLINGS = 4
"""Of the first pause, to the longest."""


class Patience:
    """With the whole API, and with single reports that it does not take; for one thread."""

    def __init__(self, clock: clock_.Clock, *, longest_pause_s: float, alarm: int) -> None:
        """Each *alarm* tries in a row an error is logged."""
        self._clock = clock
        self._longest_pause_s = longest_pause_s
        self._alarm = alarm
        self.unanswered = 0
        """tries in a row"""
        self.resume_at = clock.monotonic()
        """nothing is sent before, as the API did not answer"""

    def pause_s(self, tries: int) -> float:
        """After so many tries in a row; longer with each."""
        return self._longest_pause_s / 2.0 ** max(0, DOUBLINGS - tries + 1)

    def pause(self) -> None:
        """Nothing is sent for a while."""
        self.resume_at = self._clock.monotonic() + self.pause_s(max(1, self.unanswered))

    def missed(self, what: str, why: str, waiting: int) -> None:
        """No answer came, which *what* says in a sentence; so many reports wait."""
        self.unanswered += 1
        self.pause()
        if self.unanswered == 1:
            LOG.warning("%s (%s); sent until it has", what, why)
        elif self.unanswered % self._alarm == 0:
            LOG.error(
                "Masakari has not answered %d tries (%s); %d reports wait: look after masakari-api "
                "and [api]",
                *(self.unanswered, why, waiting),
            )

    def answered(self) -> None:
        """An answer came."""
        if self.unanswered:
            LOG.info("Masakari answers again, after %d tries", self.unanswered)
        self.unanswered = 0
        self.resume_at = self._clock.monotonic()

    def postponed(self, what: str, why: str, tries: int) -> float:
        """When a report is sent again to which no verdict came, which *what* says in a sentence."""
        if tries == 1 or tries % self._alarm == 0:
            LOG.log(
                logging.WARNING if tries == 1 else logging.ERROR,
                "%s (try %d: %s); sent until it has",
                *(what, tries, why),
            )
        return self._clock.monotonic() + self.pause_s(tries)
