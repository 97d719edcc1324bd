"""Decide which VMs have failed: events and comparisons in, failures out.  Pure.

A *run* of a domain is the time from its start to its end.  Of each run one end is told, whatever
number of events it makes: a watchdog that switches a guest off is told as that, and the end of its
QEMU process, which follows, is not.  What harms a guest without ending it is told once for a run.

Events are heard in the order in which libvirt tells them.  A comparison of all domains with what
was known finds what no event told: a domain that died while libvirt, or we, were away.  It says
nothing about a domain of which an event was heard since the comparison began.
"""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from masakari.monitors.instances.words import (
    AGENT_ERROR,
    PAUSED_BY_FAILURE,
    SHUTOFF_BY_FAILURE,
    State,
)

Words = tuple[str, str]
"""(event, detail), as in a notification."""

ENDS: frozenset[Words] = frozenset(
    {
        ("LIFECYCLE", "STOPPED_FAILED"),
        ("LIFECYCLE", "STOPPED_CRASHED"),
        ("LIFECYCLE", "SUSPENDED_WATCHDOG"),
        ("LIFECYCLE", "CRASHED_PANICKED"),
        ("WATCHDOG", "WATCHDOG_PAUSE"),
        ("WATCHDOG", "WATCHDOG_POWEROFF"),
    }
)
"""The guest does not run any more."""
HARMS: frozenset[Words] = frozenset(
    {("WATCHDOG", "WATCHDOG_SHUTDOWN"), ("IO_ERROR", "IO_ERROR_REPORT"), AGENT_ERROR}
)
"""It runs, and is in trouble."""
HELD_S = {("LIFECYCLE", "CRASHED_PANICKED"): 1.0}
"""So long it is waited whether the hypervisor repairs it: on_crash=restart."""
REPEATED_S = 5.0
"""What is only told because the configuration says so is told once in so many seconds."""
SETTLED_S = 10.0
"""After this time an event has had all its consequences."""
_DIED = ("LIFECYCLE", "STOPPED_FAILED")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was heard about one domain."""

    uuid: str
    name: str
    """empty: as it was"""
    words: Words
    at: datetime.datetime
    """UTC, naive"""
    heard: float
    """the same on the monotonic clock"""
    run: int = -1
    """libvirt's number of the domain's run, if it has one now"""


@dataclass(frozen=True, slots=True)
class Domain:
    """What a comparison shows of one domain."""

    uuid: str
    name: str
    state: int
    reason: int
    run: int = -1
    is_persistent: bool = True

    @property
    def is_active(self) -> bool:
        """There is a QEMU process."""
        return self.state not in (State.SHUTOFF, State.NOSTATE)

    @property
    def is_healthy(self) -> bool:
        """Its guest runs."""
        return self.state in (State.RUNNING, State.BLOCKED)

    @property
    def detail(self) -> str | None:
        """How the failure that its state shows is called, of LIFECYCLE; None: it shows none."""
        if self.state == State.CRASHED:
            return "CRASHED_PANICKED"
        return PAUSED_BY_FAILURE.get(self.reason) if self.state == State.PAUSED else None


@dataclass(frozen=True, slots=True)
class Failure:
    """What Masakari has to hear."""

    uuid: str
    name: str
    words: Words
    at: datetime.datetime
    how: str = "told by libvirt"


@dataclass(slots=True)
class _Track:
    name: str
    run: int = -1
    is_active: bool = False
    is_persistent: bool = True
    is_ended: bool = False
    """the end of this run was told"""
    told: set[Words] = field(default_factory=set)
    """what else was told of this run"""
    heard: float = float("-inf")
    held: tuple[float, Failure] | None = None
    """(when it is told, what)"""
    repeated: dict[Words, float] = field(default_factory=dict)

    def begin(self, run: int) -> None:
        """Another run has begun."""
        self.run, self.is_active = run, True
        self.is_ended, self.held = False, None
        self.told.clear()


class Judge:
    """What is known of all domains; for one thread."""

    def __init__(self, report_also: Collection[Words] = ()) -> None:
        self._also = frozenset(report_also) - ENDS - HARMS
        self._tracks: dict[str, _Track] = {}

    # ---- what is heard

    def hear(self, event: Event) -> Sequence[Failure]:
        """The failures that the event tells of."""
        track = self._tracks.setdefault(event.uuid, _Track(event.name))
        track.name, track.heard = event.name or track.name, event.heard
        kind, detail = event.words
        if kind == "REBOOT":
            track.held = None
        if kind == "LIFECYCLE":
            self._follow(event.uuid, track, detail, event.run)
        return self._judge(track, event)

    def _follow(self, uuid: str, track: _Track, detail: str, run: int) -> None:
        """What the event says about the run."""
        what = detail.partition("_")[0]
        if what == "STARTED":
            track.begin(run)
        elif what == "RESUMED":
            track.begin(track.run)
        elif what == "STOPPED":
            track.is_active = False
            if ("LIFECYCLE", detail) not in ENDS:
                track.held = None
        elif detail == "UNDEFINED_REMOVED" and not track.is_active:
            del self._tracks[uuid]

    def _judge(self, track: _Track, event: Event) -> Sequence[Failure]:
        failure = Failure(event.uuid, track.name, event.words, event.at)
        if event.words == AGENT_ERROR:
            failure = replace(failure, how="its agent is silent")
        if event.words in self._also:
            is_again = event.heard - track.repeated.get(event.words, float("-inf")) < REPEATED_S
            track.repeated[event.words] = event.heard
            return () if is_again else [failure]
        if track.is_ended or event.words in track.told:
            return ()
        if event.words in HELD_S:
            track.held = (event.heard + HELD_S[event.words], failure)
        elif event.words in ENDS:
            return self._end(track, failure)
        elif event.words in HARMS:
            if event.words != AGENT_ERROR:  # told when it has answered in between
                track.told.add(event.words)
            return [failure]
        return ()

    @staticmethod
    def _end(track: _Track, failure: Failure) -> Sequence[Failure]:
        if track.held is not None:  # it began with a panic
            failure, track.held = track.held[1], None
        track.is_ended = True
        return [failure]

    # ---- what was waited for

    def due(self, now: float) -> Sequence[Failure]:
        """Those of which it was waited whether they repair themselves."""
        found: list[Failure] = []
        for track in self._tracks.values():
            if track.held is not None and track.held[0] <= now:
                found.extend(self._end(track, track.held[1]))
        return found

    def next_due(self) -> float | None:
        """When `due` has something, on the monotonic clock."""
        return min((t.held[0] for t in self._tracks.values() if t.held is not None), default=None)

    # ---- what is compared

    def compare(
        self, domains: Iterable[Domain], began: float, at: datetime.datetime
    ) -> Sequence[Failure]:
        """The failures that the states of all *domains*, asked for at *began*, show."""
        found: list[Failure] = []
        seen = set()
        for domain in domains:
            seen.add(domain.uuid)
            track = self._tracks.get(domain.uuid)
            if track is None:
                track = self._tracks[domain.uuid] = _Track(
                    domain.name, domain.run, domain.is_active, domain.is_persistent
                )
            if track.heard < began:
                found.extend(self._compare(track, domain, began, at))
        for uuid in self._tracks.keys() - seen:
            if self._tracks[uuid].heard < began:
                found.extend(self._gone(uuid, at))
        return found

    def _compare(
        self, track: _Track, domain: Domain, began: float, at: datetime.datetime
    ) -> Sequence[Failure]:
        was_active = track.is_active
        if domain.is_active and (not was_active or domain.run != track.run):
            track.begin(domain.run)
        elif track.is_ended and domain.is_healthy and began - track.heard > SETTLED_S:
            track.begin(domain.run)  # somebody has resumed it
        track.name, track.is_active = domain.name, domain.is_active
        track.is_persistent = domain.is_persistent
        if track.is_ended:
            return ()
        if domain.detail is not None:
            words, how = ("LIFECYCLE", domain.detail), "seen by its state"
        elif was_active and not domain.is_active and domain.reason in SHUTOFF_BY_FAILURE:
            reason = SHUTOFF_BY_FAILURE[domain.reason]
            words, how = _DIED, f"it ran, and is shut off ({reason})"
        else:
            return ()
        return self._end(track, Failure(domain.uuid, domain.name, words, at, how))

    def _gone(self, uuid: str, at: datetime.datetime) -> Sequence[Failure]:
        track = self._tracks.pop(uuid)
        if not track.is_active or track.is_persistent or track.is_ended:
            return ()
        return [Failure(uuid, track.name, _DIED, at, "it ran, and is gone")]

    # ---- what is kept

    def remember(self) -> Mapping[str, Any]:
        """What `recall` needs, as JSON can hold it; a panic that is held is not yet told."""
        return {
            uuid: {
                "name": track.name,
                "run": track.run,
                "active": track.is_active,
                "persistent": track.is_persistent,
                "ended": track.is_ended,
                "told": sorted(map(list, track.told)),
            }
            for uuid, track in self._tracks.items()
        }

    def recall(self, known: Mapping[str, Any], *, same_boot: bool) -> None:
        """What was known at the end of an earlier life.

        After another boot of the host no run goes on, and their numbers begin anew.
        """
        for uuid, of in known.items():
            track = _Track(
                str(of["name"]), int(of["run"]), bool(of["active"]), bool(of["persistent"])
            )
            if same_boot:
                track.is_ended = bool(of["ended"])
                track.told = {(str(event), str(detail)) for event, detail in of["told"]}
            else:
                track.run = -2
            self._tracks[uuid] = track
