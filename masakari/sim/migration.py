"""How the simulated Nova moves a VM by cold migration, and confirms that.

Nova: resize and confirm_resize in compute/api.py; prep_resize, resize_instance, finish_resize and
confirm_resize in compute/manager.py; _cold_migrate in conductor/manager.py.  The VM belongs to its
new host already while it is being finished there, and stays there when that fails.
"""

from dataclasses import dataclass

from masakari.sim import scheduler
from masakari.sim.faults import ApiError, Outcome
from masakari.sim.guards import check_service, check_state
from masakari.sim.records import POWER_STATES, Action, Host, Move, Vm
from masakari.sim.site import Site

PREPARED = 0.1
MOVED = 0.6
"""Shares of a migration's time after which its steps are over."""


@dataclass(eq=False)
class _Migration:
    vm: Vm
    move: Move
    source: Host
    action: Action
    seconds: float
    outcome: Outcome | None
    was: str
    """vm_state before"""
    incarnation: int


def ask(
    site: Site,
    vm: Vm,
    user: str,
    *,
    name: str = "migrate",
    seconds: float | None = None,
    outcome: Outcome | None = None,
) -> None:
    """Nova has accepted to move the VM; *name* is that of the action, `resize` if it is one.

    *outcome* FAIL: its host cannot hand it over, and it is off and in error there; STRAND: its new
    host cannot start it, and it is off and in error there; ROLLBACK or NO_HOST: it is as before;
    HANG: that never ends.
    """
    source = site.hosts[vm.host]
    check_state(vm, name, ("active", "stopped"))
    check_service(site.is_up(source))
    seconds = site.settings.migration_s if seconds is None else seconds
    move = Move(
        id=site.next_move_id(),
        vm=vm,
        source=source.name,
        dest=None,
        status="pre-migrating",
        created=site.now(),
        kind="migration" if name == "migrate" else name,
    )
    site.cold_moves[move.id] = move
    migration = _Migration(
        vm=vm,
        move=move,
        source=source,
        action=site.record(vm, name, user),
        seconds=seconds,
        outcome=outcome,
        was=vm.vm_state,
        incarnation=source.incarnation,
    )
    vm.task_state, vm.updated = "resize_prep", site.now()
    site.later(PREPARED * seconds, lambda: _prepare(site, migration))


def confirm(site: Site, vm: Vm, user: str) -> None:
    """Nova has accepted to clean up where the VM was before its oldest unconfirmed move.

    It may be an older one than the last, where the state of a resized VM was reset in between.
    """
    check_state(vm, "confirmResize", ("resized",))
    moves = site.cold_moves.values()
    move = next((m for m in moves if m.vm is vm and m.status == "finished"), None)
    if move is None:
        raise ApiError(400, "Instance has not been resized.")
    left = site.hosts[move.source]
    check_service(site.is_up(left))
    site.record(vm, "confirmResize", user)
    move.status, move.updated = "confirming", site.now()

    def end() -> None:
        if not left.works or vm.id not in site.vms or vm.vm_state != "resized":
            return
        if left.name != vm.host:
            site.drop_guest(left, vm.id)
        move.status, move.updated = "confirmed", site.now()
        # Nova goes by the power state, so that a VM that was off stays so.
        is_off = vm.power_state == POWER_STATES["stopped"]
        vm.vm_state, vm.task_state = "stopped" if is_off else "active", None
        vm.updated = site.now()

    site.later(site.settings.power_change_s, end)


def _goes_on(migration: _Migration, task: str, host: Host, incarnation: int) -> bool:
    """Whether the host still works on it; if not, nobody finishes it."""
    vm = migration.vm
    is_lost = not host.works or host.incarnation != incarnation
    return not is_lost and vm.task_state == task and vm.id in host.vms


def _prepare(site: Site, migration: _Migration) -> None:
    vm, source, move = migration.vm, migration.source, migration.move
    if not source.works:
        source.waiting.append(lambda: _prepare(site, migration))
        return
    if source.incarnation != migration.incarnation:
        _fail_late(site, migration)
        return
    if not _goes_on(migration, "resize_prep", source, migration.incarnation):
        return
    dest = None
    if migration.outcome is not Outcome.NO_HOST:
        dest = scheduler.choose(site, source=source.name, zone=vm.zone)
    if dest is None or migration.outcome is Outcome.ROLLBACK:
        _fail(site, migration, migration.was)
        return
    move.dest = dest.name
    _step(site, migration, "resize_migrating", "migrating")
    site.set_guest(source, vm, False)
    dest.claims += 1
    if migration.outcome is not Outcome.HANG:
        wait = (MOVED - PREPARED) * migration.seconds
        incarnation = dest.incarnation
        site.later(wait, lambda: _move(site, migration, dest, incarnation))


def _move(site: Site, migration: _Migration, dest: Host, incarnation: int) -> None:
    vm, source = migration.vm, migration.source
    dest.claims -= 1
    if not _goes_on(migration, "resize_migrating", source, migration.incarnation):
        return
    if migration.outcome is Outcome.FAIL:
        vm.power_state = POWER_STATES["stopped"]
        _fail(site, migration, "error")
        return
    del source.vms[vm.id]
    dest.vms[vm.id] = vm
    vm.host = dest.name
    _step(site, migration, "resize_finish", "post-migrating")
    wait = (1 - MOVED) * migration.seconds
    site.later(wait, lambda: _finish(site, migration, dest, incarnation))


def _finish(site: Site, migration: _Migration, dest: Host, incarnation: int) -> None:
    vm = migration.vm
    if not _goes_on(migration, "resize_finish", dest, incarnation):
        return
    if migration.outcome is Outcome.STRAND:
        vm.power_state = POWER_STATES["stopped"]
        _fail(site, migration, "error")
        return
    runs = migration.was != "stopped"
    site.set_guest(dest, vm, runs)
    vm.vm_state, vm.power_state = "resized", POWER_STATES["active" if runs else "stopped"]
    _step(site, migration, None, "finished")


def _step(site: Site, migration: _Migration, task: str | None, status: str) -> None:
    vm, move = migration.vm, migration.move
    vm.task_state, move.status = task, status
    vm.updated = move.updated = site.now()


def _fail(site: Site, migration: _Migration, vm_state: str) -> None:
    migration.action.message = "Error"
    migration.vm.vm_state = vm_state
    _step(site, migration, None, "error")


def _fail_late(site: Site, migration: _Migration) -> None:
    """The host gets the request after a restart: in error, with a task that stays (on Nova 34)."""
    vm = migration.vm
    if vm.id in migration.source.vms and vm.task_state in (None, "resize_prep"):
        _fail(site, migration, "error")
        vm.task_state = "resize_migrating"
