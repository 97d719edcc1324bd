"""Reports of VMs and processes: all of them, in order, whatever the API does."""

import concurrent.futures
import datetime
import logging
import sqlite3
import sys
import threading
import traceback

import pytest

from masakari.clock import SystemClock, wait_until
from masakari.monitors import report as report_
from masakari.monitors.kept_reports import KeptReports
from masakari.monitors.spool import PARALLEL, Spool
from masakari.monitors.teller import Report
from masakari.sim.clock import SimClock
from masakari.states import NotificationType
from masakari.tests.unit.db.clocks import ManualClock
from masakari.tests.unit.monitors import disks

AT = datetime.datetime(2026, 11, 27, 12, 0, 0, 123456)
AWAY = report_.Unanswered("connection refused", maybe_heard=False)


class Api:
    """Answers each VM as `answers` says, else 202."""

    def __init__(self):
        self.is_up = True
        self.answers = {}
        self.heard = []
        self.tries = 0
        self.script = []
        """said first, to anybody"""
        self.before = lambda: None
        self.answers_left = None
        self._lock = threading.Lock()

    def watched(self):
        return []

    def notify(self, notification):
        self.before()
        with self._lock:
            return self._notify(notification["payload"])

    def _notify(self, payload):
        self.tries += 1
        if not self.is_up or self.answers_left == 0:
            raise AWAY
        if self.answers_left is not None:
            self.answers_left -= 1
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, report_.Unanswered):
                raise answer
            return answer
        answer = self.answers.get(payload["instance_uuid"], report_.Answer(202))
        if isinstance(answer, report_.Unanswered):
            raise answer
        if answer.status in (202, 409):
            self.heard.append((payload["instance_uuid"], payload["vir_domain_event"]))
        return answer


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def spool(tmp_path, clock, api):
    opened = []

    def spool(**options):
        found = Spool(
            tmp_path / "reports.sqlite", api, clock, retry_interval_s=16, retry_alarm=3, **options
        )
        opened.append(found)
        return found

    yield spool
    for each in opened:
        each.close()


def report(vm, detail="STOPPED_FAILED"):
    payload = {"event": "LIFECYCLE", "instance_uuid": vm, "vir_domain_event": detail}
    return Report(vm, NotificationType.VM, "compute1", payload, AT)


def go_on(box, clock, seconds):
    """As the teller's thread, for so long."""
    until = clock.monotonic() + seconds
    while (next_try := box.next_try()) is not None and next_try <= until:
        clock.sleep(max(0.0, next_try - clock.monotonic()))
        box.flush()


def test_api_away_for_an_hour_while_a_hundred_vms_crash(spool, clock, api):
    box = spool()
    api.is_up = False
    for n in range(100):
        box.add([report(f"vm{n}"), report(f"vm{n}", "CRASHED_PANICKED")])
        go_on(box, clock, 36)
    assert len(box) == 200
    assert api.tries < 300

    api.is_up = True
    go_on(box, clock, 60)

    told = {vm: [detail for each, detail in api.heard if each == vm] for vm, _ in api.heard}
    assert told == {f"vm{n}": ["STOPPED_FAILED", "CRASHED_PANICKED"] for n in range(100)}
    assert len(box) == 0


def test_several_subjects_have_their_turn_at_a_time(spool, api):
    together = threading.Barrier(4)
    api.before = lambda: together.wait(30)  # nobody is answered before four have asked
    box = spool(parallel=4)
    box.add([report(f"vm{n}") for n in range(8)])

    box.flush()

    assert sorted(api.heard) == sorted((f"vm{n}", "STOPPED_FAILED") for n in range(8))
    assert len(box) == 0


def test_reports_of_one_subject_are_told_in_their_order(spool, api):
    box = spool()
    box.add([report("vm1", str(n)) for n in range(50)])

    box.flush()

    assert api.heard == [("vm1", str(n)) for n in range(50)]


@pytest.mark.parametrize(
    "answer", [report_.Answer(503), report_.Answer(409, "maintenance"), AWAY], ids=str
)
def test_nothing_overtakes_what_was_not_heard(tmp_path, api, *, answer):
    # without pauses all is due again at once, as when another subject was heard meanwhile
    options = {"retry_interval_s": 0, "retry_alarm": 3, "ask_again_s": 0}
    box = Spool(tmp_path / "reports.sqlite", api, ManualClock(), **options)
    api.script = [answer]
    box.add([report("vm1", "first"), report("vm1", "second")])

    box.flush()
    assert api.heard == []
    box.flush()

    assert api.heard == [("vm1", "first"), ("vm1", "second")]
    box.close()


def test_api_that_goes_away_in_the_middle_loses_and_doubles_nothing(spool, clock, api):
    first = spool()
    first.add([report(f"vm{n % 20}", str(n)) for n in range(100)])
    api.answers_left = 37
    first.flush()
    assert len(first) == 63
    assert api.tries < 37 + 2 * PARALLEL

    api.answers_left = None
    go_on(spool(), clock, 60)

    told = {vm: [detail for each, detail in api.heard if each == vm] for vm, _ in api.heard}
    assert told == {f"vm{vm}": [str(n) for n in range(vm, 100, 20)] for vm in range(20)}


def test_tries_that_were_under_way_together_are_one_try(spool, api, caplog):
    together = threading.Barrier(4)
    api.before = lambda: together.wait(30)
    api.is_up = False
    box = spool(parallel=4)
    box.add([report(f"vm{n}") for n in range(4)])

    box.flush()

    assert api.tries == 4
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    api.before = lambda: None
    box.flush()
    assert api.tries == 4


def test_api_that_was_away_is_tried_with_one_report(spool, clock, api):
    api.is_up = False
    box = spool()
    box.add([report(f"vm{n}") for n in range(100)])
    box.flush()
    before = api.tries

    clock.sleep(box.next_try() - clock.monotonic())
    box.flush()

    assert api.tries == before + 1


def test_api_that_is_away_is_left_alone_whatever_the_disk_does(spool, clock, api, monkeypatch):
    api.is_up = False
    api.before = lambda: monkeypatch.setattr(KeptReports, "__len__", raise_error)
    box = spool()
    box.add([report("vm1")])

    with pytest.raises(sqlite3.OperationalError):
        box.flush()

    assert box.next_try() > clock.monotonic()


def test_alarm_tells_how_many_reports_wait(spool, clock, api, caplog):
    box = spool(parallel=1)
    box.add([report("vm1"), report("vm2"), report("vm2")])
    api.script = [report_.Answer(202), AWAY, AWAY, AWAY]

    go_on(box, clock, 60)

    assert "Masakari has not answered 3 tries (connection refused); 2 reports wait" in caplog.text


def test_what_was_not_heard_survives_the_process(spool, clock, api):
    api.is_up = False
    first = spool()
    first.add([report("vm1"), report("vm2")])
    first.flush()

    api.is_up = True
    go_on(spool(), clock, 60)

    assert sorted(api.heard) == [("vm1", "STOPPED_FAILED"), ("vm2", "STOPPED_FAILED")]


def test_sending_many_has_ends_between(api, tmp_path):
    slow = ManualClock()
    api.before = lambda: slow.advance(1)
    box = Spool(tmp_path / "many.sqlite", api, slow, retry_interval_s=16, retry_alarm=3, parallel=1)
    box.add([report(f"vm{n}") for n in range(25)])

    left = []
    while box.next_try() is not None:
        box.flush()
        left.append(len(box))

    assert left == [15, 5, 0]
    box.close()


def test_vm_of_a_host_on_maintenance_holds_nobody_up_and_keeps_its_order(spool, clock, api):
    box = spool(ask_again_s=60)
    api.answers["vm1"] = report_.Answer(409, "maintenance", "Host is on maintenance.")
    box.add([report("vm1"), report("vm1", "CRASHED_PANICKED"), report("vm2")])
    go_on(box, clock, 10)
    assert sorted(api.heard) == [("vm1", "STOPPED_FAILED"), ("vm2", "STOPPED_FAILED")]

    api.heard.clear()
    del api.answers["vm1"]
    go_on(box, clock, 60)

    assert api.heard == [("vm1", "STOPPED_FAILED"), ("vm1", "CRASHED_PANICKED")]


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (report_.Answer(409, "duplicate"), "INFO"),
        (report_.Answer(400, None, "Host with name compute1 could not be found."), "ERROR"),
    ],
)
def test_last_word_of_the_api(spool, clock, api, caplog, *, answer, level):
    caplog.set_level(logging.INFO)
    box = spool()
    api.answers["vm1"] = answer
    box.add([report("vm1")])

    go_on(box, clock, 60)

    assert (len(box), api.tries) == (0, 1)
    assert [r.levelname for r in caplog.records] == [level]


def test_internal_error_is_no_last_word(spool, clock, api):
    box = spool()
    api.answers["vm1"] = report_.Answer(500)
    box.add([report("vm1")])

    go_on(box, clock, 60)

    assert len(box) == 1
    assert 3 < api.tries < 12


@pytest.mark.parametrize("status", [403, 404, 413, 500, None])
def test_report_that_the_api_cannot_bear_holds_up_its_own_subject_alone(spool, clock, api, status):
    box = spool()
    api.answers["vm1"] = report_.Answer(status) if status else AWAY
    box.add([report("vm1", "first"), report("vm1", "second")])
    go_on(box, clock, 60)
    box.add([report(f"vm{n}") for n in range(2, 5)])

    go_on(box, clock, 60)

    assert {vm for vm, _ in api.heard} == {"vm2", "vm3", "vm4"}
    del api.answers["vm1"]
    go_on(box, clock, 60)
    assert api.heard[3:] == [("vm1", "first"), ("vm1", "second")]


def test_what_was_heard_is_not_sent_again_while_the_disk_is_full(spool, clock, api, tmp_path):
    box = spool()
    box.add([report("vm1", "first"), report("vm1", "second"), report("vm2"), report("vm3")])
    with disks.full(tmp_path / "reports.sqlite", "DELETE"):
        go_on(box, clock, 60)
        box.flush()
        box.add([report("vm1", "third")])
        go_on(box, clock, 60)
        assert (len(box), box.next_try()) == (0, None)
    assert api.tries == 5
    assert [detail for vm, detail in api.heard if vm == "vm1"] == ["first", "second", "third"]
    assert len(spool()) == 5

    box.flush()

    assert len(spool()) == 0
    assert api.tries == 5


@pytest.mark.parametrize("reports", [1, 3])
def test_disk_that_removes_nothing_is_told_of_once(spool, clock, api, tmp_path, caplog, *, reports):
    caplog.set_level(logging.INFO, "masakari.monitors.kept_reports")
    box = spool()
    box.add([report(f"vm{n}") for n in range(reports)])
    with disks.full(tmp_path / "reports.sqlite", "DELETE"):
        for _ in range(4):
            box.flush()
            clock.sleep(30)
    box.flush()
    box.flush()

    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]


def test_what_is_on_disk_is_added_whatever_cannot_be_read(spool, api, monkeypatch):
    box = spool()
    with monkeypatch.context() as broken:
        broken.setattr(KeptReports, "_select", raise_error)
        box.add([report("vm1")])

    box.flush()

    assert api.heard == [("vm1", "STOPPED_FAILED")]


def raise_error(*_args):
    raise sqlite3.OperationalError("disk I/O error")


def is_waiting_for_others(thread):
    frames = traceback.walk_stack(sys._current_frames()[thread.ident])
    return any(frame.f_code is concurrent.futures.wait.__code__ for frame, _ in frames)


def test_flush_that_fails_leaves_nobody_who_sends(spool, api):
    together = threading.Barrier(2)
    caller = threading.current_thread()

    def fail_for_the_caller():
        together.wait(30)
        if threading.current_thread() is caller:
            raise RuntimeError
        assert wait_until(SystemClock(), lambda: is_waiting_for_others(caller), 30, 0.001)

    api.before = fail_for_the_caller
    box = spool(parallel=2)
    box.add([report("vm1"), report("vm2")])

    with pytest.raises(RuntimeError):
        box.flush()

    assert api.tries == 1


def test_oldest_are_dropped_when_there_are_too_many(spool, clock, api, caplog):
    box = spool(most=10)
    box.add([report(f"vm{n}") for n in range(12)])

    go_on(box, clock, 60)

    assert {vm for vm, _ in api.heard} == {f"vm{n}" for n in range(2, 12)}
    assert "the oldest 2 are dropped" in caplog.text
