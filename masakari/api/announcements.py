"""Events about what requests change: a start, then an end or an error.

Both are sent together, when it is known how it has ended.  A request that is refused before
anything is tried (an answer of 400, 401, 403 or 404) has changed nothing, and says nothing; nor
does a report that is refused because it is a duplicate, or its host on maintenance.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from masakari import events
from masakari.api.request import Request
from masakari.errors import MasakariError
from masakari.events import Event, Json, Kind
from masakari.states import Reason

Changed = TypeVar("Changed", bound=events.Row)

KINDS: Mapping[str, Kind] = {
    "segment": events.SEGMENT,
    "host": events.HOST,
    "notification": events.NOTIFICATION,
}
IDENTIFIERS = ("id", "uuid", "notification_uuid")
REFUSED = (Reason.DUPLICATE, Reason.MAINTENANCE)
"""Reports that several monitors make, or that nobody wants now: nothing went wrong."""


class Change:
    """What a request changes."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """It is to have these *values*."""
        self.values: Json = dict(values)

    def made(self, row: Changed) -> Changed:
        """It has become *row*, which is returned."""
        self.values = events.values_of(row)
        return row


class _Unheard(Change):
    def made(self, row: Changed) -> Changed:
        return row


_UNHEARD = _Unheard({})


@contextmanager
def announced(
    req: Request,
    action: str,
    wanted: Mapping[str, Any],
    before: Callable[[], events.Row] | None = None,
) -> Iterator[Change]:
    """In this block *action* (`segment.update`) is carried out; events tell how that ends.

    *wanted*: the values that were asked for; *before*: the row as it was.
    """
    if not req.world.events.is_on:
        yield _UNHEARD
        return
    start = _Announcement(req, action)
    known = {} if before is None else events.values_of(before())
    change = Change({**known, **wanted})
    try:
        yield change
    except Exception as e:
        if _is_worth_telling(e):
            start.send(change.values, e)
        raise
    start.send(change.values, None)


def _is_worth_telling(error: Exception) -> bool:
    if not isinstance(error, MasakariError):
        return True
    return error.status >= 409 and error.reason not in REFUSED


class _Announcement:
    """Begins now."""

    def __init__(self, req: Request, action: str) -> None:
        self._req = req
        self._action = action
        self._kind = KINDS[action.partition(".")[0]]
        self._is_new = action.endswith(".create")
        self._began = req.database.clock.now()

    def send(self, values: Mapping[str, Any], fault: Exception | None) -> None:
        """The start and the end."""
        without = IDENTIFIERS if self._is_new else ()
        self._req.world.events.send(
            self._event("start", self._kind.payload(values, without=without), self._began),
            self._event(
                "end" if fault is None else "error",
                self._kind.payload(values, fault),
                self._req.database.clock.now(),
            ),
        )

    def _event(self, phase: str, payload: Json, at: datetime.datetime) -> Event:
        return Event(
            type=f"{self._action}.{phase}",
            publisher=events.API,
            payload=payload,
            context=events.context_of(self._req.ctx),
            at=at,
        )
