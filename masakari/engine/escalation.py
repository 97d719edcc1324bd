"""Crash loops: what is tried for a VM that failed, given how often that was tried before."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from masakari import db
from masakari.db.models import VmRecovery
from masakari.engine.world import Job
from masakari.errors import RecoveryIgnored
from masakari.states import Reason, VmAction


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a VM is brought back within a window of time."""

    restarts: int
    relocations: int


def decide(before: Sequence[VmRecovery], limits: Limits) -> VmAction:
    """The next action after those *before*, all of them within the window.  Pure."""
    if sum(r.action == VmAction.RESTART for r in before) < limits.restarts:
        return VmAction.RESTART
    if sum(r.action == VmAction.RELOCATE for r in before) < limits.relocations:
        return VmAction.RELOCATE
    return VmAction.GIVE_UP


def plan(job: Job) -> VmAction:
    """What this attempt does.

    One that was begun goes on with what it had begun, and a move that was done by half is brought
    to its end.
    """
    done = db.vm_recoveries.of_notification(job.world.database, job.uuid)
    mine = [r for r in done if r.attempt == job.notification.attempt]
    if mine:
        return VmAction(mine[-1].action)
    moves = [r for r in done if r.action == VmAction.RELOCATE]
    if moves and job.world.cloud.server(job.vm).host != moves[-1].host:
        return VmAction.RELOCATE
    return decide(_within_window(job), _limits(job))


def refuse_nothing(job: Job) -> None:
    """Raise RecoveryIgnored where nothing may be done for any VM."""
    limits = _limits(job)
    if limits.restarts == limits.relocations == 0:
        raise RecoveryIgnored(
            "Neither restarts nor relocations of VMs are allowed.", reason=Reason.EXCLUDED
        )


def after_failed_restart(job: Job) -> VmAction:
    """What this attempt does after its restart failed: RESTART means nothing more."""
    limits = _limits(job)
    moves = sum(r.action == VmAction.RELOCATE for r in _within_window(job))
    if moves < limits.relocations:
        return VmAction.RELOCATE
    return VmAction.RESTART


def complaint(job: Job) -> str:
    """Why nothing more is tried, in one sentence."""
    conf, before = job.world.conf.instance_failure, _within_window(job)
    restarts = sum(r.action == VmAction.RESTART for r in before)
    moves = sum(r.action == VmAction.RELOCATE for r in before)
    return (
        f"The VM fails again and again (within {conf.restart_window} s restarts: {restarts}, "
        f"relocations: {moves}); it is left in error until somebody looks."
    )


def _limits(job: Job) -> Limits:
    conf = job.world.conf.instance_failure
    return Limits(conf.max_restarts, conf.max_relocations)


def _within_window(job: Job) -> list[VmRecovery]:
    world = job.world
    since = world.clock.now() - datetime.timedelta(
        seconds=world.conf.instance_failure.restart_window
    )
    if job.notification.retried_at is not None:  # somebody has looked, and it counts anew
        since = max(since, job.notification.retried_at)
    return db.vm_recoveries.history(world.database, job.vm, since=since)
