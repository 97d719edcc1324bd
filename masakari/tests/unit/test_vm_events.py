"""What is done about events of VMs: the table, and what an operator changes of it."""

import pytest

from masakari import vm_events
from masakari.conf import engine as options
from masakari.vm_events import VmEventAction, action_for

RESTARTED = {
    ("LIFECYCLE", "STOPPED_FAILED"),
    ("LIFECYCLE", "STOPPED_CRASHED"),
    ("LIFECYCLE", "SUSPENDED_WATCHDOG"),
    ("LIFECYCLE", "CRASHED_PANICKED"),
    ("WATCHDOG", "WATCHDOG_PAUSE"),
    ("WATCHDOG", "WATCHDOG_POWEROFF"),
    ("WATCHDOG", "WATCHDOG_SHUTDOWN"),
    ("IO_ERROR", "IO_ERROR_REPORT"),
    ("QEMU_GUEST_AGENT_ERROR", "STOPPED_FAILED"),
}
"""Reviewed: a row that joins or leaves these is a decision, and stands in the release notes."""


def test_restarted_are_exactly_the_reviewed() -> None:
    found = {key for key in vm_events.EVENTS if action_for(*key, {}) is VmEventAction.RESTART}

    assert found == RESTARTED


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        ("LIFECYCLE", "STOPPED_DESTROYED"),
        ("LIFECYCLE", "STOPPED_MIGRATED"),
        ("LIFECYCLE", "SUSPENDED_IOERROR"),
        ("WATCHDOG", "WATCHDOG_RESET"),
        ("IO_ERROR", "IO_ERROR_PAUSE"),
        ("LIFECYCLE", "WATCHDOG_PAUSE"),
        ("SOMETHING", "NEW"),
        ("", ""),
    ],
    ids=["off", "moved", "no disk", "reset", "no disk, too", "swapped", "unknown", "empty"],
)
def test_others_are_ignored(event: str, detail: str) -> None:
    assert action_for(event, detail, {}) is VmEventAction.IGNORE


@pytest.mark.parametrize(
    ("event", "detail", "action"),
    [
        ("LIFECYCLE", "STOPPED_FAILED", "ignore"),
        ("WATCHDOG", "WATCHDOG_RESET", "restart"),
        ("SOMETHING", "NEW", "restart"),
    ],
    ids=["restarted", "ignored", "unknown"],
)
def test_operator_decides_otherwise(event: str, detail: str, action: str) -> None:
    overrides = {f"{event}/{detail}": action}

    assert action_for(event, detail, overrides) == action
    assert action_for("LIFECYCLE", "STOPPED_CRASHED", overrides) is VmEventAction.RESTART


def test_option_takes_each_row_and_each_action() -> None:
    (opt,) = (o for o in options.INSTANCE_FAILURE_OPTS if o.name == "events")
    pairs = [f"{e}/{d}:{action}" for (e, d) in vm_events.EVENTS for action in VmEventAction]

    for pair in pairs:
        name, _, word = pair.partition(":")
        assert opt.type(pair) == {name: word}


def test_each_row_says_why_in_one_sentence() -> None:
    for entry in vm_events.EVENTS.values():
        assert entry.meaning[0].isupper() or entry.meaning.startswith("libvirt")
        assert entry.meaning.endswith(".")
        assert ". " not in entry.meaning
