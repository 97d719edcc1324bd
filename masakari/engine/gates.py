"""Whether to act at all: gates in a fixed order, each with its question and its reason word.

Pure: `judge` sees a snapshot and returns a verdict.  Every gate fails closed: what cannot be told
is not acted upon.
"""

from collections.abc import Callable
from dataclasses import dataclass

from masakari.db.models import Host, Notification
from masakari.engine.observers import TooFew
from masakari.states import (
    Event,
    HostStatus,
    NotificationStatus,
    NotificationType,
    ProcessAction,
    Reason,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known besides the notification itself."""

    host: Host | None
    """None: deleted since, or its segment was"""
    is_under_way: bool = False
    """VMs are on their way already"""
    excluded: str | None = None
    """the rule that excludes the host"""
    started_again: bool = False
    """its STARTED was reported after this notification, and nothing was done about this one"""
    maintained_by: Notification | None = None
    """another notification, whose recovery has put the host on maintenance"""
    too_few: TooFew | None = None
    """monitors have seen the host die, and nothing is done yet"""
    answer: str | None = None
    """for a VM's event a vm_events.VmEventAction, for a process's a ProcessAction"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The notification ends so."""

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
    """Does the operator want recovery in this segment?  What was begun is brought to its end."""
    assert facts.host is not None  # noqa: S101  an earlier gate has seen to it
    if facts.host.failover_segment.enabled or facts.is_under_way:
        return None
    name = facts.host.failover_segment.name
    return _ignore(Reason.SEGMENT_DISABLED, f"Recovery is disabled for segment {name}.")


def host_is_not_excluded(n: Notification, facts: Facts) -> Verdict | None:
    """Does no rule of the operator's keep us away from the host?"""
    if facts.excluded is None or facts.is_under_way:
        return None
    return _ignore(Reason.EXCLUDED, f"The host is left alone: {facts.excluded}.")


def host_is_known_dead(n: Notification, facts: Facts) -> Verdict | None:
    """Of a host: does the monitor vouch for what it says about it?"""
    if n.type != NotificationType.COMPUTE_HOST:
        return None
    status = n.payload.get("host_status")
    if status == HostStatus.NORMAL:
        return None
    return _ignore(
        Reason.HOST_STATUS_UNKNOWN,
        f"The monitor does not say for certain what became of the host (host_status {status}).",
    )


def event_is_known(n: Notification, facts: Facts) -> Verdict | None:
    """Did a host or a process stop or start; or is it an event of a VM that asks for recovery?"""
    event = n.payload.get("event")
    if n.type != NotificationType.VM:
        if event in (Event.STOPPED, Event.STARTED):
            return None
        return _ignore(Reason.UNKNOWN_EVENT, f"Event {event} is not one that asks for recovery.")
    if facts.answer == "restart":
        return None
    detail = n.payload.get("vir_domain_event")
    return _ignore(
        Reason.UNKNOWN_EVENT, f"Event {event}/{detail} of a VM does not ask for recovery."
    )


def process_matters(n: Notification, facts: Facts) -> Verdict | None:
    """Is something to be done, or at least said, when this process fails?"""
    if n.type != NotificationType.PROCESS or facts.answer != ProcessAction.IGNORE:
        return None
    name = n.payload.get("process_name")
    return _ignore(Reason.PROCESS_RECORDED, f"Failures of process {name} are to be ignored.")


def has_not_started_again(n: Notification, facts: Facts) -> Verdict | None:
    """Is it still down, as far as monitors say?"""
    if not facts.started_again:
        return None
    what = "process" if n.type == NotificationType.PROCESS else "host"
    more = "anything" if n.retried_at is None else "anything more"
    return _ignore(
        Reason.CANCELLED, f"The {what} was reported started again before {more} was done."
    )


def no_operator_has_taken_the_host(n: Notification, facts: Facts) -> Verdict | None:
    """Has no operator put the host on maintenance?"""
    host = facts.host
    assert host is not None  # noqa: S101  an earlier gate has seen to it
    if not host.on_maintenance or n.payload.get("event") == Event.STARTED:
        return None
    if host.maintenance_by == n.notification_uuid or facts.maintained_by is not None:
        return None
    return _ignore(Reason.MAINTENANCE, f"Host {host.name} is on maintenance.")


def no_recovery_has_taken_the_host(n: Notification, facts: Facts) -> Verdict | None:
    """Is the host not being recovered as a whole already?"""
    by = facts.maintained_by
    if by is None or by.type != NotificationType.COMPUTE_HOST:
        return None  # what has failed is more than a process
    if n.payload.get("event") == Event.STARTED or n.type == NotificationType.VM:
        return None  # a VM itself tells where it is, and whether it can be helped
    return _ignore(
        Reason.MAINTENANCE,
        f"The host was put on maintenance by notification {by.notification_uuid}.",
    )


def enough_have_seen_it(n: Notification, facts: Facts) -> Verdict | None:
    """Have as many monitors seen the host die as the operator asks for?"""
    if facts.too_few is None:
        return None
    text = f"{facts.too_few} Nothing was done; try it again if the host is dead."
    return Verdict(NotificationStatus.FAILED, Reason.FEW_WITNESSES, text)


GATES: tuple[Callable[[Notification, Facts], Verdict | None], ...] = (
    host_is_registered,
    segment_is_enabled,
    host_is_not_excluded,
    host_is_known_dead,
    event_is_known,
    process_matters,
    has_not_started_again,
    no_operator_has_taken_the_host,
    no_recovery_has_taken_the_host,
    enough_have_seen_it,
)


def judge(n: Notification, facts: Facts) -> Verdict | None:
    """Why not to act, from the first gate that is shut; None: act."""
    for gate in GATES:
        verdict = gate(n, facts)
        if verdict is not None:
            return verdict
    return None
