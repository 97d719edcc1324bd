"""Whether a failed VM is ours to restart: what is asked before it is touched.  Pure.

Every check fails closed: where it cannot be told, the VM is left as it is.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from masakari.cloud import Action, Server
from masakari.engine.gates import Verdict
from masakari.states import NotificationStatus, Reason

RESTARTS = frozenset({"start", "reboot", "rebuild", "unpause", "resume", "create"})
"""Nova's actions after which a VM runs anew (Nova API, os-instance-actions)."""
STOPS = frozenset({"stop"})
RECOVERABLE = frozenset({"active", "stopped", "error", "resized"})
"""vm_states in which a failed VM is restarted; in the others its owner wants it not to run."""
SAME_MOMENT = datetime.timedelta(seconds=1)
"""Nova's records of actions count whole seconds."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known besides the VM itself."""

    host: str
    """that reported the failure"""
    excluded: str | None
    """the rule that excludes the VM"""
    is_enabled: bool
    """its owner or the configuration asks for recovery"""
    ha_key: str
    """the metadata key by which an owner asks"""
    event_at: datetime.datetime
    """by the monitor's clock"""
    newest_action: Action | None
    """of those that start or stop a VM"""
    restarted_at: datetime.datetime | None
    """when we last had the VM started, for whichever notification"""
    own_user: str | None
    """as whom Nova knows us"""
    was_relocated: bool
    """this notification has had it moved, or tried to"""
    evacuated_to: str | None
    """where a recovery of its host has brought it since"""


Check = Callable[[Server, Facts], Verdict | None]


def _ignore(reason: Reason, text: str) -> Verdict:
    return Verdict(NotificationStatus.IGNORED, reason, text)


def is_there(server: Server, facts: Facts) -> Verdict | None:
    """Does it exist, and is it not being deleted?"""
    if server.vm_state in ("deleted", "soft-delete") or server.task_state in (
        "deleting",
        "soft-deleting",
    ):
        return _ignore(Reason.VM_GONE, "The VM is deleted.")
    return None


def is_on_the_host(server: Server, facts: Facts) -> Verdict | None:
    """Is it still on the host that reported its failure, or where we have brought it?"""
    is_ours = server.host is not None and server.host in (facts.host, facts.evacuated_to)
    if is_ours or facts.was_relocated:
        return None
    return _ignore(Reason.VM_MOVED, f"The VM is on host {server.host}, not on {facts.host}.")


def is_not_excluded(server: Server, facts: Facts) -> Verdict | None:
    """Does no rule keep us away from it?"""
    if facts.excluded is None:
        return None
    return _ignore(Reason.EXCLUDED, f"The VM is left alone: {facts.excluded}.")


def is_enabled(server: Server, facts: Facts) -> Verdict | None:
    """Did its owner, or the configuration, ask for recovery?"""
    if facts.is_enabled:
        return None
    return Verdict(
        NotificationStatus.FINISHED,
        Reason.NOT_HA_ENABLED,
        f"The VM is not HA-enabled (metadata {facts.ha_key}): nothing is done.",
    )


def is_in_a_state_to_restart(server: Server, facts: Facts) -> Verdict | None:
    """Does its owner want it to run?"""
    if server.vm_state in RECOVERABLE:
        return None
    return _ignore(Reason.VM_STATE, f"A VM in vm_state {server.vm_state} is not restarted.")


def is_not_locked(server: Server, facts: Facts) -> Verdict | None:
    """Did its owner not forbid to act on it?"""
    if not server.locked:
        return None
    return _ignore(Reason.VM_LOCKED, "The VM is locked: nothing is done.")


def did_not_recover(server: Server, facts: Facts) -> Verdict | None:
    """Is the event about the guest that runs now, not about the one before?"""
    if server.vm_state != "active":
        return None
    by_us = server.host == facts.evacuated_to or (
        facts.restarted_at is not None and facts.restarted_at > facts.event_at
    )
    action = facts.newest_action
    by_owner = (
        action is not None
        and action.name in RESTARTS
        and action.started_at > facts.event_at + SAME_MOMENT
    )
    if not by_us and not by_owner:
        return None
    return Verdict(
        NotificationStatus.FINISHED,
        Reason.ALREADY_RECOVERED,
        "The VM was restarted after this event: nothing is left to do.",
    )


def was_not_stopped_by_a_user(server: Server, facts: Facts) -> Verdict | None:
    """Is it off because it failed?  Nova's own power-state sync stops a VM as nobody's action."""
    action = facts.newest_action
    if server.vm_state != "stopped" or action is None or action.name != "stop":
        return None
    if action.user_id in (None, facts.own_user):
        return None
    return _ignore(
        Reason.STOPPED_BY_OWNER, f"The VM was stopped by a user at {action.started_at} UTC."
    )


CHECKS: tuple[Check, ...] = (
    is_there,
    is_on_the_host,
    is_not_excluded,
    is_enabled,
    is_in_a_state_to_restart,
    is_not_locked,
    did_not_recover,
    was_not_stopped_by_a_user,
)


def judge(server: Server, facts: Facts) -> Verdict | None:
    """Why the VM is left as it is, from the first check that says so; None: act."""
    for check in CHECKS:
        verdict = check(server, facts)
        if verdict is not None:
            return verdict
    return None
