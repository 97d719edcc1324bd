"""The last lines of a simulated run's log: what became of notifications, VMs and hosts."""

from collections.abc import Iterator

from masakari.db.models import Host, Notification, VMove
from masakari.sim import cloud_rows
from masakari.sim.records import Vm
from masakari.sim.system import System
from masakari.states import VMoveStatus


def tell(system: System) -> None:
    """Each notification, each VM that was not moved, each VM, and hosts that are not as usual."""
    for line in (*_notifications(system), *_vms(system), *_hosts(system)):
        system.story.conclude(line)


def _notifications(system: System) -> Iterator[str]:
    for n in system.notifications():
        yield f"notification {n.notification_uuid}: {n.status} ({n.message})"
        for name, message in _left_alone(system, n).items():
            yield f"{name} was not moved: {message}"


def _left_alone(system: System, n: Notification) -> dict[str, str | None]:
    """Why VMs were deliberately not moved, by their names."""
    latest = {move.instance_name: move for move in reversed(system.moves(n))}
    ignored = [move for move in latest.values() if move.status == VMoveStatus.IGNORED]
    return {str(move.instance_name): move.message for move in sorted(ignored, key=_name)}


def _name(move: VMove) -> str:
    return str(move.instance_name)


def _vms(system: System) -> Iterator[str]:
    running = system.cloud.running()
    for vm in sorted(system.cloud.vms.values(), key=lambda vm: vm.serial):
        yield f"{vm.name}: {_state(vm)}; runs on {', '.join(running.get(vm.name, [])) or 'nowhere'}"


def _state(vm: Vm) -> str:
    return f"{vm.vm_state} on {vm.host}{', locked' if vm.locked else ''}"


def _hosts(system: System) -> Iterator[str]:
    """Those that are not up, enabled and in service, or that are or were reserved."""
    for host in system.hosts():
        if odd := _odd(system, host):
            yield f"{host.name}: {', '.join(odd)}"


def _odd(system: System, host: Host) -> list[str]:
    service = cloud_rows.service(system.cloud, system.cloud.hosts[host.name])
    odd = [service.state] if service.is_down else []
    odd += [] if service.is_enabled else [service.status]
    odd += ["on maintenance"] if host.on_maintenance else []
    if host.name in system.reserved_hosts:
        odd.append("reserved" if host.reserved else "reserved no more")
    return odd + [f"joined {name}" for name in system.joined(host.name)]
