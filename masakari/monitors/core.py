"""One loop for every daemon: look, decide, tell."""

import datetime
import logging
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from masakari import alarms, metrics
from masakari import clock as clock_
from masakari import pulse as pulse_
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import judge as judge_
from masakari.monitors import memory as memory_
from masakari.monitors import outbox as outbox_
from masakari.monitors import pushes as pushes_
from masakari.monitors.lamp import Lamp

LOG = logging.getLogger(__name__)

LOOP = "monitor"
"""Its name where loops say that they get on."""
STALLED_S = 300.0
"""A round that lasts so much longer than the interval hangs: requests that nobody answers, tried
again, end sooner."""
NOT_YET = "no round has judged yet"
FAILING = "the rounds of the monitor fail"


class Blind(Exception):
    """The observer cannot look; `str()` says why."""

    def __init__(self, why: str, alive: Collection[str] = ()) -> None:
        super().__init__(why)
        self.alive = frozenset(alive)
        """Subjects that showed a sign of life nevertheless."""


class Probe(Protocol):
    """Who looks."""

    def look(self) -> Sequence[judge_.Sample]:
        """One sample for each watched subject.  Raises Blind."""


class Monitor:
    """Looks each *interval_s* seconds, sooner when woken, and tells Masakari what it must hear."""

    def __init__(
        self,
        probe: Probe,
        judge: judge_.Judge,
        outbox: outbox_.Outbox,
        clock: clock_.Clock,
        *,
        pulse: pulse_.Pulse,
        interval_s: float,
        silent_s: float,
        late_s: float = math.inf,
        memory: memory_.Memory | None = None,
        meter: Meter = UNMETERED,
    ) -> None:
        """A round that begins *late_s* late, or looks for so long, counts nothing.

        With *memory*, what Masakari has heard and what waits is known from earlier processes.
        """
        self._probe = probe
        self._judge = judge
        self._outbox = outbox
        self._clock = clock
        self._pulse = pulse
        self._meter = meter
        self._pushes = pushes_.Pushes(clock, meter)
        self._silent_s = silent_s
        self._seen_at = clock.monotonic()
        """When hosts were last judged."""
        self._blind = Lamp(alarms.BLIND, meter)
        self._silent = Lamp(alarms.SILENT, meter)
        self._late_s = late_s
        self._overslept_s = 0.0
        self._interval_s = interval_s
        self._trouble: str | None = None
        """Why the last round that came to its end judged nobody."""
        self._unfinished: str | None = NOT_YET
        """Why the last round did not come to its end."""
        self._rejected: list[str] = []
        self._summary = ""
        self.memory = memory
        """What survives a restart; None: nothing."""
        if memory is not None:
            self._recall(memory)

    @property
    def trouble(self) -> str | None:
        """Why nobody, or nobody's death, was judged in the last round; None: all were."""
        return self._trouble or self._unfinished

    def run(self, stop: clock_.Event) -> None:
        """Go on until `end` sets *stop*; unanswered reports are sent between two looks."""
        next_look = self._clock.monotonic()
        self._pulse.expect(LOOP, self._interval_s + STALLED_S)
        while not stop.is_set():
            try:
                now, pushed = self._clock.monotonic(), self._pushes.due()
                if now >= next_look:
                    next_look += self._interval_s
                    self._answer_pushes()
                elif pushed is not None and now >= pushed:
                    self._answer_pushes(is_pushed=True)
                else:
                    self.tell()
            except Exception:
                self._meter.count(metrics.ROUNDS, "failed")
                LOG.exception("this round of the monitor failed; it goes on with the next one")
            self._pulse.beat(LOOP)
            self._alarm_blind()
            self._alarm_rejected()
            now = self._clock.monotonic()
            next_look = max(next_look, now)
            due = (next_look, self._outbox.next_try(), self._pushes.due())
            wake_at = min(at for at in due if at is not None)
            self._pushes.wait(max(0.0, wake_at - now))
            self._overslept_s = max(self._overslept_s, self._clock.monotonic() - max(now, wake_at))
        self._pulse.rest(LOOP)

    def push(self, source: str, why: str) -> None:
        """It looks soon, as *why* says that there is something to see; as `pushes.Wake`."""
        self._pushes.push(source, why)

    def end(self, stop: clock_.Event) -> None:
        """The `run` with *stop* ends soon; for any thread."""
        stop.set()
        self._pushes.ring()

    def _answer_pushes(self, *, is_pushed: bool = False) -> None:
        """One round, which is the answer to all that was pushed before; *is_pushed* as `cycle`."""
        began = self._clock.monotonic()
        if why := self._pushes.take():
            LOG.info("looking at once: %s", why)
        try:
            self.cycle(is_pushed=is_pushed)
        except Exception:
            self._unfinished = FAILING
            raise
        finally:
            self._pushes.looked(began)

    def cycle(self, *, is_pushed: bool = False) -> str:
        """Look, decide and tell once; the sentence says what was seen.

        With *is_pushed* this is beside the rounds each *interval_s* seconds.
        """
        until = self._clock.monotonic() + self._interval_s
        try:
            findings = self._judge.see(self._look(), is_pushed=is_pushed)
        except Blind as error:
            findings = self._judge.see_nothing(
                str(error), self._clock.now(), error.alive, is_pushed=is_pushed
            )
        self._log(findings)
        for subject in self._outbox.take_back(findings.alive):
            self._judge.maybe_told(subject)
        self._outbox.drop(findings.gone)
        self._outbox.add(findings.events)
        self._keep()
        self.tell()
        self._take_in(self._outbox.remind(findings.reminders, until))
        self._count(is_blind=findings.trouble is not None and not findings.is_silence)
        self._unfinished = None
        return self._judge.summary()

    def _look(self) -> Sequence[judge_.Sample]:
        """What the probe sees.  Raises Blind, also where we ourselves were stalled."""
        overslept_s, self._overslept_s = self._overslept_s, 0.0
        if overslept_s > self._late_s:
            raise Blind(f"this round began {overslept_s:.0f} s late: the monitor was stalled")
        began = self._clock.monotonic()
        samples = self._probe.look()
        took_s = self._clock.monotonic() - began
        if took_s > self._late_s:
            alive = [s.subject for s in samples if s.state in judge_.SIGNS_OF_LIFE]
            raise Blind(f"looking took {took_s:.0f} s: what was seen may not hold any more", alive)
        return samples

    def _count(self, *, is_blind: bool) -> None:
        self._meter.count(metrics.ROUNDS, "blind" if is_blind else "ok")
        if not is_blind:
            since_1970 = self._clock.now().replace(tzinfo=datetime.UTC).timestamp()
            self._meter.set(metrics.LOOKED_AT, since_1970)
            self._seen_at = self._clock.monotonic()
        numbers = self._judge.numbers()
        for state in judge_.State:
            self._meter.set(metrics.HOSTS, numbers.get(state, 0), state)

    def _alarm_blind(self) -> None:
        """Nobody was judged for long."""
        silent_s = self._clock.monotonic() - self._seen_at
        why = self.trouble or "none was looked at"
        is_long = silent_s >= self._silent_s
        self._blind.show(f"no host was judged for {silent_s:.0f} s: {why}" if is_long else None)

    def _alarm_rejected(self) -> None:
        """MSK-402 is raised while a report is rejected."""
        was, self._rejected = self._rejected, self._judge.rejections()
        code = alarms.REJECTED.code
        self._meter.set(metrics.ALARM, bool(self._rejected), code)
        if set(self._rejected) - set(was):
            LOG.error(
                "%s Masakari does not know the hosts %s, or not by these names: their failure is "
                "not recovered; they are reported again when the registered hosts change",
                code,
                ", ".join(self._rejected),
            )
        elif was and not self._rejected:
            LOG.info("%s is over: Masakari rejects no report", code)

    def tell(self) -> None:
        """Masakari has heard what is due, or it is kept."""
        self._take_in(self._outbox.flush())
        self._keep()

    def _keep(self) -> None:
        if self.memory is not None:
            self.memory.keep({"told": self._judge.known(), "waiting": self._outbox.known()})
            self._meter.set(metrics.ALARM, bool(self.memory.trouble), alarms.NOT_KEPT.code)

    def _recall(self, memory: memory_.Memory) -> None:
        known = memory.recall()
        try:
            self._outbox.restore(known.get("waiting", {}))
            self._judge.restore(known.get("told", {}))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            memory.set_aside(f"{type(error).__name__}: {error}")
            self._outbox.restore({})

    def _take_in(self, deliveries: Iterable[outbox_.Delivery]) -> None:
        """The judge knows what Masakari has said."""
        for delivery in deliveries:
            if delivery.accepted:
                self._judge.told(delivery.event)
            else:
                self._judge.rejected(delivery.event.subject)

    def _log(self, findings: judge_.Findings) -> None:
        """What has changed since the last round."""
        for change in findings.changes:
            LOG.log(_level(change), "%s", change)
            self._meter.count(metrics.VERDICTS, change.new)
        accused = f"nobody is accused: {findings.trouble}" if findings.is_silence else None
        is_alarmed = findings.is_silence and not self._silent.is_on
        self._silent.show(accused)
        if findings.trouble and not self._trouble and not is_alarmed:
            LOG.warning("nobody is judged: %s", findings.trouble)
        elif self._trouble and not findings.trouble:
            LOG.info("the observer can see again")
        self._trouble = findings.trouble
        summary = self._judge.summary()
        # trouble has just been told of
        quiet = findings.trouble or summary == self._summary
        LOG.log(logging.DEBUG if quiet else logging.INFO, "%s", summary)
        self._summary = summary


def _level(change: judge_.Change) -> int:
    """How loudly a change is told; that all is well at first is in the summary."""
    if change.new is not judge_.State.ONLINE:
        return logging.WARNING
    return logging.INFO if change.old else logging.DEBUG
