"""Which events are failures, and which failures are told."""

import datetime
import json

import pytest

from masakari.monitors.instances.judge import Domain, Event, Judge
from masakari.monitors.instances.words import AGENT_ERROR, State

AT = datetime.datetime(2026, 11, 27, 12, 0, 0)
VM = "6f1c3d52-0f0e-4c5a-9d43-2f6d1a5f0c11"


class World:
    """One domain, and a judge; time passes by a second with each event."""

    def __init__(self, judge=None):
        self.judge = judge or Judge()
        self.now = 0.0
        self.told = []

    def hear(self, *details, run=1, after_s=1.0):
        for detail in details:
            self.now += after_s
            kind = detail.partition("_")[0]
            if detail == "AGENT":
                words = AGENT_ERROR
            elif kind in ("WATCHDOG", "IO"):
                words = ("WATCHDOG" if kind == "WATCHDOG" else "IO_ERROR", detail)
            elif kind == "REBOOT":
                words = ("REBOOT", "UNKNOWN")
            else:
                words = ("LIFECYCLE", detail)
            event = Event(VM, "instance-1", words, AT, self.now, run)
            self._take(self.judge.hear(event))
        return self

    def wait(self, seconds):
        self.now += seconds
        self._take(self.judge.due(self.now))
        return self

    def compare(self, *states, began=None, persistent=True):
        """*states*: (state, reason, run); none: the domain is gone."""
        self.now += 60
        domains = [Domain(VM, "instance-1", *state, persistent) for state in states]
        began = self.now if began is None else began
        self._take(self.judge.compare(domains, began, AT))
        return self

    def _take(self, failures):
        self.told += [failure.words[1] for failure in failures]


RUNS = (State.RUNNING, 1, 1)
CRASHED = (State.SHUTOFF, 3, -1)


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (["STOPPED_FAILED"], ["STOPPED_FAILED"]),
        (["STOPPED_CRASHED"], ["STOPPED_CRASHED"]),
        (["SHUTDOWN_GUEST", "STOPPED_SHUTDOWN"], []),
        (["SHUTDOWN_HOST", "STOPPED_DESTROYED"], []),
        (["STOPPED_MIGRATED"], []),
        (["REBOOT"] * 60, []),
        (["WATCHDOG_POWEROFF", "STOPPED_FAILED"], ["WATCHDOG_POWEROFF"]),
        (["WATCHDOG_PAUSE", "SUSPENDED_WATCHDOG"], ["WATCHDOG_PAUSE"]),
        (["WATCHDOG_RESET", "REBOOT", "REBOOT"], []),
        (["SUSPENDED_IOERROR", "IO_ERROR_PAUSE"], []),
        (["IO_ERROR_REPORT"] * 3, ["IO_ERROR_REPORT"]),
        (["IO_ERROR_REPORT", "STOPPED_FAILED"], ["IO_ERROR_REPORT", "STOPPED_FAILED"]),
        (["AGENT", "AGENT", "STOPPED_FAILED"], ["STOPPED_FAILED"] * 3),
        (["STOPPED_FAILED", "AGENT"], ["STOPPED_FAILED"]),
        (["STOPPED_FAILED", "STARTED_BOOTED", "STOPPED_FAILED"], ["STOPPED_FAILED"] * 2),
        (["WATCHDOG_PAUSE", "RESUMED_UNPAUSED", "WATCHDOG_PAUSE"], ["WATCHDOG_PAUSE"] * 2),
    ],
)
def test_what_is_heard(heard, told):
    assert World().hear(*heard).told == told


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([], ["CRASHED_PANICKED"]),
        (["STOPPED_CRASHED"], ["CRASHED_PANICKED"]),
        (["REBOOT", "RESUMED_UNPAUSED", "REBOOT"], []),
        (["STOPPED_DESTROYED"], []),
    ],
    ids=["preserved", "destroyed by libvirt", "restarted", "destroyed by its owner"],
)
def test_panic_is_told_unless_it_is_repaired_at_once(after, told):
    world = World().hear("SUSPENDED_PAUSED", "CRASHED_PANICKED")
    assert world.told == []
    assert world.judge.next_due() == world.now + 1.0

    assert world.hear(*after, after_s=0.01).wait(5).told == told


def test_end_that_libvirt_tells_late_is_no_second_one():
    world = World().hear("CRASHED_PANICKED").wait(2).hear("STOPPED_CRASHED")

    assert world.told == ["CRASHED_PANICKED"]


def test_configured_event_is_told_once_in_a_while():
    world = World(Judge([("WATCHDOG", "WATCHDOG_RESET")]))

    world.hear("WATCHDOG_RESET", "WATCHDOG_RESET").wait(10).hear("WATCHDOG_RESET")

    assert world.told == ["WATCHDOG_RESET"] * 2


# ---- comparisons


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (CRASHED, ["STOPPED_FAILED"]),
        ((State.SHUTOFF, 6, -1), ["STOPPED_FAILED"]),
        ((State.SHUTOFF, 0, -1), ["STOPPED_FAILED"]),
        ((State.SHUTOFF, 1, -1), []),
        ((State.SHUTOFF, 2, -1), []),
        ((State.SHUTOFF, 4, -1), []),
        ((State.PAUSED, 1, 1), []),
        ((State.PAUSED, 5, 1), []),
        ((State.PAUSED, 6, 1), ["SUSPENDED_WATCHDOG"]),
        ((State.CRASHED, 1, 1), ["CRASHED_PANICKED"]),
        ((State.RUNNING, 1, 7), []),
    ],
    ids=[
        *("crashed", "failed", "unknown", "shut down", "destroyed", "migrated", "paused"),
        *("I/O error", "watchdog", "panicked", "started again"),
    ],
)
def test_what_no_event_told_is_found_once(found, told):
    assert World().compare(RUNS).compare(found).compare(found).told == told


def test_what_was_off_when_it_was_seen_first_is_no_failure():
    assert World().compare(CRASHED).compare(CRASHED).told == []


def test_what_hangs_when_it_is_seen_first_is_told():
    assert World().compare((State.PAUSED, 6, 1)).told == ["SUSPENDED_WATCHDOG"]


def test_death_that_was_heard_is_not_found_again():
    assert World().compare(RUNS).hear("STOPPED_FAILED").compare(CRASHED).told == ["STOPPED_FAILED"]


def test_death_that_was_found_is_not_heard_again():
    assert World().compare(RUNS).compare(CRASHED).hear("STOPPED_FAILED").told == ["STOPPED_FAILED"]


def test_comparison_from_before_an_event_says_nothing():
    world = World().compare(RUNS).hear("STOPPED_FAILED")

    world.compare(RUNS, began=world.now - 0.5).compare(CRASHED)

    assert world.told == ["STOPPED_FAILED"]


def test_guest_that_somebody_has_resumed_can_fail_again():
    world = World().compare(RUNS).hear("WATCHDOG_PAUSE").compare(RUNS).compare(CRASHED)

    assert world.told == ["WATCHDOG_PAUSE", "STOPPED_FAILED"]


@pytest.mark.parametrize(("persistent", "told"), [(True, []), (False, ["STOPPED_FAILED"])])
def test_domain_that_is_gone(persistent, told):
    assert World().compare(RUNS, persistent=persistent).compare().told == told


# ---- what survives


def revived(world, *, same_boot=True):
    again = World()
    again.judge.recall(json.loads(json.dumps(world.judge.remember())), same_boot=same_boot)
    return again


def test_death_while_the_monitor_was_away_is_found():
    assert revived(World().compare(RUNS)).compare(CRASHED).told == ["STOPPED_FAILED"]


def test_death_that_was_told_before_the_monitor_ended_is_not_found_again():
    world = World().compare(RUNS).hear("WATCHDOG_PAUSE")

    assert revived(world).compare((State.PAUSED, 6, 1)).told == []


def test_run_with_the_same_number_after_a_boot_of_the_host_is_another_one():
    world = World().compare(RUNS).hear("WATCHDOG_PAUSE")

    assert revived(world, same_boot=False).compare(RUNS).hear("STOPPED_FAILED").told == [
        "STOPPED_FAILED"
    ]


def test_what_ran_before_the_host_itself_died_is_found():
    world = revived(World().compare(RUNS), same_boot=False)

    assert world.compare((State.SHUTOFF, 0, -1)).told == ["STOPPED_FAILED"]
