"""What systemd is told: that we serve, what we do, and that we get on (sd_notify(3)).

Without systemd nobody is told anything.
"""

import os
import threading
from collections.abc import Callable, Sequence

import sdnotify
from oslo_log import log

from masakari.clock import Clock, SystemClock

LOG = log.getLogger(__name__)

PER_TIMEOUT = 3
"""So often within its time the watchdog hears that we get on."""
LONGEST = 500
"""Characters of a sentence."""
_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Systemd:
    """The service manager that started us, if one did."""

    def __init__(self, clock: Clock | None = None) -> None:
        """As the environment says, from which it is taken: our children have nothing to tell."""
        self._clock = clock or SystemClock()
        self._notifier = sdnotify.SystemdNotifier() if os.environ.get("NOTIFY_SOCKET") else None
        self.watchdog_s = _watchdog_s()
        """Seconds after which systemd restarts us if it does not hear that we get on, or None."""
        for name in _OURS:
            os.environ.pop(name, None)

    def ready(self, sentence: str) -> None:
        """We serve: after the start, or after options were read again."""
        self._tell("READY=1", _status(sentence))

    def waiting(self, sentence: str, for_s: float) -> None:
        """We do not serve yet; that is no failure for the next *for_s* seconds."""
        self._tell(f"EXTEND_TIMEOUT_USEC={for_s * 1e6:.0f}", _status(sentence))

    def reloading(self) -> None:
        """Options are read again; `ready` follows."""
        now_us = self._clock.monotonic() * 1e6
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now_us:.0f}", _status("reading options again"))

    def stopping(self) -> None:
        """We end, and finish what must be."""
        self._tell("STOPPING=1", _status("stopping"))

    def failed(self, sentence: str) -> None:
        """We cannot go on."""
        self._tell(_status(sentence))

    def watch(self, stalled: Callable[[], Sequence[str]]) -> None:
        """From now on the watchdog hears of us, for as long as *stalled* names nothing."""
        if self._notifier is not None and self.watchdog_s:
            watch = Watch(self, stalled)
            pause_s = self.watchdog_s / PER_TIMEOUT
            threading.Thread(
                target=watch.run, args=(self._clock, pause_s), name="watchdog", daemon=True
            ).start()

    def alive(self) -> None:
        """The watchdog hears that we get on."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._notifier is not None:
            self._notifier.notify("\n".join(lines))


class Watch:
    """Tells the watchdog that we get on, or the log that something does not."""

    def __init__(self, systemd: Systemd, stalled: Callable[[], Sequence[str]]) -> None:
        """*stalled* names what should have got on and has not."""
        self._systemd = systemd
        self._stalled = stalled
        self._told: Sequence[str] = ()

    def run(self, clock: Clock, pause_s: float) -> None:
        """Look each *pause_s* seconds, for ever."""
        never = clock.event()
        while True:
            self.look()
            never.wait(pause_s)

    def look(self) -> None:
        """Look once."""
        stalled = self._stalled()
        if not stalled:
            self._systemd.alive()
        elif stalled != self._told:
            names = ", ".join(stalled)
            LOG.error("no progress: %s; systemd restarts this program unless it gets on", names)
            self._systemd.failed(f"no progress: {names}")
        self._told = stalled


def _status(sentence: str) -> str:
    return f"STATUS={' '.join(sentence.split())[:LONGEST]}"


def _watchdog_s() -> float | None:
    """None too if it is not we who are watched."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = os.environ.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if usec.isdigit() and int(usec) else None
