"""The checks of a failed VM: each by itself, and which one speaks first."""

import dataclasses
import datetime

import pytest

from masakari.cloud import Action, Server
from masakari.engine import vm_checks
from masakari.states import NotificationStatus, Reason

IGNORED, FINISHED = NotificationStatus.IGNORED, NotificationStatus.FINISHED
AT = datetime.datetime(2026, 1, 1, 12)
"""of the event"""


def seconds(count):
    return AT + datetime.timedelta(seconds=count)


def server(**state):
    return Server(**{"id": "vm1", "name": "web", "host": "compute1", "vm_state": "active", **state})


FACTS = vm_checks.Facts(
    host="compute1",
    excluded=None,
    is_enabled=True,
    ha_key="HA_Enabled",
    event_at=AT,
    newest_action=None,
    restarted_at=None,
    own_user="masakari",
    was_relocated=False,
    evacuated_to=None,
)


def facts(**known):
    return dataclasses.replace(FACTS, **known)


def action(name, user="owner", at=AT):
    return Action(name=name, user_id=user, started_at=at, request_id="req-1")


def judged(vm, known):
    verdict = vm_checks.judge(vm, known)
    return verdict and (verdict.status, verdict.reason)


LEFT = {
    "deleted": (server(vm_state="deleted"), facts(), IGNORED, Reason.VM_GONE),
    "deleted for now": (server(vm_state="soft-delete"), facts(), IGNORED, Reason.VM_GONE),
    "being deleted": (server(task_state="deleting"), facts(), IGNORED, Reason.VM_GONE),
    "being deleted for now": (server(task_state="soft-deleting"), facts(), IGNORED, Reason.VM_GONE),
    "elsewhere": (server(host="compute2"), facts(), IGNORED, Reason.VM_MOVED),
    "nowhere": (server(host=None), facts(), IGNORED, Reason.VM_MOVED),
    "excluded": (server(), facts(excluded="names: *"), IGNORED, Reason.EXCLUDED),
    "not HA-enabled": (server(), facts(is_enabled=False), FINISHED, Reason.NOT_HA_ENABLED),
    "paused": (server(vm_state="paused"), facts(), IGNORED, Reason.VM_STATE),
    "suspended": (server(vm_state="suspended"), facts(), IGNORED, Reason.VM_STATE),
    "rescued": (server(vm_state="rescued"), facts(), IGNORED, Reason.VM_STATE),
    "shelved": (server(vm_state="shelved_offloaded"), facts(), IGNORED, Reason.VM_STATE),
    "being built": (server(vm_state="building"), facts(), IGNORED, Reason.VM_STATE),
    "in a state unknown to us": (server(vm_state="new"), facts(), IGNORED, Reason.VM_STATE),
    "locked": (server(locked=True), facts(), IGNORED, Reason.VM_LOCKED),
    "restarted by us since": (
        server(),
        facts(restarted_at=seconds(0.5)),
        FINISHED,
        Reason.ALREADY_RECOVERED,
    ),
    "started by its owner since": (
        server(),
        facts(newest_action=action("start", at=seconds(2))),
        FINISHED,
        Reason.ALREADY_RECOVERED,
    ),
    "rebuilt by its owner since": (
        server(),
        facts(newest_action=action("rebuild", at=seconds(2))),
        FINISHED,
        Reason.ALREADY_RECOVERED,
    ),
    "evacuated since, and runs there": (
        server(host="compute2"),
        facts(evacuated_to="compute2"),
        FINISHED,
        Reason.ALREADY_RECOVERED,
    ),
    "evacuated since, and moved on by somebody": (
        server(host="compute3"),
        facts(evacuated_to="compute2"),
        IGNORED,
        Reason.VM_MOVED,
    ),
    "stopped by its owner": (
        server(vm_state="stopped"),
        facts(newest_action=action("stop")),
        IGNORED,
        Reason.STOPPED_BY_OWNER,
    ),
}


@pytest.mark.parametrize(("vm", "known", "status", "reason"), LEFT.values(), ids=LEFT)
def test_judge_says_why_it_is_left(vm, known, status, reason):
    assert judged(vm, known) == (status, reason)


OURS = {
    "dead, seen active": (server(), facts()),
    "dead, stopped by nobody": (
        server(vm_state="stopped"),
        facts(newest_action=action("stop", user=None)),
    ),
    "stopped, no action is on record": (server(vm_state="stopped"), facts()),
    "stopped, its owner's last act was another": (
        server(vm_state="stopped"),
        facts(newest_action=action("reboot", at=seconds(-60))),
    ),
    "in error": (server(vm_state="error"), facts()),
    "resized": (server(vm_state="resized"), facts()),
    "started by its owner before the event": (
        server(),
        facts(newest_action=action("start", at=seconds(-60))),
    ),
    "started in the second of the event": (
        server(),
        facts(newest_action=action("start", at=seconds(1))),
    ),
    "restarted by us before the event": (server(), facts(restarted_at=seconds(-0.5))),
    "touched by its owner since, not restarted": (
        server(),
        facts(newest_action=action("lock", at=seconds(60))),
    ),
    "restarted since, and dead again": (
        server(vm_state="stopped"),
        facts(restarted_at=seconds(60)),
    ),
    "stopped by us": (
        server(vm_state="stopped"),
        facts(newest_action=action("stop", user="masakari")),
    ),
    "evacuated while it was off": (
        server(host="compute2", vm_state="stopped"),
        facts(evacuated_to="compute2"),
    ),
    "elsewhere because we moved it": (server(host="compute2"), facts(was_relocated=True)),
}


@pytest.mark.parametrize(("vm", "known"), OURS.values(), ids=OURS)
def test_judge_ours_to_restart(vm, known):
    assert vm_checks.judge(vm, known) is None


WRONG = {
    Reason.VM_GONE: ({"task_state": "deleting"}, {}),
    Reason.VM_MOVED: ({"host": "compute2"}, {}),
    Reason.EXCLUDED: ({}, {"excluded": "names: *"}),
    Reason.NOT_HA_ENABLED: ({}, {"is_enabled": False}),
    Reason.VM_STATE: ({"vm_state": "paused"}, {}),
    Reason.VM_LOCKED: ({"locked": True}, {}),
    Reason.ALREADY_RECOVERED: ({}, {"restarted_at": seconds(60)}),
}


@pytest.mark.parametrize("reason", WRONG)
def test_judge_several_checks_speak_against_it_the_first_is_heard(reason):
    """All is wrong from the check of *reason* on."""
    later = list(WRONG)[list(WRONG).index(reason) :]
    state = {k: v for r in later for k, v in WRONG[r][0].items()}
    known = {k: v for r in later for k, v in WRONG[r][1].items()}

    assert judged(server(**state), facts(**known))[1] == reason


def test_judge_locked_by_its_owner_in_the_middle_ends_it():
    """Also a recovery that has begun leaves a VM that is not ours any more."""
    stopped_by_us = facts(newest_action=action("stop", user="masakari"))

    assert judged(server(vm_state="stopped", locked=True), stopped_by_us) == (
        IGNORED,
        Reason.VM_LOCKED,
    )
