"""libvirt's numbers and the words of notifications."""

import pytest

from masakari import vm_events
from masakari.monitors.instances import judge
from masakari.monitors.instances.words import EventId, words


@pytest.mark.parametrize(
    ("event", "args", "found"),
    [
        (EventId.LIFECYCLE, (5, 5), ("LIFECYCLE", "STOPPED_FAILED")),
        (EventId.LIFECYCLE, (5, 2), ("LIFECYCLE", "STOPPED_CRASHED")),
        (EventId.LIFECYCLE, (8, 0), ("LIFECYCLE", "CRASHED_PANICKED")),
        (EventId.LIFECYCLE, (3, 3), ("LIFECYCLE", "SUSPENDED_WATCHDOG")),
        (EventId.LIFECYCLE, (2, 0), ("LIFECYCLE", "STARTED_BOOTED")),
        (EventId.LIFECYCLE, (99, 0), ("LIFECYCLE", "UNKNOWN")),
        (EventId.LIFECYCLE, (5, 99), ("LIFECYCLE", "STOPPED_UNKNOWN")),
        (EventId.WATCHDOG, (3,), ("WATCHDOG", "WATCHDOG_POWEROFF")),
        (EventId.WATCHDOG, (99,), ("WATCHDOG", "WATCHDOG_UNKNOWN")),
        (EventId.IO_ERROR, ("/disk", "virtio0", 2), ("IO_ERROR", "IO_ERROR_REPORT")),
        (EventId.REBOOT, (), ("REBOOT", "UNKNOWN")),
        (99, (), ("UNKNOWN", "UNKNOWN")),
    ],
)
def test_words(event, args, found):
    assert words(event, args) == found


def test_words_are_the_engines():
    told = {words(EventId.LIFECYCLE, (e, d)) for e in range(9) for d in range(10)}
    told |= {words(EventId.WATCHDOG, (n,)) for n in range(7)}
    told |= {words(EventId.IO_ERROR, ("", "", n)) for n in range(3)}
    known = {pair for pair in told if "UNKNOWN" not in pair[1]}

    assert known - {("LIFECYCLE", "SUSPENDED_GUEST_SHUTDOWN")} <= set(vm_events.EVENTS)


def test_what_is_told_is_what_the_engine_acts_on():
    acted_on = {
        pair
        for pair, entry in vm_events.EVENTS.items()
        if entry.action is vm_events.VmEventAction.RESTART
    }

    assert acted_on == judge.ENDS | judge.HARMS
