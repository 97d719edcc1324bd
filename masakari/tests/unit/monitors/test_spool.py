"""Reports of VMs and processes: all of them, in order, whatever the API does."""

import datetime
import logging

import pytest

from masakari.monitors import report as report_
from masakari.monitors.spool import Spool
from masakari.monitors.teller import Report
from masakari.sim.clock import SimClock
from masakari.states import NotificationType

AT = datetime.datetime(2026, 11, 27, 12, 0, 0, 123456)
AWAY = report_.Unanswered("connection refused", maybe_heard=False)


class Api:
    """Answers each VM as `answers` says, else 202."""

    def __init__(self):
        self.is_up = True
        self.answers = {}
        self.heard = []
        self.tries = 0

    def watched(self):
        return []

    def notify(self, notification):
        self.tries += 1
        if not self.is_up:
            raise AWAY
        payload = notification["payload"]
        answer = self.answers.get(payload["instance_uuid"], report_.Answer(202))
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

    details = ("STOPPED_FAILED", "CRASHED_PANICKED")
    assert api.heard == [(f"vm{n}", detail) for n in range(100) for detail in details]
    assert len(box) == 0


def test_what_was_not_heard_survives_the_process(spool, clock, api):
    api.is_up = False
    first = spool()
    first.add([report("vm1"), report("vm2")])
    first.flush()

    api.is_up = True
    go_on(spool(), clock, 60)

    assert api.heard == [("vm1", "STOPPED_FAILED"), ("vm2", "STOPPED_FAILED")]


def test_vm_of_a_host_on_maintenance_holds_nobody_up_and_keeps_its_order(spool, clock, api):
    box = spool(ask_again_s=60)
    api.answers["vm1"] = report_.Answer(409, "maintenance", "Host is on maintenance.")
    box.add([report("vm1"), report("vm1", "CRASHED_PANICKED"), report("vm2")])
    go_on(box, clock, 10)
    assert api.heard == [("vm1", "STOPPED_FAILED"), ("vm2", "STOPPED_FAILED")]

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


def test_oldest_are_dropped_when_there_are_too_many(spool, clock, api, caplog):
    box = spool(most=10)
    box.add([report(f"vm{n}") for n in range(12)])

    go_on(box, clock, 60)

    assert [vm for vm, _ in api.heard] == [f"vm{n}" for n in range(2, 12)]
    assert "the oldest 2 are dropped" in caplog.text
