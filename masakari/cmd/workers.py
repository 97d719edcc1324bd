"""Whether the worker processes of masakari-api get on: each beats in memory that all share."""

import contextlib
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence

from oslo_log import log

from masakari.clock import Clock
from masakari.cmd.systemd import Systemd

LOG = log.getLogger(__name__)

PATIENCE_S = 120.0
"""A worker that has shown nothing for so long is killed, where systemd has no other opinion."""
PAUSE_S = 0.5
_NEVER = math.inf


class Beats:
    """When each worker got on last.  Each number has one writer at a time, so there is no lock."""

    def __init__(self, workers: int, clock: Clock) -> None:
        """Made before the workers are forked."""
        self._clock = clock
        self._began = multiprocessing.RawArray("d", [-math.inf] * workers)
        self._beaten = multiprocessing.RawArray("d", [clock.monotonic()] * workers)
        self._pids = multiprocessing.RawArray("l", workers)

    def begin(self, worker: int, pid: int | None = None) -> None:
        """The process *pid*, by default this one, is the worker now, and serves."""
        self._pids[worker] = pid or os.getpid()
        self._beaten[worker] = self._began[worker] = self._clock.monotonic()

    def beat(self, worker: int) -> None:
        """The worker has got on."""
        if self._beaten[worker] != _NEVER:
            self._beaten[worker] = self._clock.monotonic()

    def rest(self, worker: int) -> None:
        """The worker ends; nothing is expected of it until another one begins."""
        self._beaten[worker] = _NEVER

    def all_began_since(self, at: float) -> bool:
        """Whether all workers serve that began after monotonic *at*."""
        return all(began > at for began in self._began)

    def late(self, by_s: float) -> list[tuple[int, int]]:
        """(worker, process id or 0) of those that have not beaten for *by_s* seconds."""
        before = self._clock.monotonic() - by_s
        return [(n, self._pids[n]) for n, at in enumerate(self._beaten) if at < before]


class Overseer:
    """Looks after the workers, in a thread of the parent; cotyledon starts those anew that die."""

    def __init__(self, beats: Beats, systemd: Systemd, clock: Clock, sentence: str) -> None:
        """*sentence* says what they do when they serve."""
        self._beats = beats
        self._systemd = systemd
        self._clock = clock
        self._sentence = sentence
        self._patience_s = systemd.watchdog_s or PATIENCE_S
        self._killed: set[int] = set()
        self._await_since: float | None = -math.inf

    def start(self) -> None:
        """Look for as long as the process lives."""
        threading.Thread(target=self._run, name="overseer", daemon=True).start()
        self._systemd.watch(self.stalled)

    def reload(self, read_again: Callable[[], None]) -> None:
        """The workers are about to be replaced; they get what *read_again* reads."""
        self._systemd.reloading()
        read_again()
        self._await_since = self._clock.monotonic()

    def look(self) -> None:
        """Look once: say when all serve, kill who does not get on."""
        if self._await_since is not None and self._beats.all_began_since(self._await_since):
            self._await_since = None
            self._systemd.ready(self._sentence)
        for worker, pid in self._beats.late(self._patience_s):
            if pid and pid not in self._killed:
                LOG.error(
                    "worker %d (process %d) has not got on for %g s: it is killed, another one "
                    "takes its place",
                    *(worker, pid, self._patience_s),
                )
                self._killed.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def stalled(self) -> Sequence[str]:
        """The workers whose places were not taken in time either."""
        return [f"worker {worker}" for worker, _ in self._beats.late(2 * self._patience_s)]

    def _run(self) -> None:
        never = self._clock.event()
        while True:
            self.look()
            never.wait(PAUSE_S)
