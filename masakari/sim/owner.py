"""What a VM's owner does to it, meanwhile; no fault hits it and no request is counted."""

from collections.abc import Callable

from masakari.sim import migration, power
from masakari.sim.faults import ApiError
from masakari.sim.records import OWNER, Vm
from masakari.sim.site import Site


def act(site: Site, vm: Vm, action: str) -> None:
    """Nova has accepted what the owner asked for.  Raises ApiError as Nova refuses.

    *action* is one of power.CHANGES, lock, unlock, delete, resize, confirmResize.
    """
    if vm.locked and action not in _EVEN_IF_LOCKED:
        raise ApiError(409, f"Instance {vm.id} is locked")  # check_instance_lock, compute/api.py
    if action in power.CHANGES:
        power.ask(site, vm, action, OWNER)
    else:
        _OTHERS[action](site, vm)


def _lock(site: Site, vm: Vm, locked: bool) -> None:
    site.record(vm, "lock" if locked else "unlock", OWNER)
    vm.locked = vm.locked_by_owner = locked
    vm.locked_reason, vm.updated = None, site.now()


def _delete(site: Site, vm: Vm) -> None:
    site.record(vm, "delete", OWNER)
    site.delete_server(vm.id)


_EVEN_IF_LOCKED = ("lock", "unlock")
_OTHERS: dict[str, Callable[[Site, Vm], None]] = {
    "lock": lambda site, vm: _lock(site, vm, True),
    "unlock": lambda site, vm: _lock(site, vm, False),
    "delete": _delete,
    "resize": lambda site, vm: migration.ask(site, vm, OWNER, name="resize"),
    "confirmResize": lambda site, vm: migration.confirm(site, vm, OWNER),
}
