"""What is done about an event of a VM: a table of the words that monitors send, and its reasons.

The words are libvirt's (virDomainEventType and its details, virDomainEventWatchdogAction,
virDomainEventIOErrorAction); `event` and `vir_domain_event` in the payload of a VM notification
carry them.  A VM is restarted when its guest died or hangs and nobody meant it to.  It is left
alone when its owner or Nova acted, when the hypervisor has repaired it already, and when storage
is what failed: a reset would not bring that back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class VmEventAction(StrEnum):
    """What is done about an event of a VM; the words of [instance_failure] events."""

    RESTART = "restart"
    """The VM is stopped and started again on its host."""
    IGNORE = "ignore"
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table."""

    action: VmEventAction
    meaning: str
    """One sentence: what has happened, and why that calls for the action."""


def action_for(event: str, detail: str, overrides: Mapping[str, str]) -> VmEventAction:
    """What is done about the event; *overrides*: {EVENT/DETAIL: action}, which go first."""
    configured = overrides.get(f"{event}/{detail}")
    if configured is not None:
        return VmEventAction(configured)
    entry = EVENTS.get((event, detail))
    return VmEventAction.IGNORE if entry is None else entry.action


def action_of(payload: Mapping[str, str], overrides: Mapping[str, str]) -> VmEventAction:
    """What is done about the event in the payload of a notification; as `action_for`."""
    return action_for(payload.get("event", ""), payload.get("vir_domain_event", ""), overrides)


def _restart(meaning: str) -> Entry:
    return Entry(VmEventAction.RESTART, meaning)


def _ignore(meaning: str) -> Entry:
    return Entry(VmEventAction.IGNORE, meaning)


_LIFECYCLE = {
    "DEFINED_ADDED": _ignore("The VM was made known to libvirt: Nova is building it."),
    "DEFINED_UPDATED": _ignore("Its configuration was changed, by Nova or an operator."),
    "DEFINED_RENAMED": _ignore("It was renamed, by an operator."),
    "DEFINED_FROM_SNAPSHOT": _ignore("It was made from a snapshot, by an operator."),
    "UNDEFINED_REMOVED": _ignore("Nova has deleted or moved it."),
    "UNDEFINED_RENAMED": _ignore("It was renamed, by an operator."),
    "STARTED_BOOTED": _ignore("It was started: a sign of life."),
    "STARTED_MIGRATED": _ignore("It arrived by a live migration: a sign of life."),
    "STARTED_RESTORED": _ignore("It was resumed from a file: a sign of life."),
    "STARTED_FROM_SNAPSHOT": _ignore("It was started from a snapshot, by an operator."),
    "STARTED_WAKEUP": _ignore("It woke up from its sleep: a sign of life."),
    "STARTED_RECREATED": _ignore("libvirt has replaced its QEMU process: a sign of life."),
    "SUSPENDED_PAUSED": _ignore("Its owner or Nova has paused it."),
    "SUSPENDED_MIGRATED": _ignore("It is paused at the end of a live migration."),
    "SUSPENDED_IOERROR": _ignore(
        "It is paused because a disk failed: a storage outage, which a reset does not end; it "
        "would lose what the guest has not written yet."
    ),
    "SUSPENDED_WATCHDOG": _restart("It hung, and its watchdog paused it: nobody resumes it."),
    "SUSPENDED_RESTORED": _ignore("It was restored paused, as it had been saved."),
    "SUSPENDED_FROM_SNAPSHOT": _ignore("It was restored paused from a snapshot, by an operator."),
    "SUSPENDED_API_ERROR": _ignore(
        "It stayed paused when an operation of libvirt failed: who asked for that, mostly Nova, "
        "goes on or gives up with it."
    ),
    "SUSPENDED_POSTCOPY": _ignore("It is paused for the second half of a live migration."),
    "SUSPENDED_POSTCOPY_FAILED": _ignore(
        "A live migration broke off half-way: its memory lies on two hosts, and what becomes of "
        "it Nova or an operator decides."
    ),
    "RESUMED_UNPAUSED": _ignore("Its owner or Nova has resumed it: a sign of life."),
    "RESUMED_MIGRATED": _ignore("It goes on after a live migration: a sign of life."),
    "RESUMED_FROM_SNAPSHOT": _ignore("It was resumed from a snapshot, by an operator."),
    "RESUMED_POSTCOPY": _ignore("It goes on while a live migration ends: a sign of life."),
    "RESUMED_POSTCOPY_FAILED": _ignore("It goes on after a live migration that broke off."),
    "STOPPED_SHUTDOWN": _ignore("The guest has shut itself down, as its owner wanted."),
    "STOPPED_DESTROYED": _ignore("Nova or an operator has switched it off."),
    "STOPPED_CRASHED": _restart("The guest has crashed and was switched off for it."),
    "STOPPED_MIGRATED": _ignore("It has left the host by a live migration."),
    "STOPPED_SAVED": _ignore("It was suspended to a file, by its owner or Nova."),
    "STOPPED_FAILED": _restart("Its QEMU process died or could not go on."),
    "STOPPED_FROM_SNAPSHOT": _ignore("It was stopped by going back to a snapshot, by an operator."),
    "STOPPED_RECREATED": _ignore("libvirt replaces its QEMU process and starts it again at once."),
    "SHUTDOWN_FINISHED": _ignore("The guest has shut itself down; libvirt is cleaning up."),
    "SHUTDOWN_GUEST": _ignore("Somebody in the guest has shut it down."),
    "SHUTDOWN_HOST": _ignore("Somebody on the host has shut it down; mostly Nova or an operator."),
    "PMSUSPENDED_MEMORY": _ignore("The guest has put itself to sleep."),
    "PMSUSPENDED_DISK": _ignore("The guest has put itself to sleep on its disk."),
    "CRASHED_PANICKED": _restart("The guest's kernel has panicked: nothing runs in it any more."),
    "CRASHED_CRASHLOADED": _ignore(
        "The guest's kernel has panicked and writes its dump; it boots again by itself."
    ),
}

_WATCHDOG = {
    "WATCHDOG_NONE": _ignore("The guest hung for a while; its flavor or image asks for no action."),
    "WATCHDOG_PAUSE": _restart("The guest hung and was paused: nobody resumes it."),
    "WATCHDOG_RESET": _ignore("The guest hung, and the hypervisor has reset it already."),
    "WATCHDOG_POWEROFF": _restart("The guest hung and was switched off: nobody starts it."),
    "WATCHDOG_SHUTDOWN": _restart("The guest hung and was asked to shut down: nobody starts it."),
    "WATCHDOG_DEBUG": _ignore("The guest hung; that is only to be logged."),
    "WATCHDOG_INJECTNMI": _ignore(
        "The guest hung and was interrupted: its kernel panics, dumps or boots again by itself."
    ),
}

_IO_ERROR = {
    "IO_ERROR_NONE": _ignore("A disk failed, and nobody in the guest was told."),
    "IO_ERROR_PAUSE": _ignore(
        "It is paused because a disk failed: a storage outage, which a reset does not end."
    ),
    "IO_ERROR_REPORT": _restart("A disk failed, and the guest was told: its file systems suffer."),
}

EVENTS: Mapping[tuple[str, str], Entry] = {
    **{("LIFECYCLE", detail): entry for detail, entry in _LIFECYCLE.items()},
    **{("WATCHDOG", detail): entry for detail, entry in _WATCHDOG.items()},
    **{("IO_ERROR", detail): entry for detail, entry in _IO_ERROR.items()},
    ("IO_ERROR_REASON", "UNKNOWN"): _ignore("A disk failed; IO_ERROR tells what that meant."),
    ("REBOOT", "UNKNOWN"): _ignore("The guest boots again, by itself or as its owner wanted."),
    ("CONTROL_ERROR", "UNKNOWN"): _ignore(
        "libvirt cannot talk to the QEMU process; the guest may run on undisturbed."
    ),
    ("QEMU_GUEST_AGENT_ERROR", "STOPPED_FAILED"): _restart(
        "The agent in the guest has answered before and does not any more: the guest hangs."
    ),
}
"""(event, detail) -> what is done.  What is not here is ignored."""
