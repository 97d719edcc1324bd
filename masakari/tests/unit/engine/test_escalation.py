"""Crash loops: what comes after how much was tried."""

import datetime

import pytest

from masakari import db
from masakari.db.models import VmRecovery
from masakari.engine import escalation
from masakari.engine.escalation import Limits
from masakari.states import VmAction

VM = "00000000-0000-4000-8000-000000000001"
FAILED = {"event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED", "instance_uuid": VM}
RESTART, RELOCATE, GIVE_UP = VmAction.RESTART, VmAction.RELOCATE, VmAction.GIVE_UP


def done(*actions):
    nothing = dict.fromkeys(VmRecovery.__slots__)
    return [VmRecovery(**{**nothing, "id": n, "action": str(a)}) for n, a in enumerate(actions)]


@pytest.mark.parametrize(
    ("before", "limits", "expected"),
    [
        ([], Limits(3, 1), RESTART),
        ([RESTART, RESTART], Limits(3, 1), RESTART),
        ([RESTART] * 3, Limits(3, 1), RELOCATE),
        ([RESTART] * 4, Limits(3, 1), RELOCATE),
        ([RESTART] * 3, Limits(3, 0), GIVE_UP),
        ([RESTART, RESTART, RESTART, RELOCATE], Limits(3, 1), GIVE_UP),
        ([RESTART, RESTART, RESTART, RELOCATE], Limits(3, 2), RELOCATE),
        ([RELOCATE], Limits(3, 1), RESTART),
        ([RELOCATE, GIVE_UP], Limits(1, 1), RESTART),
        ([RESTART, RELOCATE, GIVE_UP], Limits(1, 1), GIVE_UP),
        ([], Limits(0, 1), RELOCATE),
        ([], Limits(0, 0), GIVE_UP),
    ],
    ids=[
        "the first time",
        "below the limit",
        "limit reached: moved",
        "limit lowered since: moved",
        "limit reached, moving not allowed",
        "moved too",
        "moved once of two times",
        "restarts of its new host count anew only by the window",
        "what was given up is no restart",
        "given up before",
        "restarting not allowed",
        "nothing allowed",
    ],
)
def test_decide(before, limits, expected):
    assert escalation.decide(done(*before), limits) == expected


# ---- what the database and the configuration make of it


@pytest.fixture
def job(claim, conf):
    conf.set_override("max_restarts", 2, "instance_failure")
    conf.set_override("restart_window", 600, "instance_failure")
    return claim(type="VM", payload=FAILED)


def begin(job, action, *, of="n-before", attempt=1, vm=VM):
    db.vm_recoveries.begin(
        job.world.database,
        instance_uuid=vm,
        notification_uuid=of,
        attempt=attempt,
        action=action,
        host="compute1",
    )


def test_plan_restarts_of_others_count(job):
    begin(job, RESTART, of="n1")
    assert escalation.plan(job) == RESTART

    begin(job, RESTART, of="n2")
    assert escalation.plan(job) == GIVE_UP


def test_plan_other_vms_do_not_count(job):
    begin(job, RESTART, of="n1", vm="00000000-0000-4000-8000-000000000002")
    begin(job, RESTART, of="n2", vm="00000000-0000-4000-8000-000000000002")

    assert escalation.plan(job) == RESTART


def test_plan_what_is_older_than_the_window_is_forgiven(job):
    begin(job, RESTART, of="n1")
    begin(job, RESTART, of="n2")

    job.world.clock.sleep(599)
    assert escalation.plan(job) == GIVE_UP
    job.world.clock.sleep(2)
    assert escalation.plan(job) == RESTART


def test_plan_continued_attempt_goes_on_with_what_it_had_begun(job):
    """An engine that died had begun the last restart that was allowed."""
    begin(job, RESTART, of="n1")
    begin(job, RESTART, of=job.uuid)

    assert escalation.plan(job) == RESTART


def test_plan_continued_attempt_goes_on_with_the_last_thing(job):
    begin(job, RESTART, of=job.uuid)
    begin(job, RELOCATE, of=job.uuid)

    assert escalation.plan(job) == RELOCATE


def test_plan_restarts_of_an_earlier_try_of_the_same_count(job):
    begin(job, RESTART, of="n1")
    begin(job, RESTART, of=job.uuid, attempt=0)

    assert escalation.plan(job) == GIVE_UP


@pytest.mark.parametrize(
    ("allowed", "moved", "expected"),
    [(0, 0, RESTART), (1, 0, RELOCATE), (1, 1, RESTART), (2, 1, RELOCATE)],
    ids=["not allowed", "allowed", "done already", "one is left"],
)
def test_after_failed_restart_it_is_moved_where_allowed(job, conf, allowed, moved, expected):
    conf.set_override("max_relocations", allowed, "instance_failure")
    for n in range(moved):
        begin(job, RELOCATE, of=f"n{n}")

    assert escalation.after_failed_restart(job) == expected


def test_complaint_counts_what_was_tried_within_the_window(job):
    begin(job, RESTART, of="n1")
    job.world.clock.sleep(datetime.timedelta(minutes=11).total_seconds())
    begin(job, RESTART, of="n2")
    begin(job, RELOCATE, of="n2")

    said = escalation.complaint(job)

    assert "(within 600 s restarts: 1, relocations: 1)" in said
