"""Versioned notifications for other services: what is said, and in which words.

An event is plain data in the envelope of OpenStack's versioned objects.  How it leaves the process
is in `notifier`; when it is said, in api/announcements.py and engine/announcements.py.
"""

import datetime
import traceback
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from masakari import context
from masakari.errors import MasakariError

Json = dict[str, Any]

API, ENGINE = "masakari-api", "masakari-engine"
"""Who says it, as the first half of publisher_id: as in OpenStack `host.update` is the API's, even
if an engine has changed the host."""
NAMESPACE = "masakari"
INFO, ERROR = "INFO", "ERROR"
MOST_FRAMES = 20
"""So many of the innermost calls are in the traceback of a fault."""
MESSAGE_LENGTH = 1000
"""Longest message in a payload, in characters."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened."""

    type: str
    """`segment.create.start`"""
    publisher: str
    payload: Json
    context: Json
    """who asked for it"""
    at: datetime.datetime

    @property
    def priority(self) -> str:
        """By which consumers tell what is worth a look."""
        return ERROR if self.type.endswith((".error", "alarm.raise")) else INFO


class Events(Protocol):
    """Where events go."""

    @property
    def is_on(self) -> bool:
        """Whether anybody is told; if not, nothing need be gathered."""

    def send(self, *events: Event) -> None:
        """They leave soon, in this order; returns at once, never raises."""


class Silence:
    """Nobody is told anything."""

    is_on = False

    def send(self, *events: Event) -> None:
        """Return."""


SILENCE: Events = Silence()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object on the wire: its name, its version, its fields."""

    name: str
    version: str
    fields: tuple[str, ...]

    def wrap(self, values: Mapping[str, Any]) -> Json:
        """The envelope with those of *values* that belong in it; what is missing is unset."""
        data = {name: _plain(values[name]) for name in self.fields if name in values}
        return {
            "masakari_object.name": self.name,
            "masakari_object.namespace": NAMESPACE,
            "masakari_object.version": self.version,
            "masakari_object.data": data,
        }

    def payload(
        self,
        values: Mapping[str, Any],
        fault: BaseException | None = None,
        *,
        without: Collection[str] = (),
    ) -> Json:
        """As `wrap`, for an event: with *fault*, null if there is none."""
        known = {name: value for name, value in values.items() if name not in without}
        return self.wrap({**known, "fault": None if fault is None else _fault(fault)})


_SEGMENT = ("id", "uuid", "name", "service_type", "description", "recovery_method", "enabled")
FAILOVER_SEGMENT = Kind(
    "FailoverSegment", "1.1", (*_SEGMENT, "created_at", "updated_at", "deleted_at", "deleted")
)
"""Within the payload of a host."""

SEGMENT = Kind("SegmentApiPayload", "1.1", (*_SEGMENT, "fault"))
HOST = Kind(
    "HostApiPayload",
    "1.0",
    (
        *("id", "uuid", "name", "failover_segment", "type", "reserved", "control_attributes"),
        *("on_maintenance", "fault"),
    ),
)
NOTIFICATION = Kind(
    "NotificationApiPayload",
    "1.0",
    (
        *("id", "notification_uuid", "generated_time", "source_host_uuid", "type", "payload"),
        *("status", "fault"),
    ),
)
TASK = Kind(
    "RecoveryTaskPayload",
    "1.0",
    (
        *("notification_uuid", "type", "attempt", "failover_segment_uuid", "failover_segment_name"),
        *("source_host_uuid", "source_host_name", "reserved_host_name", "instance_uuid", "task"),
        *("progress", "message", "request_id", "fault"),
    ),
)
"""Ours: a task of a recovery."""
EXCEPTION = Kind(
    "ExceptionPayload",
    "1.0",
    ("module_name", "function_name", "exception", "exception_message", "traceback"),
)


@runtime_checkable
class Row(Protocol):
    """A record of the database: a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def values_of(row: Row) -> Json:
    """The fields of a record, by name."""
    return {field: getattr(row, field) for field in row.__dataclass_fields__}


def context_of(ctx: context.RequestContext) -> Json:
    """Who asked, without a token."""
    found: Json = ctx.redacted_copy(overwrite=False).to_dict()
    return found


def by(request_id: str | None) -> Json:
    """The context of what we do ourselves, because of that request."""
    return context_of(context.admin_context(request_id))


def host_updated(host: Row, request_id: str | None, at: datetime.datetime) -> tuple[Event, Event]:
    """We have changed a host, which is so now."""
    payload = HOST.payload(values_of(host))
    ctx = by(request_id)
    return (
        Event("host.update.start", API, payload, ctx, at),
        Event("host.update.end", API, payload, ctx, at),
    )


def notification_updated(n: Row, at: datetime.datetime) -> tuple[Event, Event]:
    """An operator has changed a notification, which is so now, without asking the API."""
    payload = NOTIFICATION.payload(values_of(n))
    ctx = by(None)
    return (
        Event("notification.update.start", API, payload, ctx, at),
        Event("notification.update.end", API, payload, ctx, at),
    )


def _plain(value: Any) -> Any:
    """As JSON; times as oslo.versionedobjects writes them."""
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, Row):  # the segment of a host
        segment = values_of(value)
        return FAILOVER_SEGMENT.wrap({**segment, "deleted": bool(segment["deleted"])})
    return str(value) if isinstance(value, str) else value  # a StrEnum is a word


def _fault(error: BaseException) -> Json:
    """What went wrong, and where.

    The words of an error that is not ours may hold anything, a password in a URL, say: they are
    left out.  The traceback has places in the code and its lines, never values.
    """
    frames = _frames(error.__traceback__)
    innermost = frames[-1].f_code.co_name if frames else "unknown"
    module = frames[-1].f_globals.get("__name__", "unknown") if frames else "unknown"
    message = str(error) if isinstance(error, MasakariError) else "See the log of the service."
    return EXCEPTION.wrap(
        {
            "module_name": module,
            "function_name": innermost,
            "exception": type(error).__name__,
            "exception_message": message[:MESSAGE_LENGTH],
            "traceback": "".join(traceback.format_tb(error.__traceback__, -MOST_FRAMES)),
        }
    )


def _frames(trace: types.TracebackType | None) -> Sequence[types.FrameType]:
    return [frame for frame, _ in traceback.walk_tb(trace)]
