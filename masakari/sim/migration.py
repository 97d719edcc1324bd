"""How the simulated Nova moves a VM by cold migration, and confirms that.

Nova: resize and confirm_resize in compute/api.py; prep_resize, resize_instance, finish_resize and
confirm_resize in compute/manager.py; _cold_migrate in conductor/manager.py.  The VM belongs to its
new host already while it is being finished there.
"""

from dataclasses import dataclass

from masakari.sim import scheduler
from masakari.sim.faults import ApiError, Outcome
from masakari.sim.guards import check_service, check_state
from masakari.sim.records import POWER_STATES, Action, Host, Vm
from masakari.sim.site import Site

PREPARED = 0.1
MOVED = 0.6
"""Shares of a migration's time after which its steps are over."""


@dataclass(eq=False)
class _Migration:
    vm: Vm
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
    action = site.record(vm, name, user)
    vm.task_state, vm.updated = "resize_prep", site.now()
    seconds = site.settings.migration_s if seconds is None else seconds
    migration = _Migration(vm, source, action, seconds, outcome, vm.vm_state, source.incarnation)
    site.later(PREPARED * seconds, lambda: _prepare(site, migration))


def confirm(site: Site, vm: Vm, user: str) -> None:
    """Nova has accepted to clean up where the VM was."""
    check_state(vm, "confirmResize", ("resized",))
    if vm.left is None or vm.confirming:
        raise ApiError(400, "Instance has not been resized.")
    left = site.hosts[vm.left]
    check_service(site.is_up(left))
    site.record(vm, "confirmResize", user)
    vm.confirming, vm.updated = True, site.now()

    def end() -> None:
        if not left.works or vm.id not in site.vms or vm.vm_state != "resized":
            return
        site.drop_guest(left, vm.id)
        vm.left, vm.confirming = None, False
        # Nova goes by the power state, so that a VM whose owner stopped it stays so.
        off = vm.power_state == POWER_STATES["stopped"]
        vm.vm_state, vm.task_state = "stopped" if off else "active", None
        vm.updated = site.now()

    site.later(site.settings.power_change_s, end)


def _goes_on(migration: _Migration, task: str, host: Host, incarnation: int) -> bool:
    """Whether the host still works on it; if not, nobody finishes it."""
    vm = migration.vm
    lost = not host.works or host.incarnation != incarnation
    return not lost and vm.task_state == task and vm.id in host.vms


def _prepare(site: Site, migration: _Migration) -> None:
    vm, source = migration.vm, migration.source
    if not _goes_on(migration, "resize_prep", source, migration.incarnation):
        return
    dest = None
    if migration.outcome is not Outcome.NO_HOST:
        dest = scheduler.choose(site, source=source.name, zone=vm.zone)
    if dest is None or migration.outcome is Outcome.ROLLBACK:
        _fail(site, migration, migration.was)
        return
    vm.task_state, vm.updated = "resize_migrating", site.now()
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
        _fail(site, migration, "error")
        return
    del source.vms[vm.id]
    dest.vms[vm.id] = vm
    vm.host, vm.left, vm.confirming = dest.name, source.name, False
    vm.task_state, vm.updated = "resize_finish", site.now()
    wait = (1 - MOVED) * migration.seconds
    site.later(wait, lambda: _finish(site, migration, dest, incarnation))


def _finish(site: Site, migration: _Migration, dest: Host, incarnation: int) -> None:
    vm = migration.vm
    if not _goes_on(migration, "resize_finish", dest, incarnation):
        return
    if migration.outcome is Outcome.STRAND:
        _fail(site, migration, "error")
        return
    runs = migration.was != "stopped"
    site.set_guest(dest, vm, runs)
    vm.vm_state, vm.task_state, vm.updated = "resized", None, site.now()
    vm.power_state = POWER_STATES["active" if runs else "stopped"]


def _fail(site: Site, migration: _Migration, vm_state: str) -> None:
    vm = migration.vm
    migration.action.message = "Error"
    vm.vm_state, vm.task_state, vm.updated = vm_state, None, site.now()
