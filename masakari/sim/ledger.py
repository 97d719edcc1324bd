"""The ledger: which host ran which VM from when to when, and what was asked of Nova.

It knows what really happens, also what Nova does not know.
"""

import datetime
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Run:
    """A VM's guest on a host; `end` is None while it runs."""

    server_id: str
    host: str
    start: datetime.datetime
    end: datetime.datetime | None = None


@dataclass(slots=True)
class Evacuation:
    """An evacuation that Nova accepted."""

    server_id: str
    source: str
    at: datetime.datetime
    migration_id: int
    while_unfinished: list[int] = field(default_factory=list)
    """Ids of the VM's evacuations from the same host that had not failed when this one came."""


class Ledger:
    """Who ran what when; thread-safe.

    *names* tells a VM's name by its id, for the sentences.
    """

    def __init__(self, names: Callable[[str], str] = str) -> None:
        self._lock = threading.Lock()
        self._names = names
        self._open: dict[tuple[str, str], Run] = {}
        self.runs: list[Run] = []
        self.evacuations: list[Evacuation] = []
        self._returns: dict[str, list[datetime.datetime]] = defaultdict(list)
        self._proofs: dict[str, list[datetime.datetime]] = defaultdict(list)

    # ---- written by the simulated cloud

    def starts(self, server_id: str, host: str, at: datetime.datetime) -> None:
        """The guest runs on the host from *at* on."""
        with self._lock:
            if (server_id, host) not in self._open:
                run = Run(server_id, host, at)
                self._open[server_id, host] = run
                self.runs.append(run)

    def stops(self, server_id: str, host: str, at: datetime.datetime) -> None:
        """The guest does not run on the host any more."""
        with self._lock:
            run = self._open.pop((server_id, host), None)
            if run is not None:
                run.end = at

    def accepted(self, evacuation: Evacuation) -> None:
        """Nova has accepted it."""
        with self._lock:
            self.evacuations.append(evacuation)

    def came_back(self, host: str, at: datetime.datetime) -> None:
        """The host gave a sign of life: earlier proofs of its death are void."""
        with self._lock:
            self._returns[host].append(at)

    # ---- written by who checks

    def proof(self, host: str, at: datetime.datetime) -> None:
        """Proof that the host cannot run its VMs was on record at *at*."""
        with self._lock:
            self._proofs[host].append(at)

    # ---- read

    def running(self) -> dict[str, list[str]]:
        """{id of a VM: hosts that run it now}."""
        with self._lock:
            found: dict[str, list[str]] = {}
            for server_id, host in self._open:
                found.setdefault(server_id, []).append(host)
            return found

    def violations(self, *, proof: bool = True) -> list[str]:
        """What must never happen and did, a sentence each; without *proof* none is asked for."""
        with self._lock:
            found = [*self._two_at_once(), *self._evacuated_twice()]
            if proof:
                found += self._without_proof()
        return found

    def _two_at_once(self) -> list[str]:
        found = []
        by_server: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs:
            by_server[run.server_id].append(run)
        for server_id, runs in by_server.items():
            for one, other in itertools.combinations(runs, 2):
                first, second = (one, other) if one.start <= other.start else (other, one)
                if first.end is None or second.start < first.end:
                    if second.end == second.start or first.end == first.start:
                        continue
                    found.append(
                        f"{self._names(server_id)} ran on {first.host} and {second.host} "
                        f"at the same time, from {second.start:%H:%M:%S.%f}"
                    )
        return found

    def _evacuated_twice(self) -> list[str]:
        return [
            f"{self._names(e.server_id)} was evacuated from {e.source} again at "
            f"{e.at:%H:%M:%S.%f}, although migrations {e.while_unfinished} had not failed"
            for e in self.evacuations
            if e.while_unfinished
        ]

    def _without_proof(self) -> list[str]:
        return [
            f"{self._names(e.server_id)} was evacuated from {e.source} at {e.at:%H:%M:%S.%f} "
            "without earlier proof that the host was dead"
            for e in self.evacuations
            if not self._proven(e)
        ]

    def _proven(self, evacuation: Evacuation) -> bool:
        """Whether proof was on record before, and the host has not come back in between."""
        returned = [at for at in self._returns[evacuation.source] if at <= evacuation.at]
        since = max(returned, default=datetime.datetime.min)
        return any(since <= at <= evacuation.at for at in self._proofs[evacuation.source])
