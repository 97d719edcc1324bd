"""The loop of the process monitor: look, start again, tell."""

import logging
import queue
from collections.abc import Mapping, Sequence

from masakari import clock as clock_
from masakari import metrics, pulse
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import memory as memory_
from masakari.monitors.processes import table
from masakari.monitors.processes.commands import Runner
from masakari.monitors.processes.judge import Limits, Look, Order, Track, summary
from masakari.monitors.processes.process_list import Command, Entry, ProcessList
from masakari.monitors.processes.units import Units
from masakari.monitors.teller import Report, Teller
from masakari.states import Event, NotificationType

LOG = logging.getLogger(__name__)

LOOP = "processes"
"""Its name where loops say that they get on."""
STALLED_S = 120.0


class ProcessMonitor:
    """Looks each *interval_s* seconds, and when systemd tells of a change."""

    def __init__(
        self,
        listed: ProcessList,
        units: Units,
        runner: Runner,
        teller: Teller,
        *,
        memory: memory_.Memory,
        clock: clock_.Clock,
        hostname: str,
        limits: Limits,
        interval_s: float,
        pulse: pulse.Pulse,
        wake: clock_.Event,
        meter: Meter = UNMETERED,
    ) -> None:
        """*wake* ends the pause between two looks."""
        self._list = listed
        self._units = units
        self._runner = runner
        self._teller = teller
        self._memory = memory
        self._clock = clock
        self._hostname = hostname
        self._limits = limits
        self._interval_s = interval_s
        self._pulse = pulse
        self._wake = wake
        self._meter = meter
        self._tracks: dict[str, Track] = {}
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        """names of processes for which commands have ended"""
        self._looks: dict[str, Look] = {}
        self._adopt(memory.recall())

    def _adopt(self, known: memory_.Known) -> None:
        """Track what is listed; what was reported down is still to be reported up."""
        told = known.get("stopped")
        stopped = {str(name) for name in told} if isinstance(told, list) else set()
        stopped |= {name for name, track in self._tracks.items() if track.is_told_stopped}
        before, self._tracks = self._tracks, {}
        for entry in self._list.entries:
            track = before.get(entry.process_name) or Track(
                self._limits, can_start=False, can_restart=False
            )
            track.can_start = bool(entry.start)
            track.can_restart = bool(entry.restart)
            track.is_told_stopped = entry.process_name in stopped
            self._tracks[entry.process_name] = track
        self._units.watch([entry.unit for entry in self._list.entries if entry.unit])

    def run(self, stop: clock_.Event) -> None:
        """Go on until *stop* is set; setting *wake* as well ends it at once."""
        self._pulse.expect(LOOP, self._interval_s + STALLED_S)
        while not stop.is_set():
            try:
                self.cycle()
                self._meter.count(metrics.ROUNDS, "ok")
            except Exception:
                self._meter.count(metrics.ROUNDS, "failed")
                LOG.exception("this round of the monitor failed; it goes on with the next one")
            self._pulse.beat(LOOP)
            if not stop.is_set():
                self._wake.wait(self._interval_s)
                self._wake.clear()
        self._pulse.rest(LOOP)
        self._runner.close()

    def cycle(self) -> str:
        """Look, start again and tell once; the sentence says what was seen."""
        if self._list.reload():
            self._adopt({})
        now = self._clock.monotonic()
        while not self._ended.empty():
            name = self._ended.get()
            if name in self._tracks:
                self._tracks[name].attempted(now)
        looks = self._look()
        for entry in self._list.entries:
            look, detail, deaths = looks[entry.process_name]
            self._note(entry, look, detail)
            order = self._tracks[entry.process_name].see(look, now, deaths)
            if order is not None:
                self._carry_out(order, entry, detail)
        self._remember()
        self._looks = {name: look for name, (look, _, _) in looks.items()}
        for state in Look:
            count = sum(look is state for look in self._looks.values())
            self._meter.set(metrics.PROCESSES, count, state)
        return summary(self._looks)

    def _look(self) -> Mapping[str, tuple[Look, str, int]]:
        """{process: (what is seen, in words, deaths since the last look)}"""
        units = self._units.look()
        names = [entry.process_name for entry in self._list.entries if entry.unit is None]
        alive = table.alive(names, table.read()) if names else frozenset()
        found = {}
        for entry in self._list.entries:
            name = entry.process_name
            if entry.unit is None:
                look = Look.UP if name in alive else Look.DOWN
                found[name] = (look, "a process has the name" if name in alive else "none has", 0)
            else:
                seen = units.get(entry.unit)
                found[name] = (
                    (seen.look, f"{entry.unit}: {seen.detail}", seen.deaths)
                    if seen
                    else (Look.UNKNOWN, "it is new", 0)
                )
        return found

    def _note(self, entry: Entry, look: Look, detail: str) -> None:
        before = self._looks.get(entry.process_name)
        if look is not before:
            is_bad = look is Look.DOWN or (before is not None and look is Look.UNKNOWN)
            LOG.log(
                logging.WARNING if is_bad else logging.INFO,
                "%s: %s -> %s (%s)",
                entry.process_name,
                before or "not looked at",
                look,
                detail,
            )

    def _carry_out(self, order: Order, entry: Entry, detail: str) -> None:
        match order:
            case Order.START:
                self._begin(entry, entry.start, "started")
            case Order.RESTART:
                self._begin(entry, entry.restart, "started again")
            case Order.TELL_STOPPED:
                LOG.error("%s: it is not to be brought up (%s)", entry.process_name, detail)
                self._tell(entry, Event.STOPPED)
            case Order.TELL_STARTED:
                LOG.info("%s: it is up again", entry.process_name)
                self._tell(entry, Event.STARTED)

    def _begin(self, entry: Entry, commands: Sequence[Command], what: str) -> None:
        name = entry.process_name
        attempt = self._tracks[name].attempts
        LOG.warning("%s: it is %s (attempt %d)", name, what, attempt)
        self._meter.count(metrics.PROCESS_ATTEMPTS)

        def ended(_went_well: bool) -> None:
            self._ended.put(name)
            self._wake.set()

        self._runner.begin(name, commands, as_root=entry.run_as_root, ended=ended)

    def _tell(self, entry: Entry, event: Event) -> None:
        self._teller.tell(
            Report(
                subject=entry.reported_name,
                type=NotificationType.PROCESS,
                hostname=self._hostname,
                payload={"event": event.value, "process_name": entry.reported_name},
                generated_time=self._clock.now(),
            )
        )

    def _remember(self) -> None:
        stopped = sorted(name for name, track in self._tracks.items() if track.is_told_stopped)
        self._teller.remember(self._memory, {"stopped": stopped})
