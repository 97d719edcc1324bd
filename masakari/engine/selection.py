"""Which VMs of a dead host are recovered, and in which order.  Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from oslo_utils import strutils

from masakari.cloud import Server
from masakari.db.models import VMove
from masakari.db.vmoves import NewMove
from masakari.states import VMoveStatus

GONE = frozenset({"deleted", "soft-delete", "shelved_offloaded"})
"""vm_states in which nothing of a VM is on the host, or its owner wants nothing of it."""
GOING = frozenset({"deleting", "soft-deleting"})
"""task_states in which Nova removes the VM as soon as the host is back."""


def is_ha_enabled(server: Server, key: str) -> bool:
    """Its owner asked for recovery: metadata *key* is true (1 t true on y yes, any case)."""
    return bool(strutils.bool_from_string(server.metadata.get(key, ""), default=False))


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has configured."""

    ha_key: str
    """metadata key by which an owner asks for recovery"""
    all_servers: bool
    """also those that did not ask"""
    ignore_error: bool
    """leave VMs in vm_state error alone"""
    has_local_disks: bool
    """what is on the host's own disks is lost with it"""
    excluded: Callable[[Server], str | None]
    """the rule that excludes a VM"""


def select(
    servers: Sequence[Server], source: str, rules: Rules, before: Mapping[str, VMove]
) -> list[NewMove]:
    """The moves of a chapter, the HA-enabled VMs first; those left alone are `ignored`.

    *before*: earlier moves by VM; they know the state that a VM had before we touched it.
    """
    moves: list[NewMove] = []
    for server in sorted(servers, key=lambda s: not is_ha_enabled(s, rules.ha_key)):
        vm_state, task_state, power_state = _state(server, before)
        reason = _why_not(server, vm_state, rules)
        moves.append(
            NewMove(
                instance_uuid=server.id,
                instance_name=server.name,
                source_host=source,
                rank=len(moves),
                vm_state=vm_state,
                task_state=task_state,
                power_state=power_state,
                status=VMoveStatus.IGNORED if reason else VMoveStatus.PENDING,
                message=reason,
            )
        )
    return moves


def _why_not(server: Server, vm_state: str | None, rules: Rules) -> str | None:
    """Why the VM is left alone, or None; *vm_state*: before we touched it."""
    if server.vm_state in GONE or server.task_state in GOING:
        return f"Deleted by its owner (vm_state {vm_state}, task_state {server.task_state})."
    if (rule := rules.excluded(server)) is not None:
        return f"Left alone: {rule}."
    if not rules.all_servers and not is_ha_enabled(server, rules.ha_key):
        return f"Not HA-enabled (metadata {rules.ha_key})."
    if rules.ignore_error and vm_state == "error":
        return "In vm_state error, which the configuration leaves alone."
    if rules.has_local_disks and not server.boots_from_volume:
        return (
            "Its disk was on the failed host (ephemeral_storage local): it would come back empty."
        )
    return None


def earliest(moves: Iterable[VMove]) -> dict[str, VMove]:
    """For each VM the move of the first chapter that had it, and its state."""
    found: dict[str, VMove] = {}
    for move in sorted(moves, key=lambda m: (m.attempt, m.chapter)):
        if move.vm_state is not None:
            found.setdefault(move.instance_uuid, move)
    return found


def _state(
    server: Server, before: Mapping[str, VMove]
) -> tuple[str | None, str | None, int | None]:
    move = before.get(server.id)
    if move is not None:
        return move.vm_state, move.task_state, move.power_state
    return server.vm_state, server.task_state, server.power_state
