"""What the push sources have in common that wait, at the other side, for an answer with news."""

from collections.abc import Callable
from typing import TypeVar

from masakari import clock as clock_
from masakari.monitors import core
from masakari.outage import Outage

T = TypeVar("T")

WAIT_S = 60
"""So long the other side keeps a question without news."""
PAUSE_S = 5.0
AT_MOST_EACH_S = 1.0
"""Nobody is asked more often; what happens meanwhile is in the next answer."""
MEANWHILE = "it is looked at each monitoring_interval"


def watch(
    who: str,
    ask: Callable[[], T],
    changed: Callable[[T, T], None],
    clock: clock_.Clock,
    stop: clock_.Event,
) -> None:
    """Call *ask*, which waits, until *stop* is set; *changed* hears of two answers that differ.

    *ask* raises core.Blind if there is none; the log says so of *who*.  What happens meanwhile is
    heard of with the first answer after that.
    """
    outage = Outage(who, clock, MEANWHILE)
    known: T | None = None
    while not stop.is_set():
        began = clock.monotonic()
        try:
            found = ask()
        except core.Blind as e:
            outage.failed(str(e))
            stop.wait(PAUSE_S)
            continue
        outage.answered(began)
        if known is not None and found != known and not stop.is_set():
            changed(known, found)
        known = found
        stop.wait(max(0.0, AT_MOST_EACH_S - (clock.monotonic() - began)))
