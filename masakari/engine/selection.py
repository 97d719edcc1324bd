"""Which VMs of a dead host are recovered, and in which order.  Pure."""

from collections.abc import Iterable, Mapping, Sequence

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


def select(
    servers: Sequence[Server],
    *,
    source: str,
    ha_key: str,
    all_servers: bool,
    ignore_error: bool,
    before: Mapping[str, VMove],
) -> list[NewMove]:
    """The moves of an attempt, the HA-enabled VMs first; those left alone are `ignored`.

    *before*: moves of earlier attempts by VM; they know the state that a VM had before we
    touched it.
    """
    moves: list[NewMove] = []
    for server in sorted(servers, key=lambda s: not is_ha_enabled(s, ha_key)):
        vm_state, task_state, power_state = _state(server, before)
        reason = None
        if server.vm_state in GONE or server.task_state in GOING:
            reason = f"Deleted by its owner (vm_state {vm_state}, task_state {task_state})."
        elif not all_servers and not is_ha_enabled(server, ha_key):
            reason = f"Not HA-enabled (metadata {ha_key})."
        elif ignore_error and vm_state == "error":
            reason = "In vm_state error, which the configuration leaves alone."
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


def earliest(moves: Iterable[VMove]) -> dict[str, VMove]:
    """For each VM the move of the first attempt that had it."""
    found: dict[str, VMove] = {}
    for move in sorted(moves, key=lambda m: m.attempt):
        found.setdefault(move.instance_uuid, move)
    return found


def _state(
    server: Server, before: Mapping[str, VMove]
) -> tuple[str | None, str | None, int | None]:
    move = before.get(server.id)
    if move is not None and move.vm_state is not None:
        return move.vm_state, move.task_state, move.power_state
    return server.vm_state, server.task_state, server.power_state
