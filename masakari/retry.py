"""Trying again: what to do when an answer may come later."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from masakari import clock as clock_

T = TypeVar("T")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
LONGEST_ASKED_S = 60.0
"""Longer pauses are not granted to who asks for them."""


class Transient(Exception):
    """There was no usable answer this time: no connection, 429 or 5xx."""

    def __init__(
        self,
        detail: str,
        *,
        pause_s: float | None = None,
        fate_unknown: bool = True,
        service: str = "Nova",
    ) -> None:
        self.detail = detail
        self.service = service
        """Who gave none."""
        self.pause_s = pause_s
        """What the other side asked us to wait (Retry-After)."""
        self.fate_unknown = fate_unknown
        """Whether the request may have been carried out all the same."""
        super().__init__(detail)


def pauses(retries: int) -> Iterator[float]:
    """*retries* pauses in seconds, doubling from FIRST_PAUSE_S to LONGEST_PAUSE_S."""
    pause = FIRST_PAUSE_S
    for _ in range(retries):
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_S)


def persist(
    clock: clock_.Clock,
    retries: int,
    attempt: Callable[[], T],
    settled: Callable[[], T | None] = lambda: None,
) -> T:
    """What *attempt* returned, repeated up to *retries* times while it raises Transient.

    Where the fate of an attempt is unknown, *settled* is asked before the next one and after the
    last: if it returns something, that is the result.  The last Transient is raised.
    """
    for pause in [*pauses(retries), None]:
        try:
            return attempt()
        except Transient as error:
            if pause is not None:
                clock.sleep(pause if error.pause_s is None else min(error.pause_s, LONGEST_ASKED_S))
            found = settled() if error.fate_unknown else None
            if found is not None:
                return found
            if pause is None:
                raise
    raise AssertionError("unreachable")
