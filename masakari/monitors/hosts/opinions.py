"""What a host that was asked shows, and how several such signs are weighed."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SILENCE = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN})
REFUSAL = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})


class Sign(StrEnum):
    """What a host that was asked shows."""

    ALIVE = "alive"
    SILENT = "silent"
    UNKNOWN = "unknown"
    """It could not be asked."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one host shows, and how that was seen."""

    sign: Sign
    detail: str


def weigh(opinions: Iterable[Opinion]) -> Opinion:
    """The first sign of life on any of a host's IP addresses, else the first silence.

    An address family without a route says nothing, another one that is silent does.
    """
    last = Opinion(Sign.UNKNOWN, "has no address")
    for opinion in opinions:
        if opinion.sign is Sign.ALIVE:
            return opinion
        if last.sign is Sign.UNKNOWN:
            last = opinion
    return last
