"""A clock that only moves when it is told to, or slept on."""

import datetime
import threading


class ManualClock:
    """Implements masakari.clock.Clock; sleeping takes no time of the machine."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.slept_s: list[float] = []

    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.elapsed_s += seconds

    def event(self) -> threading.Event:
        return threading.Event()

    def advance(self, seconds: float) -> None:
        self.elapsed_s += seconds
