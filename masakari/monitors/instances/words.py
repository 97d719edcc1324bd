"""What libvirt's numbers mean: the words that notifications carry.

The numbers are a part of libvirt's interface and never change (libvirt-domain.h); so what is
decided here needs no library.
"""

from collections.abc import Sequence
from enum import IntEnum

UNKNOWN = "UNKNOWN"
AGENT_ERROR = ("QEMU_GUEST_AGENT_ERROR", "STOPPED_FAILED")
"""(event, detail) of a guest whose agent has ceased to answer, as OpenStack's monitor calls it."""


class EventId(IntEnum):
    """virDomainEventID: those that are heard."""

    LIFECYCLE = 0
    REBOOT = 1
    WATCHDOG = 3
    IO_ERROR = 4
    IO_ERROR_REASON = 6
    CONTROL_ERROR = 7


LIFECYCLE: Sequence[tuple[str, Sequence[str]]] = (
    ("DEFINED", ("ADDED", "UPDATED", "RENAMED", "FROM_SNAPSHOT")),
    ("UNDEFINED", ("REMOVED", "RENAMED")),
    ("STARTED", ("BOOTED", "MIGRATED", "RESTORED", "FROM_SNAPSHOT", "WAKEUP", "RECREATED")),
    (
        "SUSPENDED",
        (
            *("PAUSED", "MIGRATED", "IOERROR", "WATCHDOG", "RESTORED", "FROM_SNAPSHOT"),
            *("API_ERROR", "POSTCOPY", "POSTCOPY_FAILED", "GUEST_SHUTDOWN"),
        ),
    ),
    ("RESUMED", ("UNPAUSED", "MIGRATED", "FROM_SNAPSHOT", "POSTCOPY", "POSTCOPY_FAILED")),
    (
        "STOPPED",
        (
            *("SHUTDOWN", "DESTROYED", "CRASHED", "MIGRATED"),
            *("SAVED", "FAILED", "FROM_SNAPSHOT", "RECREATED"),
        ),
    ),
    ("SHUTDOWN", ("FINISHED", "GUEST", "HOST")),
    ("PMSUSPENDED", ("MEMORY", "DISK")),
    ("CRASHED", ("PANICKED", "CRASHLOADED")),
)
"""virDomainEventType and its details."""
WATCHDOG = ("NONE", "PAUSE", "RESET", "POWEROFF", "SHUTDOWN", "DEBUG", "INJECTNMI")
"""virDomainEventWatchdogAction"""
IO_ERROR = ("NONE", "PAUSE", "REPORT")
"""virDomainEventIOErrorAction"""


class State(IntEnum):
    """virDomainState"""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


SHUTOFF_BY_FAILURE = {0: "unknown", 3: "crashed", 6: "failed", 8: "daemon"}
"""virDomainShutoffReason: those that nobody has asked for.  Unknown is what is left after the host
itself was off; libvirt's daemon ends what it cannot take over when it starts."""
PAUSED_BY_FAILURE = {6: "SUSPENDED_WATCHDOG", 10: "CRASHED_PANICKED"}
"""virDomainPausedReason -> the detail of the event that tells of it."""


def words(event_id: int, args: Sequence[object]) -> tuple[str, str]:
    """(event, detail) of what libvirt has called back with; what is new to us is UNKNOWN."""
    match event_id:
        case EventId.LIFECYCLE:
            return "LIFECYCLE", _lifecycle(*args[:2])
        case EventId.WATCHDOG:
            return "WATCHDOG", f"WATCHDOG_{_word(WATCHDOG, args[0])}"
        case EventId.IO_ERROR:
            return "IO_ERROR", f"IO_ERROR_{_word(IO_ERROR, args[2])}"
        case EventId.REBOOT | EventId.IO_ERROR_REASON | EventId.CONTROL_ERROR:
            return EventId(event_id).name, UNKNOWN
        case _:
            return UNKNOWN, UNKNOWN


def _lifecycle(event: object, detail: object) -> str:
    if not isinstance(event, int) or not 0 <= event < len(LIFECYCLE):
        return UNKNOWN
    name, details = LIFECYCLE[event]
    return f"{name}_{_word(details, detail)}"


def _word(known: Sequence[str], number: object) -> str:
    return known[number] if isinstance(number, int) and 0 <= number < len(known) else UNKNOWN
