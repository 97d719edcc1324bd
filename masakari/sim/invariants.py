"""What must hold after every simulated run, whatever its log says.

These promises are checked by looking at the cloud's ledger, at what was done to each VM and at the
database; no expected log can make a broken one acceptable.
"""

import datetime
from collections.abc import Iterator, Sequence

from masakari import db
from masakari.sim import hearing
from masakari.sim.records import OPERATOR, OWNER, Action
from masakari.sim.system import System
from masakari.states import (
    MIGRATION_ARRIVED,
    OPEN_STATUSES,
    NotificationType,
    VMoveStatus,
)

Time = datetime.datetime

SERVICE_USER = OPERATOR
"""As whom the engines act, in the simulated Nova's records."""


def broken(system: System) -> list[str]:
    """The promises that were broken, a sentence each."""
    return [
        *system.cloud.violations(),
        *_unproven(system),
        *_too_many(system),
        *_left_locked(system),
        *_not_settled(system),
        *_lost_on_the_way(system),
        *_reserved_hosts(system),
        *_maintenance(system),
        *_too_often(system),
        *_against_the_owner(system),
        *_excluded(system),
        *_observed(system),
        *hearing.broken(system),
        *_defects(system),
    ]


# ---- evacuations


def _unproven(system: System) -> Iterator[str]:
    for what in system.audit.unproven:
        yield f"Nova was asked to evacuate {what} while no proof was stored"
    for what in system.audit.not_held:
        yield f"Nova was asked to evacuate {what}, which was not held for that recovery"


def _too_many(system: System) -> Iterator[str]:
    limit = system.conf.host_failure_recovery_threads
    for host, peak in system.audit.peak_in_flight.items():
        if peak > limit:
            yield f"{peak} evacuations from {host} were in flight, {limit} are allowed"


def _left_locked(system: System) -> Iterator[str]:
    for name in system.cloud.left_locked():
        yield f"{name} was left locked, or unlocked although its owner had locked it"


# ---- notifications and moves


def _not_settled(system: System) -> Iterator[str]:
    for n in system.notifications():
        name = system.story.names.number("notification", n.notification_uuid)
        if n.status in OPEN_STATUSES:
            yield f"notification {name} is {n.status}, which is not final"
        if n.owner is not None or n.lease_until is not None:
            yield f"notification {name} is settled and still owned by {n.owner}"
        if not n.message:
            yield f"notification {name} ended {n.status} without a message"


def _lost_on_the_way(system: System) -> Iterator[str]:
    for n in system.notifications():
        for move in system.moves(n):
            yield from _unfinished(move)


def _unfinished(move: db.models.VMove) -> Iterator[str]:
    what = f"the move of {move.instance_name} (attempt {move.attempt})"
    if move.status in (VMoveStatus.PENDING, VMoveStatus.ONGOING):
        yield f"{what} is {move.status}"
    if move.locked:
        yield f"{what} is marked as locked"
    if move.status in (VMoveStatus.FAILED, VMoveStatus.IGNORED) and not move.message:
        yield f"{what} ended {move.status} without a message"


# ---- hosts


def _reserved_hosts(system: System) -> Iterator[str]:
    """A reserved host is used by a VM that landed there, or it is as it was before."""
    failed = {
        n.source_host_uuid
        for n in system.notifications()
        if n.type == NotificationType.COMPUTE_HOST
    }
    for host in system.hosts():
        if host.name not in system.reserved_hosts:
            continue
        if host.reserved:
            yield from _kept(system, host)
        elif host.uuid not in failed and not _landed_on(system, host.name):
            yield f"{host.name} is not reserved any more, and no VM has landed there"


def _kept(system: System, host: db.models.Host) -> Iterator[str]:
    if host.reserved_for is not None:
        yield f"{host.name} is reserved and still held for a recovery"
    if not system.cloud.hosts[host.name].disabled:
        yield f"{host.name} is reserved and its compute service is enabled"
    if joined := system.joined(host.name):
        yield f"{host.name} is reserved and still in {', '.join(joined)}"


def _landed_on(system: System, host: str) -> bool:
    return any(
        move.dest == host and move.status in MIGRATION_ARRIVED
        for move in system.cloud.moves.values()
    )


def _maintenance(system: System) -> Iterator[str]:
    """Of all processes only nova-compute's end puts a host on maintenance."""
    others = {
        n.notification_uuid: n.payload.get("process_name")
        for n in system.notifications()
        if n.type == NotificationType.PROCESS and n.payload.get("process_name") != "nova-compute"
    }
    for host in system.hosts():
        if host.on_maintenance and host.maintenance_by in others:
            process = others[host.maintenance_by]
            yield f"{host.name} was put on maintenance because of its process {process}"


# ---- what was done to VMs


def _too_often(system: System) -> Iterator[str]:
    """No VM was restarted or relocated more often than it may within the window.

    Unless an operator has wanted it tried anew.
    """
    options = system.conf.instance_failure
    retried = {
        n.payload.get("instance_uuid") for n in system.notifications() if n.retried_at is not None
    }
    window = datetime.timedelta(seconds=options.restart_window)
    for server_id, actions in system.cloud.action_records.items():
        if server_id in retried:
            continue
        name = system.cloud.name_of(server_id)
        restarts, relocations = _recoveries(actions)
        for what, times, limit in (
            ("restarted", restarts, options.max_restarts),
            ("relocated", relocations, options.max_relocations),
        ):
            most = _most_within(times, window)
            if most > limit:
                yield f"{name} was {what} {most} times within the window, {limit} are allowed"


def _recoveries(actions: Sequence[Action]) -> tuple[list[Time], list[Time]]:
    """When our user restarted the VM and when it moved it, the start after a move included."""
    restarts, relocations = [], []
    is_moving = False
    for action in actions:
        if action.user != SERVICE_USER:
            continue
        if action.name == "migrate":
            relocations.append(action.started)
            is_moving = True
        elif action.name == "start":
            if not is_moving:
                restarts.append(action.started)
            is_moving = False
    return restarts, relocations


def _most_within(times: Sequence[Time], window: datetime.timedelta) -> int:
    """So many of *times*, oldest first, lie within one window at most."""
    return max((sum(begin <= t < begin + window for t in times) for begin in times), default=0)


def _against_the_owner(system: System) -> Iterator[str]:
    """Nobody but its owner starts a VM that its owner has stopped."""
    for server_id, actions in system.cloud.action_records.items():
        is_stopped = False
        for action in actions:
            if action.user == OWNER:
                is_stopped = action.name == "stop"
            elif is_stopped and action.name == "start":
                yield f"{system.cloud.name_of(server_id)} was started, and its owner had stopped it"


def _excluded(system: System) -> Iterator[str]:
    """Nothing was done to a VM that is excluded from the start."""
    for vm in system.cloud.vms.values():
        rule = system.excluded(vm.id)
        actions = system.cloud.action_records[vm.id]
        done = [action.name for action in actions if action.user == SERVICE_USER]
        if rule is not None and done:
            yield f"{vm.name} is {rule}, and still: {', '.join(done)}"


def _observed(system: System) -> Iterator[str]:
    """Who only observes changes nothing."""
    for what in system.audit.not_only_observed:
        yield f"Nova was asked to {what}, and all is only to be observed"


def _defects(system: System) -> Iterator[str]:
    for trace in system.story.tracebacks:
        yield f"a component logged a traceback:\n{trace}"
