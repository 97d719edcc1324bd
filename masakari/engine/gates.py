"""Whether to act at all: gates in a fixed order, each with its question and its reason word.

Pure: `judge` sees a snapshot and returns a verdict.  Every gate fails closed: what cannot be told
is not acted upon.
"""

from collections.abc import Callable
from dataclasses import dataclass

from masakari.db.models import Host, Notification
from masakari.states import (
    Event,
    HostStatus,
    NotificationStatus,
    NotificationType,
    Reason,
    RecoveryMethod,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known besides the notification itself."""

    host: Host | None
    """None: deleted since, or its segment was"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The notification ends so, without anything having been done."""

    status: NotificationStatus
    reason: Reason
    text: str


def _ignore(reason: Reason, text: str) -> Verdict:
    return Verdict(NotificationStatus.IGNORED, reason, text)


def host_is_registered(n: Notification, facts: Facts) -> Verdict | None:
    """Do we know which segment, and so which recovery method, is meant?"""
    if facts.host is not None and not facts.host.deleted:
        return None
    return _ignore(Reason.SEGMENT_GONE, "The host or its segment was deleted meanwhile.")


def segment_is_enabled(n: Notification, facts: Facts) -> Verdict | None:
    """Does the operator want recovery in this segment?"""
    assert facts.host is not None  # noqa: S101  an earlier gate has seen to it
    if facts.host.failover_segment.enabled:
        return None
    name = facts.host.failover_segment.name
    return _ignore(Reason.SEGMENT_DISABLED, f"Recovery is disabled for segment {name}.")


def type_is_supported(n: Notification, facts: Facts) -> Verdict | None:
    """Is it a kind of failure that this release recovers from?"""
    if n.type == NotificationType.COMPUTE_HOST:
        return None
    return _ignore(
        Reason.NOT_SUPPORTED,
        f"This release does not act on notifications of type {n.type}; nothing was touched.",
    )


def host_is_known_dead(n: Notification, facts: Facts) -> Verdict | None:
    """Does the monitor vouch for what it says about the host?"""
    status = n.payload.get("host_status")
    if status == HostStatus.NORMAL:
        return None
    return _ignore(
        Reason.HOST_STATUS_UNKNOWN,
        f"The monitor does not say for certain what became of the host (host_status {status}).",
    )


def event_asks_for_recovery(n: Notification, facts: Facts) -> Verdict | None:
    """Did the host stop?"""
    event = n.payload.get("event")
    if event == Event.STOPPED:
        return None
    if event == Event.STARTED:
        return Verdict(
            NotificationStatus.FINISHED,
            Reason.HOST_STARTED,
            "The host has started: recorded, there is nothing to recover.",
        )
    return _ignore(Reason.UNKNOWN_EVENT, f"Event {event} is not one that asks for recovery.")


def method_is_supported(n: Notification, facts: Facts) -> Verdict | None:
    """Is the segment's recovery method one that this release knows how to carry out?"""
    assert facts.host is not None  # noqa: S101  an earlier gate has seen to it
    method = facts.host.failover_segment.recovery_method
    if method == RecoveryMethod.AUTO:
        return None
    return _ignore(
        Reason.NOT_SUPPORTED,
        f"This release does not recover by method {method}; nothing was touched.",
    )


def host_is_ours_to_handle(n: Notification, facts: Facts) -> Verdict | None:
    """Has nobody else taken the host out of service: an operator, or another notification?"""
    host = facts.host
    assert host is not None  # noqa: S101  an earlier gate has seen to it
    if not host.on_maintenance or host.maintenance_by == n.notification_uuid:
        return None
    by = f"notification {host.maintenance_by}" if host.maintenance_by else "an operator"
    return _ignore(Reason.MAINTENANCE, f"Host {host.name} was put on maintenance by {by}.")


GATES: tuple[Callable[[Notification, Facts], Verdict | None], ...] = (
    host_is_registered,
    segment_is_enabled,
    type_is_supported,
    host_is_known_dead,
    event_asks_for_recovery,
    method_is_supported,
    host_is_ours_to_handle,
)


def judge(n: Notification, facts: Facts) -> Verdict | None:
    """Why not to act, from the first gate that is shut; None: act."""
    for gate in GATES:
        verdict = gate(n, facts)
        if verdict is not None:
            return verdict
    return None
