"""Several signals of one host, and what they mean together.

A matrix is a YAML file as OpenStack's driver `consul` reads it::

    sequence: [manage, tenant, storage]
    matrix:
      - {health: [up, up, up], action: []}
      - {health: [up, up, down], action: [recovery]}
      …

There is a row for each combination of up and down.  A signal that flaps, or of which nothing is
known, may be either: the host is down if it is with both.  Without a file a host is down when all
signals that can tell say so, and at least one can.
"""

import itertools
import pathlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import yaml

from masakari import errors


class Signal(StrEnum):
    """What one driver, or one network, says of one host."""

    UP = "up"
    DOWN = "down"
    FLAPPING = "flapping"
    """It shows signs of life, and not all the time."""
    UNKNOWN = "unknown"
    """Nobody could tell."""


class Meaning(StrEnum):
    """What all signals say together."""

    FINE = "fine"
    DEGRADED = "degraded"
    """Something is ill; it is logged, and nothing is reported."""
    DOWN = "down"
    UNKNOWN = "unknown"
    """Not one of them can tell."""


Signals = Mapping[str, Signal]
"""{name of the driver or the network: what it says}"""


class Rule(Protocol):
    """Who knows what signals mean."""

    def meaning(self, signals: Signals) -> Meaning:
        """What *signals* say together."""


class Agreement:
    """Down is who is down for all that can tell: the rule without a file."""

    def meaning(self, signals: Signals) -> Meaning:
        """As Rule."""
        said = set(signals.values()) - {Signal.UNKNOWN}
        if not said:
            return Meaning.UNKNOWN
        if said == {Signal.DOWN}:
            return Meaning.DOWN
        return Meaning.FINE if said == {Signal.UP} else Meaning.DEGRADED


Health = tuple[bool, ...]
"""Whether each signal of the sequence is up."""


@dataclass(frozen=True)
class Matrix:
    """The rule that a file gives."""

    sequence: Sequence[str]
    recovered: frozenset[Health]
    """The rows whose action is recovery."""

    def meaning(self, signals: Signals) -> Meaning:
        """As Rule; a signal that is not in *signals* is unknown."""
        said = [signals.get(name, Signal.UNKNOWN) for name in self.sequence]
        if all(signal is Signal.UNKNOWN for signal in said):
            return Meaning.UNKNOWN
        possible = itertools.product(*(_POSSIBLE[signal] for signal in said))
        if all(row in self.recovered for row in possible):
            return Meaning.DOWN
        is_fine = set(said) <= {Signal.UP, Signal.UNKNOWN}
        return Meaning.FINE if is_fine else Meaning.DEGRADED


_POSSIBLE = {
    Signal.UP: (True,),
    Signal.DOWN: (False,),
    Signal.FLAPPING: (True, False),
    Signal.UNKNOWN: (True, False),
}


def load(path: str, names: Collection[str], *, group: str, option: str) -> Matrix:
    """The matrix in the file, of some of the signals *names*; [*group*] *option* named the file.

    Raises ConfigInvalid naming file and row.
    """
    try:
        return parse(yaml.safe_load(pathlib.Path(path).read_text()), names)
    except OSError as e:
        problem = f"{path}: {e.strerror}"
    except (ValueError, yaml.YAMLError) as e:
        problem = f"{path}: {' '.join(str(e).split())}"
    raise errors.ConfigInvalid(group=group, option=option, problem=problem)


def parse(document: Any, names: Collection[str]) -> Matrix:
    """The matrix that *document* is.  Raises ValueError naming the row."""
    if not isinstance(document, dict) or not {"sequence", "matrix"} <= document.keys():
        raise ValueError("needs a mapping with sequence and matrix")
    sequence = _sequence(document["sequence"], names)
    rows = document["matrix"]
    if not isinstance(rows, list):
        raise ValueError("matrix is no list")
    actions: dict[Health, bool] = {}
    for number, row in enumerate(rows, 1):
        where = f"row {number}"
        health, is_recovered = _row(row, len(sequence), where)
        if health in actions:
            raise ValueError(f"{where}: an earlier row has the health {_words(health)} too")
        actions[health] = is_recovered
    for health in itertools.product((True, False), repeat=len(sequence)):
        if health not in actions:
            raise ValueError(f"there is no row for the health {_words(health)}")
    recovered = frozenset(health for health, is_recovered in actions.items() if is_recovered)
    if (True,) * len(sequence) in recovered:
        raise ValueError(f"the health {_words((True,) * len(sequence))} is to be recovered")
    return Matrix(sequence, recovered)


def _sequence(sequence: Any, names: Collection[str]) -> Sequence[str]:
    if not isinstance(sequence, list) or not sequence or len(sequence) > 8:
        raise ValueError("sequence: needs a list of one to eight names")
    for name in sequence:
        if name not in names:
            known = ", ".join(sorted(names))
            raise ValueError(f"sequence: there is no signal {name!r}; there is: {known}")
    if len(set(sequence)) != len(sequence):
        raise ValueError("sequence: a name stands there twice")
    return sequence


def _row(row: Any, width: int, where: str) -> tuple[Health, bool]:
    if not isinstance(row, dict) or "health" not in row:
        raise ValueError(f"{where}: needs health and action")
    health, action = row["health"], row.get("action") or []
    if not isinstance(health, list) or len(health) != width or set(health) - {"up", "down"}:
        raise ValueError(f"{where}: health needs {width} times up or down, not {health!r}")
    if not isinstance(action, list) or set(action) - {"recovery"}:
        raise ValueError(f"{where}: action is [recovery] or [], not {action!r}")
    return tuple(word == "up" for word in health), bool(action)


def _words(health: Health) -> str:
    return "[" + ", ".join("up" if is_up else "down" for is_up in health) + "]"
