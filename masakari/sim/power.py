"""How the simulated Nova stops and starts VMs, also by itself when one has died.

Nova: stop_instance, start_instance, handle_lifecycle_event and _sync_instance_power_state in
compute/manager.py.
"""

from dataclasses import dataclass

from masakari.sim.faults import Outcome
from masakari.sim.guards import check_state
from masakari.sim.records import POWER_STATES, RUNNING_STATES, Action, Host, Vm
from masakari.sim.site import Site


@dataclass(frozen=True, slots=True)
class Change:
    """What one action does to a VM that stays where it is."""

    allowed: tuple[str, ...]
    """vm_states in which Nova accepts it (the decorators of compute/api.py)"""
    task: str
    """task_state until it is done"""
    becomes: str
    """vm_state then"""


CHANGES = {
    "stop": Change(("active", "error"), "powering-off", "stopped"),
    "start": Change(("stopped",), "powering-on", "active"),
    "reboot": Change(
        ("active", "stopped", "paused", "suspended", "error"), "rebooting_hard", "active"
    ),
    "pause": Change(("active",), "pausing", "paused"),
    "unpause": Change(("paused",), "unpausing", "active"),
    "suspend": Change(("active",), "suspending", "suspended"),
    "resume": Change(("suspended",), "resuming", "active"),
    "rescue": Change(("active", "stopped", "error"), "rescuing", "rescued"),
    "unrescue": Change(("rescued",), "unrescuing", "active"),
    "rebuild": Change(("active", "stopped", "error"), "rebuilding", "active"),
}


def ask(
    site: Site,
    vm: Vm,
    action: str,
    user: str | None,
    *,
    seconds: float | None = None,
    outcome: Outcome | None = None,
) -> None:
    """Nova has accepted the action, and its host carries it out, if it works.

    *outcome* FAIL: the VM is in error then; ROLLBACK: it is as before, which is what becomes of a
    start that fails; HANG: that never ends.
    """
    change = CHANGES[action]
    check_state(vm, action, change.allowed)
    _begin(site, vm, change, site.record(vm, action, user), seconds=seconds, outcome=outcome)


def die(site: Site, vm: Vm, *, noticed: bool) -> None:
    """The VM's guest ends where it runs; Nova notices a moment later, or not at all."""
    host = site.hosts[vm.host]
    if host.guests.get(vm.id):
        site.set_guest(host, vm, False)
    if noticed:
        site.later(site.settings.crash_noticed_s, lambda: _sync(site, host, vm))


def _sync(site: Site, host: Host, vm: Vm) -> None:
    """Nova takes over that a guest is off; a VM with a task is left to that."""
    is_off = vm.id in host.guests and not host.guests[vm.id]
    if not host.works or vm.id not in host.vms or not is_off or vm.task_state is not None:
        return
    vm.power_state, vm.updated = POWER_STATES["stopped"], site.now()
    if vm.vm_state in ("active", "paused"):
        # An admin context of nova-compute's own: the action has neither user nor project.
        _begin(site, vm, CHANGES["stop"], site.record(vm, "stop", None))


def _begin(
    site: Site,
    vm: Vm,
    change: Change,
    action: Action,
    *,
    seconds: float | None = None,
    outcome: Outcome | None = None,
) -> None:
    host = site.hosts[vm.host]
    was = vm.vm_state
    vm.task_state, vm.updated = change.task, site.now()
    if outcome is Outcome.HANG:
        return

    def begin() -> None:
        if host.works:
            site.later(site.settings.power_change_s if seconds is None else seconds, end)
        else:
            host.waiting.append(begin)

    def end() -> None:
        if vm.id not in host.vms or vm.task_state != change.task:
            return
        if not host.works:
            host.waiting.append(begin)  # nova-compute begins again when it starts
            return
        vm.task_state, vm.updated = None, site.now()
        # where a migration ended half-way, there is no guest that could be stopped
        is_missing = action.name == "stop" and vm.id not in host.guests
        if outcome is not None or is_missing:
            action.message = "Error"
            vm.vm_state = "error" if outcome is Outcome.FAIL else was
            return
        stays_off = change.task == "rebuilding" and was == "stopped"
        vm.vm_state = was if stays_off else change.becomes
        vm.power_state = POWER_STATES[vm.vm_state]
        site.set_guest(host, vm, vm.vm_state in RUNNING_STATES)

    begin()
