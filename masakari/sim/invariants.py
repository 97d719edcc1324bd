"""What must hold after every simulated run, whatever its log says.

These promises are checked by looking at the cloud's ledger and at the database; no expected log can
make a broken one acceptable.
"""

from collections.abc import Iterator

from masakari import db
from masakari.sim.system import System
from masakari.states import OPEN_STATUSES, VMoveStatus


def broken(system: System) -> list[str]:
    """The promises that were broken, a sentence each."""
    return [
        *system.cloud.violations(),
        *_unproven(system),
        *_too_many(system),
        *_left_locked(system),
        *_not_settled(system),
        *_lost_on_the_way(system),
        *_defects(system),
    ]


def _unproven(system: System) -> Iterator[str]:
    for what in system.unproven:
        yield f"Nova was asked to evacuate {what} while no proof was stored"


def _too_many(system: System) -> Iterator[str]:
    limit = system.conf.host_failure_recovery_threads
    for host, peak in system.peak_in_flight.items():
        if peak > limit:
            yield f"{peak} evacuations from {host} were in flight, {limit} are allowed"


def _left_locked(system: System) -> Iterator[str]:
    for name in system.cloud.left_locked():
        yield f"{name} was left locked, or unlocked although its owner had locked it"


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
    if move.status in (VMoveStatus.PENDING, VMoveStatus.ONGOING):
        yield f"the move of {move.instance_name} (attempt {move.attempt}) is {move.status}"
    if move.locked:
        yield f"the move of {move.instance_name} (attempt {move.attempt}) is marked as locked"
    if move.status in (VMoveStatus.FAILED, VMoveStatus.IGNORED) and not move.message:
        yield f"the move of {move.instance_name} ended {move.status} without a message"


def _defects(system: System) -> Iterator[str]:
    for trace in system.story.tracebacks:
        yield f"a component logged a traceback:\n{trace}"
