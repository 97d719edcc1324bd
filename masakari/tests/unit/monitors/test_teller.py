"""Reports that the disk does not take wait in memory, in order."""

import datetime

import pytest

from masakari import exposition, metrics
from masakari.clock import SystemClock
from masakari.monitors import teller as teller_
from masakari.monitors.memory import Memory
from masakari.monitors.teller import Report, Teller
from masakari.pulse import Pulse
from masakari.states import NotificationType
from masakari.tests.unit.db.clocks import ManualClock

AT = datetime.datetime(2026, 11, 27, 12)


class Outbox:
    """Keeps all, unless the disk is `full`."""

    def __init__(self):
        self.is_full = False
        self.kept = []

    def add(self, reports):
        if self.is_full:
            raise OSError("database or disk is full")
        self.kept.extend(report.subject for report in reports)

    def flush(self):
        pass

    def next_try(self):
        return None


@pytest.fixture
def outbox():
    return Outbox()


@pytest.fixture
def exposed():
    return exposition.of_process([metrics.Program.INSTANCEMONITOR], "instancemonitor", "1")


@pytest.fixture
def teller(outbox, exposed):
    clock = ManualClock()
    return Teller(outbox, clock, Pulse(clock), meter=exposed[0])


def report(vm):
    return Report(vm, NotificationType.VM, "compute1", {}, AT)


def test_reports_that_could_not_be_written_are_written_with_the_next_call(teller, outbox, caplog):
    outbox.is_full = True
    assert not teller.tell(report("vm1"), report("vm2"))
    assert not teller.tell(report("vm3"))
    assert not teller.tell()
    assert caplog.text.count("MSK-404") == 1

    outbox.is_full = False

    assert teller.tell(report("vm4"))
    assert teller.tell()
    assert outbox.kept == ["vm1", "vm2", "vm3", "vm4"]


def test_what_is_known_is_kept_after_what_follows_from_it(teller, outbox, exposed, tmp_path):
    memory = Memory(tmp_path / "known.json")
    outbox.is_full = True
    teller.tell(report("vm1"))

    teller.remember(memory, {"ended": ["vm1"]})
    assert memory.recall() == {}
    assert is_raised(exposed)

    outbox.is_full = False
    teller.remember(memory, {"ended": ["vm1"]})
    assert (outbox.kept, memory.recall()) == (["vm1"], {"ended": ["vm1"]})
    assert not is_raised(exposed)


def test_what_is_known_and_cannot_be_kept_is_an_alarm(teller, exposed, tmp_path):
    tmp_path.joinpath("no-directory").touch()

    teller.remember(Memory(tmp_path / "no-directory/known.json"), {"ended": ["vm1"]})

    assert is_raised(exposed)


def is_raised(exposed):
    return 'masakari_alarm{code="MSK-404"} 1.0' in exposed[1]()[1].decode().splitlines()


def test_only_so_many_wait_in_memory(teller, outbox, caplog):
    outbox.is_full = True
    for n in range(teller_.MOST_UNWRITTEN):
        teller.tell(report(f"vm{n}"))
    assert "dropped" not in caplog.text
    teller.tell(report("last"))
    assert "1 are dropped" in caplog.text

    outbox.is_full = False
    teller.tell()

    assert len(outbox.kept) == teller_.MOST_UNWRITTEN
    assert (outbox.kept[0], outbox.kept[-1]) == ("vm1", "last")


@pytest.mark.parametrize("broken", ["flush", "next_try"])
def test_what_fails_once_is_tried_again(outbox, monkeypatch, broken):
    monkeypatch.setattr(teller_, "SOON_S", 0.01)
    clock = SystemClock()
    stop, teller = clock.event(), Teller(outbox, clock, Pulse(clock))
    asked = []

    def ask():
        asked.append(broken)
        if len(asked) == 1:
            raise OSError("database is locked")
        stop.set()
        teller.wake()

    monkeypatch.setattr(outbox, broken, ask)

    teller.run(stop)

    assert len(asked) == 2
