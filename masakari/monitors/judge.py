"""Decide what to tell Masakari: samples in, events out.  Nothing here looks, waits or sends.

A state counts when the last N samples of a subject agree; mixed samples, and samples of somebody
who could not look, decide nothing.  What Masakari was told is remembered only after it has heard
it (`told`), so an event is asked for again in each round until then.  A death that stands is told
again now and then: whoever recovered the host may have found it alive, and given up, between two
samples that did not show it.

The observer is suspected before the observed: while no subject at all looks alive, or too small a
share, nobody is accused, and the samples of that round do not count; where too many die at once,
none of them is told.  The observer's own host is never accused, nor one that flaps until it is
quiet.  Durations are measured on the monotonic clock: one that is set changes nothing.
"""

import collections
import dataclasses
import datetime
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from masakari.monitors import names
from masakari.states import HostProof

NAMES_IN_SUMMARY = 10


class State(StrEnum):
    """What one look at one subject says."""

    ONLINE = "online"
    """It works."""
    OFFLINE = "offline"
    """Everybody who was asked holds it for dead."""
    DOUBTFUL = "doubtful"
    """It shows a sign of life, and a sign of death."""
    UNKNOWN = "unknown"
    """Nobody could tell."""


SIGNS_OF_LIFE = frozenset({State.ONLINE, State.DOUBTFUL})


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one subject."""

    subject: str
    state: State
    at: datetime.datetime
    """UTC, naive"""
    detail: str = ""
    """What was seen, for people."""
    witness: bool = False
    """Not watched itself: it only shows that the observer can see."""
    proof: HostProof | None = None
    """What proves that an OFFLINE one is dead; None: nothing but that it looks so."""
    networks: Mapping[str, State] = field(default_factory=dict)
    """{network: what it is there}, where it was asked on networks"""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that Masakari has to hear."""

    subject: str
    state: State
    """OFFLINE or ONLINE"""
    at: datetime.datetime
    """When the sample was taken that decided."""
    detail: str = ""
    again: bool = False
    """An earlier death of the subject was reported: an equal report of it may still be known."""
    proof: HostProof | None = None
    """Of an OFFLINE one, as in Sample."""


@dataclass(frozen=True, slots=True)
class Change:
    """The judgement of one subject has changed."""

    subject: str
    old: State | None
    """None: it was not judged before."""
    new: State
    detail: str
    samples: int

    def __str__(self) -> str:
        old = self.old or "not judged"
        equal = f"{self.samples} of {self.samples} samples"
        return f"{self.subject}: {old} -> {self.new} ({equal}: {self.detail})"


@dataclass(frozen=True, slots=True)
class Findings:
    """What one round of samples has shown."""

    events: Sequence[Event] = ()
    """All that Masakari has not heard yet and that still holds."""
    reminders: Sequence[Event] = ()
    """Deaths that Masakari heard of some time ago and that still hold, the longest ago first."""
    alive: frozenset[str] = frozenset()
    """Subjects with a sign of life: an accusation that is under way no longer holds."""
    gone: frozenset[str] = frozenset()
    """Subjects that are not watched any more."""
    changes: Sequence[Change] = ()
    trouble: str | None = None
    """Why the observer is suspected instead."""
    is_silence: bool = False
    """The trouble is that so many look dead."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator demands beyond N equal samples."""

    reminder_s: float = 0
    """After so long a death that stands is told again; 0: never."""
    delay_s: float = 0
    """So long a death must stand before it is told."""
    flapping_changes: int = 0
    """Who turns more often between dead and alive within `flapping_s` is not accused; 0: off."""
    flapping_s: float = 600
    alive_share_min: float = 0
    """At least this share, of 1, of those of whom something is known must look alive."""
    new_deaths_max: int = 0
    """If more than so many die at once, none of them is told; 0: without limit."""
    spacing_s: float = 0
    """A sample that says the same sooner than so long after the last one that counted takes its
    place, if it was pushed; half as long is enough for others, which come a little late or early.
    And a turn so soon after another one is part of it: who looks more often neither believes
    it sooner, nor sees a host flap that would not else."""


@dataclass(slots=True)
class _Track:
    """What is known of one subject."""

    samples: collections.deque[Sample]
    judged: State | None = None
    told: State | None = None
    """What Masakari has heard: None nothing, UNKNOWN something that may not hold any more."""
    told_at: datetime.datetime = datetime.datetime.min
    """When the sample was taken that Masakari heard of last."""
    quiet_since: float = -math.inf
    """Masakari has not heard of it since, on the monotonic clock."""
    seen_at: float = -math.inf
    """When the last sample was taken, on the monotonic clock."""
    counted_at: float = -math.inf
    """When the last sample that counts was, on the monotonic clock."""
    dead_since: float | None = None
    """All samples since then call it dead, on the monotonic clock."""
    turns: list[float] = field(default_factory=list)
    """When it turned from alive to dead or back, on the monotonic clock."""
    definite: State | None = None
    """The last sample that called it alive or dead."""
    again: bool = False
    rejected: bool = False

    def stable(self) -> State | None:
        """The state that all of the last N samples show."""
        if len(self.samples) < (self.samples.maxlen or 0):
            return None
        states = {sample.state for sample in self.samples}
        return states.pop() if len(states) == 1 else None

    def add(self, sample: Sample, now: float, spacing_s: float) -> None:
        """Take one more sample into account, taken at *now* on the monotonic clock."""
        is_same = bool(self.samples) and self.samples[-1].state is sample.state
        if is_same and now - self.counted_at < spacing_s:
            self.samples[-1] = sample
        else:
            self.samples.append(sample)
            self.counted_at = now
        self.seen_at = now
        if sample.state is not State.OFFLINE:
            self.dead_since = None
        elif self.dead_since is None:
            self.dead_since = now
        if sample.state in (State.ONLINE, State.OFFLINE):
            has_turned = self.definite not in (None, sample.state)
            if has_turned and (not self.turns or now - self.turns[-1] >= spacing_s):
                self.turns.append(now)
            self.definite = sample.state
        if sample.state is State.ONLINE and self.told is State.OFFLINE:
            # Whoever recovers it may have seen this too and given up: a death after this one is
            # another death, even if N samples never call it online in between.
            self.told = State.UNKNOWN
            self.again = True

    def owes(self, state: State) -> bool:
        """Whether Masakari has to hear that the subject is in *state*."""
        if self.rejected:
            return False
        if state is State.OFFLINE:
            return self.told is not State.OFFLINE
        if state is State.ONLINE:
            return self.told in (State.OFFLINE, State.UNKNOWN)
        return False


@dataclass(slots=True)
class Judge:
    """What the samples so far say of each subject; not for several threads at once."""

    samples_needed: int
    myself: str = ""
    """Name of the observer's own host."""
    noun: str = "host"
    rules: Rules = Rules()
    monotonic: Callable[[], float] = time.monotonic
    _tracks: dict[str, _Track] = field(default_factory=dict)
    _trouble: str | None = None

    def see(self, samples: Iterable[Sample], *, is_pushed: bool = False) -> Findings:
        """What follows from one round of samples, one for each watched subject.

        With *is_pushed* the round is none of those that come at regular times: it brings no
        reminders, and if nobody can be judged, only signs of life count: nobody else was looked at.
        """
        spacing_s = self.rules.spacing_s if is_pushed else self.rules.spacing_s / 2
        taken = list(samples)
        gone = self._follow({s.subject for s in taken if not s.witness})
        alive = frozenset(s.subject for s in taken if s.state in SIGNS_OF_LIFE)
        broken = alive if is_pushed else self._tracks.keys()
        self._trouble = self._suspicion(taken)
        if self._trouble:
            self._count_nothing(taken[0].at, broken)
            return Findings(alive=alive, gone=gone, trouble=self._trouble, is_silence=True)
        self._trouble = self._ignorance(taken)
        if self._trouble:
            self._count_nothing(taken[0].at, broken)
            return Findings(gone=gone, trouble=self._trouble)
        changes, events = [], []
        for sample in taken:
            if sample.witness:
                continue
            track = self._tracks[sample.subject]
            change, event = self._weigh(track, self._admit(sample), spacing_s)
            changes += [change] if change else []
            events += [event] if event else []
        self._trouble = self._too_many(events)
        if self._trouble:
            events = [event for event in events if event.state is not State.OFFLINE]
        reminders = [] if is_pushed else self._reminders()  # they take time from the next look
        return Findings(events, reminders, alive, gone, changes, self._trouble, bool(self._trouble))

    def see_nothing(
        self,
        why: str,
        at: datetime.datetime,
        alive: frozenset[str] = frozenset(),
        *,
        is_pushed: bool = False,
    ) -> Findings:
        """What follows from a round in which the observer could not look; as in `see`."""
        self._trouble = why
        self._count_nothing(at, alive if is_pushed else self._tracks.keys())
        return Findings(alive=alive, trouble=why)

    def told(self, event: Event) -> None:
        """Masakari has heard *event*."""
        track = self._tracks.get(event.subject)
        if track is not None:
            track.told = event.state
            track.told_at = event.at
            track.quiet_since = track.seen_at

    def maybe_told(self, subject: str) -> None:
        """Masakari may have heard that *subject* is dead, or not."""
        track = self._tracks.get(subject)
        if track is not None:
            track.told = State.UNKNOWN
            track.again = True

    def rejected(self, subject: str) -> None:
        """Masakari does not want to hear of *subject* while the registry and its state last."""
        track = self._tracks.get(subject)
        if track is not None:
            track.rejected = True

    def known(self) -> Mapping[str, Any]:
        """What Masakari has heard, as JSON can hold it: {subject: {told, at, again}}."""
        return {
            subject: {"told": str(t.told), "at": t.told_at.isoformat(), "again": t.again}
            for subject, t in self._tracks.items()
            if t.told is not None
        }

    def restore(self, known: Mapping[str, Any]) -> None:
        """Masakari has heard from an earlier process what `known` has given to it.

        Raises LookupError, TypeError or ValueError if it has another form.
        """
        restored = {}
        for subject, row in known.items():
            track = _Track(collections.deque(maxlen=self.samples_needed))
            track.told = State(row["told"])
            track.told_at = datetime.datetime.fromisoformat(row["at"])
            track.again = bool(row["again"])
            track.quiet_since = self.monotonic()
            restored[subject] = track
        self._tracks = restored

    def rejections(self) -> list[str]:
        """Subjects of which Masakari does not want to hear although there is something to tell."""
        return sorted(subject for subject, track in self._tracks.items() if track.rejected)

    def summary(self) -> str:
        """One sentence on what was seen last."""
        if self._trouble:
            return f"no verdict: {self._trouble}"
        if not self._tracks:
            return f"no {self.noun} is watched: none is registered in an enabled segment"
        odd = [
            f"{subject} {self._describe(track)}"
            for subject, track in sorted(self._tracks.items())
            if track.samples and track.samples[-1].state is not State.ONLINE
        ]
        online = len(self._tracks) - len(odd)
        more = [f"and {len(odd) - NAMES_IN_SUMMARY} more"] if len(odd) > NAMES_IN_SUMMARY else []
        plural = "" if len(self._tracks) == 1 else "s"
        first = f"{online} of {len(self._tracks)} {self.noun}{plural} online"
        return "; ".join([first, *odd[:NAMES_IN_SUMMARY], *more])

    def numbers(self) -> Mapping[State, int]:
        """{state: how many subjects were seen so last}"""
        seen = (track.samples[-1].state for track in self._tracks.values() if track.samples)
        return collections.Counter(seen)

    def _follow(self, subjects: set[str]) -> frozenset[str]:
        """Watch exactly *subjects*; those that are not watched any more."""
        gone = frozenset(self._tracks.keys() - subjects)
        new = subjects - self._tracks.keys()
        for subject in gone:
            del self._tracks[subject]
        for subject in new:
            self._tracks[subject] = _Track(collections.deque(maxlen=self.samples_needed))
        if gone or new:
            for track in self._tracks.values():
                track.rejected = False
        return gone

    def _suspicion(self, samples: Sequence[Sample]) -> str | None:
        """Why the observer is to be suspected, if it is."""
        states = collections.Counter(sample.state for sample in samples)
        alive, dead = states[State.ONLINE] + states[State.DOUBTFUL], states[State.OFFLINE]
        if alive < self.rules.alive_share_min * (alive + dead) and states[State.ONLINE]:
            share = f"{alive} of {alive + dead} {self.noun}s"
            return f"only {share} look alive, so the observer is suspected"
        if states[State.ONLINE] or not alive + dead:
            return None
        seen = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"not one {self.noun} is online ({seen}), so the observer is suspected"

    def _ignorance(self, samples: Sequence[Sample]) -> str | None:
        """What to say if nobody could tell anything of anybody."""
        if not samples or any(sample.state is not State.UNKNOWN for sample in samples):
            return None
        plural = "" if len(samples) == 1 else "s"
        return (
            f"nothing is known of {len(samples)} {self.noun}{plural} "
            f"(such as {samples[0].subject}: {samples[0].detail})"
        )

    def _too_many(self, events: Sequence[Event]) -> str | None:
        """Why none of the deaths is told, if so many are new."""
        new = sum(event.state is State.OFFLINE for event in events)
        if not 0 < self.rules.new_deaths_max < new:
            return None
        return (
            f"{new} {self.noun}s have died at once, more than {self.rules.new_deaths_max}, so the "
            "observer is suspected"
        )

    def _count_nothing(self, at: datetime.datetime, broken: Set[str]) -> None:
        """No sample of this round counts; runs of equal ones of the subjects *broken* end."""
        for subject in broken & self._tracks.keys():
            unknown = Sample(subject, State.UNKNOWN, at)
            self._tracks[subject].add(unknown, self.monotonic(), self.rules.spacing_s)

    def _admit(self, sample: Sample) -> Sample:
        """The sample as far as it may count."""
        if sample.state is State.OFFLINE and names.may_be_same(sample.subject, self.myself):
            why = f"this is the observer's own {self.noun}; {sample.detail}"
            return Sample(sample.subject, State.UNKNOWN, sample.at, why)
        return sample

    def _weigh(
        self, track: _Track, sample: Sample, spacing_s: float
    ) -> tuple[Change | None, Event | None]:
        """What one more sample of one subject changes, and what is to be told now."""
        now = self.monotonic()
        track.add(sample, now, spacing_s)
        state = track.stable()
        if self._flaps(track, now) and state is not State.ONLINE:
            state = State.DOUBTFUL
            why = f"flapping, {len(track.turns)} turns in {self.rules.flapping_s:g} s"
            sample = dataclasses.replace(sample, detail=f"{why}; {sample.detail}")
        if state is None:
            return None, None
        change = None
        if state is not track.judged:
            change = Change(sample.subject, track.judged, state, sample.detail, self.samples_needed)
            track.judged = state
            track.rejected = False
        event = None
        if track.owes(state) and not self._is_too_early(track, state, now):
            again, proof = track.again, sample.proof
            event = Event(sample.subject, state, sample.at, sample.detail, again, proof)
        return change, event

    def _flaps(self, track: _Track, now: float) -> bool:
        """Whether it has turned too often of late."""
        if not self.rules.flapping_changes:
            return False
        track.turns = [at for at in track.turns if now - at < self.rules.flapping_s]
        return len(track.turns) > self.rules.flapping_changes

    def _is_too_early(self, track: _Track, state: State, now: float) -> bool:
        """Whether the death has not stood for long enough."""
        since = now if track.dead_since is None else track.dead_since
        return state is State.OFFLINE and now - since < self.rules.delay_s

    def _reminders(self) -> list[Event]:
        """The deaths that are to be told again now."""
        if not self.rules.reminder_s:
            return []
        now = self.monotonic()
        due = [
            (track.quiet_since, track.told_at, track.samples[-1])
            for track in self._tracks.values()
            if track.told is track.stable() is State.OFFLINE
            and not track.rejected
            and now - track.quiet_since >= self.rules.reminder_s
        ]
        due.sort(key=lambda found: found[:2])
        return [
            Event(last.subject, last.state, last.at, last.detail, proof=last.proof)
            for *_, last in due
        ]

    def _describe(self, track: _Track) -> str:
        last = track.samples[-1]
        equal = 0
        for sample in reversed(track.samples):
            if sample.state is not last.state:
                break
            equal += 1
        return f"{last.state} ({equal} of {self.samples_needed} samples: {last.detail})"
