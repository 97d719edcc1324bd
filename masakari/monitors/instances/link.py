"""Connections to libvirt that are made anew when they are lost."""

import logging
from collections.abc import Callable, Sequence

from masakari import clock as clock_
from masakari.monitors.instances.hypervisor import Away, Hypervisor

LOG = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
"""Before libvirt is tried again; doubles."""


class Link:
    """All of them, or none; for one thread."""

    def __init__(
        self,
        name: str,
        hypervisors: Sequence[Hypervisor],
        clock: clock_.Clock,
        *,
        longest_pause_s: float,
        missed: Callable[[str], None],
    ) -> None:
        """Nothing is connected yet; *missed* hears each time why it is not."""
        self._name = name
        self._hypervisors = hypervisors
        self._clock = clock
        self._longest_pause_s = longest_pause_s
        self._missed = missed
        self._pause_s = FIRST_PAUSE_S
        self._is_told_away = False
        self.trouble: str | None = "it was not tried yet" if hypervisors else None
        """why it is not there, or did not answer last time"""
        self.next_try = clock.monotonic()
        """when it is connected again, if it is not"""

    @property
    def is_connected(self) -> bool:
        """As far as is known."""
        return all(hypervisor.is_connected for hypervisor in self._hypervisors)

    def connect(self) -> bool:
        """Connect if it is time; whether this has made it anew."""
        if self.is_connected:
            return False
        now = self._clock.monotonic()
        if self.trouble is None:
            self.lost("the connection was closed")
            self.next_try = now  # it had worked
        if now < self.next_try:
            return False
        try:
            for hypervisor in self._hypervisors:
                if not hypervisor.is_connected:
                    hypervisor.connect()
        except Away as e:
            self.lost(str(e))
            self._pause_s = min(2 * self._pause_s, self._longest_pause_s)
            return False
        LOG.info("connected to %s", self._name)
        self.trouble, self._is_told_away = None, False
        self._pause_s = FIRST_PAUSE_S
        return True

    def lost(self, why: str) -> None:
        """It does not answer, because of *why*; that is told once.  Nor is it tried at once."""
        self._missed(why)
        self.next_try = self._clock.monotonic() + self._pause_s
        if not self._is_told_away:
            LOG.warning("%s is away (%s); it is tried again until it is back", self._name, why)
        elif self.trouble != why:
            LOG.info("%s is still away (%s)", self._name, why)
        self._is_told_away = True
        self.trouble = why

    def disconnect(self) -> None:
        """There is none; nothing more is heard of it."""
        for hypervisor in self._hypervisors:
            hypervisor.disconnect()
