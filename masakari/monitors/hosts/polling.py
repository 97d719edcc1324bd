"""Hosts as a poller finds them, on one or several networks.

========================================  =======================================
on the networks                           the host is
========================================  =======================================
online on some, on none anything worse    online
online or doubtful on some, worse on one  doubtful: it lives, and something is ill
offline on all                            offline
anything else                             unknown: it could not be asked everywhere
========================================  =======================================

A network on which not one host shows a sign of life says more about the observer than about the
hosts: nobody is offline there, unless a witness, such as a gateway, answers there.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from masakari import clock as clock_
from masakari.monitors import core, judge, watchlist
from masakari.monitors.judge import SIGNS_OF_LIFE, State
from masakari.states import HostProof


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at one host on one network says, and what was seen, for people."""

    state: State
    detail: str
    proof: HostProof | None = None
    """What proves that an OFFLINE one is dead; None: nothing but that it looks so."""
    waited: bool = False
    """It took a whole timeout, whatever it says: one that hangs lives."""


Readings = Mapping[str, Mapping[str, Reading]]
"""{network: {host: reading}}; a poller that has no networks calls its only one ''.

Names that are no hosts are living witnesses: who sees one can see.
"""
OBSERVER = "the observer's own network is suspected"


class Poller(Protocol):
    """Who asks the hosts."""

    suspicion: str
    """What is suspected while not one host shows a sign of life."""

    def poll(self, hosts: Collection[str]) -> Readings:
        """A reading of each of *hosts* on each network.  Raises Blind."""


class Semaphore(Protocol):
    """One of threading or of asyncio."""

    def release(self) -> None:
        """One more may pass."""


class Places:
    """So many hosts are asked at a time, and two more for each that did not answer.

    Who waits in vain keeps a place and needs no CPU: without more places a rack that dies would
    make a look so long that nobody is judged.
    """

    MORE = 2

    def __init__(self, free: Semaphore, at_first: int, at_most: int) -> None:
        """*free* lets *at_first* pass; it may be *at_most*, for all threads."""
        self._free = free
        self._lock = threading.Lock()
        self._left = max(0, at_most - at_first)

    def note(self, reading: Reading) -> None:
        """Who was asked has shown this; a proof of death is an answer, too."""
        if (reading.state in SIGNS_OF_LIFE or reading.proof) and not reading.waited:
            return
        with self._lock:
            more = min(self.MORE, self._left)
            self._left -= more
        for _ in range(more):
            self._free.release()


class PolledProbe:
    """Looks at the watched hosts with a poller."""

    def __init__(
        self,
        poller: Poller,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        networks: Collection[str] = (),
    ) -> None:
        """*networks* are those that have names, of which a matrix may weigh each."""
        self._poller = poller
        self._hosts = hosts
        self._clock = clock
        self.networks = networks

    def look(self) -> Sequence[judge.Sample]:
        """One sample for each watched host.  Raises Blind."""
        hosts = self._hosts.read()
        if not hosts:
            return []
        watched = sorted(hosts)
        readings = self._poller.poll(watched)
        seeing = {name: found for name, found in readings.items() if is_seeing(found)}
        if not seeing:
            _suspect(readings, self._poller.suspicion)
        at = self._clock.now()
        samples = []
        for host in watched:
            each = {
                name: found[host] if name in seeing else _doubted(name, found[host])
                for name, found in readings.items()
            }
            reading = weigh(each)
            states = {name: each[name].state for name in self.networks}
            samples.append(
                judge.Sample(
                    host,
                    reading.state,
                    at,
                    reading.detail,
                    proof=reading.proof,
                    networks=states,
                )
            )
        witnesses = {
            name: reading
            for found in seeing.values()
            for name, reading in found.items()
            if name not in hosts
        }
        samples += [
            judge.Sample(name, reading.state, at, reading.detail, witness=True)
            for name, reading in witnesses.items()
        ]
        return samples


def is_seeing(readings: Mapping[str, Reading]) -> bool:
    """Whether some host shows a sign of life."""
    return any(reading.state in SIGNS_OF_LIFE for reading in readings.values())


def weigh(readings: Mapping[str, Reading]) -> Reading:
    """What the readings of one host on all networks say together."""
    found = list(readings.values())
    states = {reading.state for reading in found}
    if State.ONLINE in states and states <= {State.ONLINE, State.UNKNOWN}:
        state = State.ONLINE
    elif states & SIGNS_OF_LIFE:
        state = State.DOUBTFUL
    elif states == {State.OFFLINE}:
        state = State.OFFLINE
    else:
        state = State.UNKNOWN
    proofs = [reading.proof for reading in found if state is State.OFFLINE and reading.proof]
    detail = "; ".join(dict.fromkeys(reading.detail for reading in found))
    return Reading(state, detail, proofs[0] if proofs else None)


def _doubted(network: str, reading: Reading) -> Reading:
    if reading.state is not State.OFFLINE:
        return reading
    return Reading(State.UNKNOWN, f"nobody answers on the network {network}; {reading.detail}")


def _suspect(readings: Readings, suspicion: str) -> None:
    """Nobody shows a sign of life, on whichever network.  Raises Blind if somebody is accused."""
    found = [reading for network in readings.values() for reading in network.values()]
    accused = [reading for reading in found if reading.state is State.OFFLINE]
    if accused:
        raise core.Blind(
            f"not one of {len(next(iter(readings.values())))} hosts shows a sign of life "
            f"(such as: {accused[0].detail}), so {suspicion}"
        )
