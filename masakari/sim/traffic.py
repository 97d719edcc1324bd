"""Requests to the simulated Nova: counted, delayed and spoiled as planned."""

import collections
from collections.abc import Callable, Sequence
from typing import TypeVar

from masakari.sim.faults import ApiError, Call, Fault, Faults
from masakari.sim.site import Site

T = TypeVar("T")


class Traffic:
    """Carries requests out on a Site; `calls` counts them by verb."""

    def __init__(self, site: Site, faults: Faults) -> None:
        self._site = site
        self._faults = faults
        self.calls: collections.Counter[str] = collections.Counter()
        self.in_flight = 0
        self.peak_in_flight = 0

    def forget(self) -> None:
        """Count from nothing again."""
        with self._site.mutex:
            self.calls.clear()
            self.peak_in_flight = self.in_flight

    def perform(self, call: Call, act: Callable[[list[Fault]], T]) -> T:
        """Count the call, let its faults happen, and do it; *act* gets the faults."""
        site = self._site
        with site.mutex:
            self.calls[call.verb] += 1
            self.in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            faults = self._faults.take(call, site.clock.monotonic())
            latency = site.settings.latency_s + sum(f.latency_s for f in faults)
            if latency > 0:
                site.clock.sleep(latency)
            _strike(faults, "before", call)
            with site.present():
                answer = act(faults)
            _strike(faults, "after", call)
            return answer
        finally:
            with site.mutex:
                self.in_flight -= 1


def _strike(faults: Sequence[Fault], when: str, call: Call) -> None:
    """The hooks and errors that come at this moment; the first error ends the call."""
    for fault in faults:
        if fault.when != when:
            continue
        if fault.hook is not None:
            fault.hook(call)
        if fault.error is not None:
            raise ApiError(
                fault.error, "The server is not able to answer (injected)", fault.retry_after_s
            )
        if fault.garbage is not None:
            raise ApiError(200, fault.garbage)
