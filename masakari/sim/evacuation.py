"""How the simulated Nova evacuates a VM: schedule, claim, spawn, settle.

The steps and their traces in the database are those of Nova's conductor and compute manager
(rebuild_instance): the server's host changes a moment after its task_state is null again, and the
migration is `done` last.
"""

from dataclasses import dataclass

from masakari.sim import ledger, scheduler
from masakari.sim.faults import Outcome
from masakari.sim.records import POWER_STATES, Host, Move, Vm
from masakari.sim.site import Site

SCHEDULED = 0.1
SPAWNED = 0.97
"""Shares of an evacuation's time after which its steps are over."""


@dataclass(eq=False)
class _Evacuation:
    move: Move
    seconds: float
    outcome: Outcome | None
    was: str
    """vm_state before"""
    ends_stopped: bool
    wanted: str | None = None
    dest: Host | None = None
    incarnation: int = 0


def begin(
    site: Site,
    vm: Vm,
    *,
    wanted: str | None,
    seconds: float,
    outcome: Outcome | None,
    ends_stopped: bool,
) -> None:
    """Nova has accepted to evacuate the VM (onto the host *wanted*)."""
    move = Move(
        id=site.next_move_id(),
        vm=vm,
        source=vm.host,
        dest=wanted,
        status="accepted",
        created=site.now(),
    )
    unfinished = [
        m.id
        for m in site.moves.values()
        if m.vm is vm and m.source == vm.host and _may_arrive(site, m)
    ]
    site.moves[move.id] = move
    site.ledger.accepted(ledger.Evacuation(vm.id, vm.host, site.now(), move.id, unfinished))
    vm.task_state = "rebuilding"
    vm.updated = site.now()
    evacuation = _Evacuation(move, seconds, outcome, vm.vm_state, ends_stopped, wanted)
    site.later(SCHEDULED * seconds, lambda: _schedule(site, evacuation))


def _may_arrive(site: Site, move: Move) -> bool:
    """Whether it has arrived or still can: what was under way to a host that died cannot."""
    if move.status in ("failed", "error"):
        return False
    if move.status != "pre-migrating" or move.dest is None:
        return True
    dest = site.hosts[move.dest]
    return dest.powered and dest.incarnation == move.incarnation


def _schedule(site: Site, evacuation: _Evacuation) -> None:
    move, vm = evacuation.move, evacuation.move.vm
    dest = None
    if evacuation.outcome is not Outcome.NO_HOST:
        dest = scheduler.choose(site, source=move.source, wanted=evacuation.wanted, zone=vm.zone)
    if dest is None:
        _end(site, move, "error")
        vm.vm_state, vm.task_state, vm.updated = "error", None, site.now()
        return
    dest.claims += 1
    evacuation.dest, evacuation.incarnation = dest, dest.incarnation
    move.incarnation = dest.incarnation
    move.dest, move.status, move.updated = dest.name, "pre-migrating", site.now()
    vm.task_state, vm.updated = "rebuild_spawning", site.now()
    if evacuation.outcome is not Outcome.HANG:
        wait = (SPAWNED - SCHEDULED) * evacuation.seconds
        site.later(wait, lambda: _spawn(site, evacuation, dest))


def _spawn(site: Site, evacuation: _Evacuation, dest: Host) -> None:
    move, vm = evacuation.move, evacuation.move.vm
    if not dest.works or dest.incarnation != evacuation.incarnation:
        return  # The destination died meanwhile: nobody finishes this.
    if vm.id not in site.vms:
        dest.claims -= 1
        _end(site, move, "failed")
        return
    if evacuation.outcome in (Outcome.FAIL, Outcome.ROLLBACK):
        dest.claims -= 1
        _end(site, move, "failed")
        if evacuation.outcome is Outcome.FAIL:
            vm.vm_state = "error"
        vm.task_state, vm.updated = None, site.now()
        return
    rests = evacuation.ends_stopped or evacuation.was == "stopped"
    site.set_guest(dest, vm, not rests)
    vm.vm_state, vm.task_state = "active", "powering-off" if rests else None
    vm.power_state, vm.updated = POWER_STATES["active"], site.now()
    wait = (1 - SPAWNED) * evacuation.seconds
    site.later(wait, lambda: _settle(site, evacuation, dest, rests))


def _settle(site: Site, evacuation: _Evacuation, dest: Host, rests: bool) -> None:
    move, vm = evacuation.move, evacuation.move.vm
    if not dest.works or dest.incarnation != evacuation.incarnation:
        return
    dest.claims -= 1
    _end(site, move, "done")
    site.hosts[vm.host].vms.pop(vm.id, None)
    dest.vms[vm.id] = vm
    vm.host = dest.name
    if rests:
        vm.vm_state, vm.task_state = "stopped", None
        vm.power_state = POWER_STATES["stopped"]
    vm.updated = site.now()


def _end(site: Site, move: Move, status: str) -> None:
    move.status, move.updated = status, site.now()
