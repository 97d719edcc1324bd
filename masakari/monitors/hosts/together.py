"""Several signals at once: a driver, or a network of a driver, is one; a matrix weighs them.

=================  ===============================================
the signal         is
=================  ===============================================
DRIVER             the driver's own verdict, on all its networks
DRIVER/NETWORK     what the driver sees on that network
=================  ===============================================
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from masakari import clock as clock_
from masakari.monitors import core, judge
from masakari.monitors.judge import State
from masakari.monitors.matrix import Meaning, Rule, Signal

SIGNAL_OF = {
    State.ONLINE: Signal.UP,
    State.OFFLINE: Signal.DOWN,
    State.DOUBTFUL: Signal.FLAPPING,
    State.UNKNOWN: Signal.UNKNOWN,
}
STATE_OF = {
    Meaning.FINE: State.ONLINE,
    Meaning.DEGRADED: State.DOUBTFUL,
    Meaning.DOWN: State.OFFLINE,
    Meaning.UNKNOWN: State.UNKNOWN,
}

NETWORK = "/"
"""Between a driver and its network."""

Seen = Mapping[str, judge.Sample]
"""{host: what one driver sees of it}"""


@dataclasses.dataclass(slots=True)
class Run:
    """Looks in a row that saw a signal alike, those that saw neither life nor death left out."""

    state: State
    until: float
    """The last of them, on the monotonic clock."""


class Together:
    """Looks with all drivers, one after the other.

    A driver that cannot look, or sees no sign of life at all while another one does, knows nothing:
    its network is suspected.  A signal that turned more than once within *window_s* seconds flaps.
    """

    def __init__(
        self,
        probes: Mapping[str, core.Probe],
        rule: Rule,
        window_s: float,
        clock: clock_.Clock,
        weighed: Iterable[str] = (),
    ) -> None:
        """Look with *probes*, {driver: probe}; the signals *weighed*, by default the drivers."""
        self._probes = probes
        self._rule = rule
        names = list(weighed or probes)
        self._names = {
            driver: [name for name in names if name.partition(NETWORK)[0] == driver]
            for driver in probes
        }
        self._clock = clock
        self._window_s = window_s
        self._runs: dict[tuple[str, str], list[Run]] = collections.defaultdict(list)

    def look(self) -> Sequence[judge.Sample]:
        """One sample for each host that any driver sees.  Raises Blind if none can look."""
        seen: dict[str, Seen] = {}
        trouble: dict[str, str] = {}
        alive: set[str] = set()
        for driver, probe in self._probes.items():
            try:
                seen[driver] = {sample.subject: sample for sample in probe.look()}
            except core.Blind as e:
                trouble[driver] = str(e)
                alive |= e.alive
        if not seen:
            why = "; ".join(f"{driver}: {problem}" for driver, problem in trouble.items())
            raise core.Blind(why, alive)
        self._doubt(seen, trouble)
        at = self._clock.now()
        hosts = sorted({host for found in seen.values() for host in found})
        samples = [self._weigh(host, seen, trouble) for host in hosts]
        return [
            dataclasses.replace(sample, at=at, state=State.DOUBTFUL)
            if sample.state is State.OFFLINE and sample.subject in alive
            else dataclasses.replace(sample, at=at)
            for sample in samples
        ]

    def _doubt(self, seen: dict[str, Seen], trouble: dict[str, str]) -> None:
        """Who alone sees nobody alive knows nothing."""
        dark = [
            driver
            for driver, found in seen.items()
            if found and not any(s.state in judge.SIGNS_OF_LIFE for s in found.values())
        ]
        if len(dark) == len(seen):
            return
        for driver in dark:
            del seen[driver]
            trouble[driver] = "sees not one host alive, so its own network is suspected"

    def _weigh(
        self, host: str, seen: Mapping[str, Seen], trouble: Mapping[str, str]
    ) -> judge.Sample:
        signals: dict[str, Signal] = {}
        said = []
        samples = {driver: seen.get(driver, {}).get(host) for driver in self._probes}
        for driver, sample in samples.items():
            detail = sample.detail if sample else trouble.get(driver, "not seen")
            each = {
                name: self._signal(name, host, _state(sample, name)) for name in self._names[driver]
            }
            signals |= each
            words = ", ".join(f"{name} {signal}" for name, signal in each.items())
            said.append(f"{words or f'{driver} is not weighed'} ({detail})")
        found = [sample for sample in samples.values() if sample is not None]
        state = STATE_OF[self._rule.meaning(signals)]
        is_witness = all(sample.witness for sample in found)
        if is_witness and any(sample.state is State.ONLINE for sample in found):
            state = State.ONLINE  # the rule is for hosts: a witness may have none of the signals
        proof = next((sample.proof for sample in found if sample.proof), None)
        return judge.Sample(
            host,
            state,
            found[0].at,
            ", ".join(said),
            witness=is_witness,
            proof=proof if state is State.OFFLINE else None,
        )

    def _signal(self, name: str, host: str, state: State) -> Signal:
        now = self._clock.monotonic()
        runs = [run for run in self._runs[name, host] if now - run.until < self._window_s]
        if state in (State.ONLINE, State.OFFLINE):
            if runs and runs[-1].state is state:
                runs[-1].until = now
            else:
                runs.append(Run(state, now))
        self._runs[name, host] = runs
        turns = len(runs) - 1
        if state is not State.UNKNOWN and turns > 1:
            return Signal.FLAPPING
        return SIGNAL_OF[state]


def signals_of(probes: Mapping[str, core.Probe]) -> list[str]:
    """The names of all signals that these drivers give."""
    names = list(probes)
    for driver, probe in probes.items():
        networks = getattr(probe, "networks", ())  # few drivers have any
        names += [f"{driver}{NETWORK}{network}" for network in networks]
    return names


def _state(sample: judge.Sample | None, name: str) -> State:
    """What the sample of a driver says for one of its signals."""
    if sample is None:
        return State.UNKNOWN
    _, separator, network = name.partition(NETWORK)
    return sample.networks.get(network, State.UNKNOWN) if separator else sample.state
