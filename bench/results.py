"""What one run has shown, and how it is printed."""

import collections
import dataclasses
import math
from collections.abc import Callable

from costs import Cost

MIB = 1 << 20
BUSY_CORES = 0.1
"""Where other programs used more, they may have disturbed the measurement."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What was measured."""

    vms: int
    parallel: int
    evacuation_s: float
    status: str
    finished_s: float
    """from the report to the notification's final status"""
    last_vm_s: float
    """from 'service down' (or the report, if that came later) to the last VM's arrival"""
    first_s: float
    """from 'service down' to the first evacuation that Nova accepted"""
    refill_s: float
    """from one VM's arrival to the next evacuation in its place, median"""
    requests: collections.Counter[str]
    """{kind: how many}"""
    peak: int
    """evacuations in flight at a time, at most"""
    doubled: int
    lost: int
    statements: dict[str, collections.Counter[str]] | None
    cpu_s: float | None
    rss: int | None
    """peak of the engine's resident memory, bytes"""
    others_cores: float
    """cores that other programs kept busy meanwhile"""
    costs: list[Cost]

    @property
    def optimum_s(self) -> float:
        """No scheduler is faster."""
        return math.ceil(self.vms / self.parallel) * self.evacuation_s

    @property
    def ratio(self) -> float:
        """How many times as long as the optimum."""
        return self.last_vm_s / self.optimum_s if self.optimum_s else math.inf

    @property
    def nova(self) -> float:
        """Requests per VM, all included."""
        return self._per_vm(lambda kind: kind.startswith("nova "))

    @property
    def polling(self) -> float:
        """Requests per VM that only ask."""
        return self._per_vm(lambda kind: kind.startswith("nova GET"))

    @property
    def keystone(self) -> float:
        """Requests per VM."""
        return self._per_vm(lambda kind: kind.startswith("keystone "))

    @property
    def sql(self) -> float | None:
        """Statements per VM of engine and TaskFlow."""
        if self.statements is None:
            return None
        return sum(self.sql_of(user) or 0 for user in ("engine", "taskflow"))

    def sql_of(self, user: str) -> float | None:
        """Statements per VM of one kind."""
        if self.statements is None:
            return None
        return self.statements.get(user, collections.Counter()).total() / self.vms

    @property
    def cpu_ms(self) -> float | None:
        """CPU time of the engine per VM."""
        return None if self.cpu_s is None else self.cpu_s * 1000 / self.vms

    @property
    def rss_mib(self) -> float | None:
        """Peak of the engine's resident memory."""
        return None if self.rss is None else self.rss / MIB

    def _per_vm(self, wanted: Callable[[str], bool]) -> float:
        return sum(n for kind, n in self.requests.items() if wanted(kind)) / self.vms

    def kinds(self) -> str:
        """Nova's requests per VM by kind, the most frequent first."""
        short: collections.Counter[str] = collections.Counter()
        for kind, count in self.requests.items():
            if kind.startswith("nova "):
                method, path, *action = kind.split()[1:]
                name = path.strip("/").replace("servers/detail", "servers") or "versions"
                short[action[0] if action else f"{method} {name}"] += count
        return ", ".join(f"{kind} {count / self.vms:.3g}" for kind, count in short.most_common())

    def line(self) -> str:
        """All of it on one line."""
        sql = "-"
        if self.sql is not None:
            sql = f"{self.sql:.2f}/VM (TaskFlow {self.sql_of('taskflow'):.2f})"
        return " | ".join(
            (
                f"{self.vms} VMs x {self.evacuation_s:g} s, {self.parallel} parallel",
                f"{self.status} {self.finished_s:.1f} s after report",
                f"last VM {self.last_vm_s:.1f} s after down = {self.ratio:.2f} x "
                f"{self.optimum_s:g} s (first begun after {self.first_s:.2f}, "
                f"next {self.refill_s:.3f})",
                f"Nova {self.nova:.2f}/VM (polling {self.polling:.2f}; {self.kinds()})",
                f"Keystone {self.keystone * self.vms:.0f} in all",
                f"peak {self.peak}",
                f"twice {self.doubled}",
                f"SQL {sql}",
                f"CPU {_number(self.cpu_ms)} ms/VM",
                f"RSS {_number(self.rss_mib)} MiB",
                *([f"busy: others used {self.others_cores:.1f} cores"] * (self.is_busy)),
            )
        )

    @property
    def is_busy(self) -> bool:
        """Whether other programs may have disturbed the measurement."""
        return self.others_cores >= BUSY_CORES


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
