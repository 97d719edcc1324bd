"""Guest heartbeats: each agent is asked at its time, none waits for another that hangs."""

import collections
import concurrent.futures
import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from masakari import alarms, metrics
from masakari import clock as clock_
from masakari import pulse as pulse_
from masakari.metrics import UNMETERED, Meter
from masakari.monitors.instances.agents import Agents
from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.heartbeat import Activity, Answer, Limits, State, Track
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Event
from masakari.monitors.instances.words import AGENT_ERROR
from masakari.monitors.lamp import Lamp

LOG = logging.getLogger(__name__)

LOOP = "guests"
"""Its name where loops say that they get on."""
STALLED_S = 120.0
ILL = 5
"""Agents that have not answered, asked at a time: as many as one connection serves."""


class Guests:
    """Owns the tracks, under one lock; for many threads."""

    def __init__(
        self,
        agents: Agents,
        inbox: Inbox,
        clock: clock_.Clock,
        *,
        limits: Limits,
        parallel: int,
        pulse: pulse_.Pulse,
        meter: Meter = UNMETERED,
    ) -> None:
        """Put into *inbox* who has ceased to answer."""
        self._agents = agents
        self._inbox = inbox
        self._clock = clock
        self._limits = limits
        self._pulse = pulse
        self._meter = meter
        self._lock = threading.Lock()
        self._tracks: dict[str, Track] = {}
        self._recalled: dict[str, tuple[int, State]] = {}
        """of an earlier process, until they are watched"""
        self._storm = Lamp(alarms.GUESTS, meter)
        self._busy: set[str] = set()
        """guests that are being asked"""
        self._well = concurrent.futures.ThreadPoolExecutor(parallel, "agent")
        self._ill = concurrent.futures.ThreadPoolExecutor(ILL, "silent agent")

    def watch(self, guests: Mapping[str, tuple[Kind, int]], listed: Collection[str]) -> None:
        """These guests, {uuid: (kind, libvirt's number of the run)}, are asked from now on.

        Of those that are not among all that are *listed* nothing is known any more.
        """
        with self._lock:
            for uuid in self._recalled.keys() - set(listed):
                del self._recalled[uuid]
            for uuid, (kind, run) in guests.items():
                track = self._tracks.get(uuid)
                if track is None or track.run != run:
                    track = self._tracks[uuid] = Track(self._limits, kind, run)
                    was_run, state = self._recalled.pop(uuid, (None, State.DISCOVERY))
                    if was_run == run:
                        track.state = state
                track.kind = kind
            for uuid in self._tracks.keys() - guests.keys():
                del self._tracks[uuid]

    def remember(self) -> Mapping[str, Sequence[int | str]]:
        """{uuid: (run, state)} of those that have answered, as JSON can hold it."""
        with self._lock:
            return {
                uuid: (t.run, State.REPORTED if t.state is State.REPORTED else State.HEALTHY)
                for uuid, t in self._tracks.items()
                if t.state is not State.DISCOVERY
            } | self._recalled

    def recall(self, known: Mapping[str, Sequence[Any]]) -> None:
        """What was remembered holds of the guests that still run when they are watched.

        Raises TypeError, ValueError, AttributeError: it is nothing that was remembered.
        """
        found = {str(uuid): (int(run), State(state)) for uuid, (run, state) in known.items()}
        with self._lock:
            self._recalled = found

    def begin(self, uuid: str) -> None:
        """The guest was started or reset: what is known of it does not hold any more."""
        with self._lock:
            if uuid in self._tracks:
                self._tracks[uuid].begin()

    def run(self, stop: clock_.Event) -> None:
        """Ask all, each interval, until *stop* is set."""
        self._pulse.expect(LOOP, self._limits.interval_s + STALLED_S)
        next_round = self._clock.monotonic()
        while not stop.is_set():
            self.ask_all()
            self._pulse.beat(LOOP)
            now = self._clock.monotonic()
            next_round = max(next_round + self._limits.interval_s, now)
            stop.wait(next_round - now)
        self._pulse.rest(LOOP)
        for pool in (self._well, self._ill):
            pool.shutdown(wait=False, cancel_futures=True)

    def ask_all(self) -> list[concurrent.futures.Future[None]]:
        """Questions to all guests that are not being asked already, on their way."""
        with self._lock:
            idle = {uuid: t.is_silent for uuid, t in self._tracks.items() if uuid not in self._busy}
            self._busy.update(idle)
            numbers = collections.Counter(t.state for t in self._tracks.values())
        for state in State:
            self._meter.set(metrics.GUESTS, numbers[state], state)
        self._storm.show(self._trouble(numbers))
        return [
            (self._ill if is_ill else self._well).submit(self._ask, uuid, is_ill)
            for uuid, is_ill in idle.items()
        ]

    def _trouble(self, numbers: Mapping[State, int]) -> str | None:
        """So many are silent that nobody is reported."""
        if not self._limits.is_storm(numbers):
            return None
        silent = numbers[State.ERROR] + numbers[State.REPORTED]
        return (
            f"{silent} guests are silent, {numbers[State.HEALTHY]} answer: not they are suspected "
            "but their host, or its storage; none of them is reported"
        )

    def _ask(self, uuid: str, is_ill: bool) -> None:
        try:
            answer = self._agents.ping(uuid, is_ill=is_ill)
            activity: Activity = None
            if answer is Answer.MISSING:
                activity = self._agents.activity(uuid)
            self._meter.count(metrics.GUEST_ANSWERS, answer)
            self._take(uuid, answer, activity)
        except Exception:
            LOG.exception("%s: its agent could not be asked", uuid)
        finally:
            with self._lock:
                self._busy.discard(uuid)

    def _take(self, uuid: str, answer: Answer, activity: Activity) -> None:
        with self._lock:
            track = self._tracks.get(uuid)
            if track is None:
                return
            before = track.state
            is_failed = track.see(
                answer, self._clock.monotonic(), activity, is_storm=self._storm.is_on
            )
            if is_failed and not self._report(uuid):
                track.state = State.ERROR  # the next question tries again
            after = track.state
        if after is State.ERROR and before is not State.ERROR:
            nor = "" if activity is not None else ", nor does QEMU"
            LOG.warning("%s: the agent in the guest does not answer%s", uuid, nor)
        elif after is not before:
            LOG.debug("%s: the agent: %s -> %s (%s)", uuid, before, after, answer)

    def _report(self, uuid: str) -> bool:
        """Whether it was put where whoever remembers the guest as reported finds it."""
        at, heard = self._clock.now(), self._clock.monotonic()
        return self._inbox.put(Event(uuid, "", AGENT_ERROR, at, heard))
