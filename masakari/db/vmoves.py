"""VMoves: the way of each VM off a failed host, per chapter of an attempt of a notification."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy import ColumnElement

from masakari.db import models, notifications, query
from masakari.db.models import VMove
from masakari.db.packed import Shown
from masakari.db.query import Page
from masakari.db.session import Transaction, reader, writer
from masakari.errors import Invalid, VMoveNotFound
from masakari.states import NotificationStatus, NotificationType, VMoveStatus, VMoveType

T = models.vmoves
N = models.notifications
_OURS = {"attempt", "rank", "vm_state", "task_state", "power_state", "locked", "chapter"}
_LISTING = query.listing(T, hidden=_OURS)
SORT_KEYS = sorted(_LISTING.sortable)
CANCELLED = "The VM was left where it was: an operator has cancelled its recovery."
_UNFINISHED = (str(VMoveStatus.PENDING), str(VMoveStatus.ONGOING))
_SETTLED = (
    NotificationStatus.FINISHED,
    NotificationStatus.IGNORED,
    NotificationStatus.FAILED,
    NotificationStatus.ERROR,
)


@dataclass(frozen=True, slots=True)
class NewMove:
    """A VM that a chapter is to move, and how Nova had it before."""

    instance_uuid: str
    instance_name: str
    source_host: str
    rank: int
    vm_state: str | None = None
    task_state: str | None = None
    power_state: int | None = None
    status: VMoveStatus = VMoveStatus.PENDING
    message: str | None = None


@writer
def prepare(
    tx: Transaction,
    notification_uuid: str,
    attempt: int,
    chapter: int,
    moves: Sequence[NewMove],
) -> list[VMove]:
    """All moves of the chapter by rank: *moves*, but VMs that it had already are as they were.

    Where an operator has cancelled the notification nothing is pending.
    """
    # whoever cancels it waits here
    cancelled_at = tx.connection.execute(
        sa.select(N.c.cancelled_at)
        .where(N.c.notification_uuid == notification_uuid)
        .with_for_update()
    ).scalar()
    if cancelled_at is not None:
        moves = [_cancelled(move) for move in moves]
    there = {m.instance_uuid for m in _of_chapter(tx, notification_uuid, attempt, chapter)}
    now = tx.clock_now()
    rows = [
        {
            "uuid": uuidutils.generate_uuid(),
            "notification_uuid": notification_uuid,
            "instance_uuid": move.instance_uuid,
            "instance_name": move.instance_name,
            "source_host": move.source_host,
            "type": str(VMoveType.EVACUATION),
            "status": str(move.status),
            "message": move.message,
            "attempt": attempt,
            "rank": move.rank,
            "vm_state": move.vm_state,
            "task_state": move.task_state,
            "power_state": move.power_state,
            "locked": False,
            "chapter": chapter,
            "created_at": now,
            "deleted": 0,
        }
        for move in moves
        if move.instance_uuid not in there
    ]
    if rows:
        tx.connection.execute(sa.insert(T), rows)
    return _of_chapter(tx, notification_uuid, attempt, chapter)


@reader
def of_chapter(tx: Transaction, notification_uuid: str, attempt: int, chapter: int) -> list[VMove]:
    """The moves of one chapter by rank."""
    return _of_chapter(tx, notification_uuid, attempt, chapter)


@reader
def of_attempt(tx: Transaction, notification_uuid: str, attempt: int) -> list[VMove]:
    """How far each VM has come in one attempt: its move of the latest chapter; by rank."""
    is_of_attempt = sa.and_(_is_of(notification_uuid), T.c.attempt == attempt)
    rows = tx.connection.execute(sa.select(T).where(is_of_attempt).order_by(T.c.chapter, T.c.id))
    latest = {move.instance_uuid: move for move in map(VMove.from_row, rows)}
    return sorted(latest.values(), key=lambda move: (move.rank, move.id))


@reader
def previous(tx: Transaction, notification_uuid: str, attempt: int, chapter: int) -> list[VMove]:
    """The moves of earlier attempts, and of earlier chapters of this one; latest first.

    Those of one chapter are ordered by rank.
    """
    is_earlier = sa.or_(
        T.c.attempt < attempt, sa.and_(T.c.attempt == attempt, T.c.chapter < chapter)
    )
    rows = tx.connection.execute(
        sa.select(T)
        .where(_is_of(notification_uuid), is_earlier)
        .order_by(T.c.attempt.desc(), T.c.chapter.desc(), T.c.rank, T.c.id)
    )
    return [VMove.from_row(row) for row in rows]


@writer
def will_lock(tx: Transaction, uuid: str) -> bool:
    """What we do next is to lock the VM: a mark that outlives us.  Whether it changed.

    False once the move has ended.
    """
    return _change(tx, uuid, {"locked": True, "updated_at": tx.clock_now()})


@writer
def start(tx: Transaction, uuid: str, *, lock: bool) -> bool:
    """The move is ongoing; with *lock*, the VM has our lock.  Whether it changed.

    False once the move has ended.  A move that is resumed keeps its start time and its mark.
    """
    now = tx.clock_now()
    values: dict[str, object] = {
        "status": str(VMoveStatus.ONGOING),
        "start_time": sa.func.coalesce(T.c.start_time, now),
        "updated_at": now,
    }
    if lock:
        values["locked"] = True
    return _change(tx, uuid, values)


@writer
def finish(
    tx: Transaction,
    uuid: str,
    *,
    status: str,
    dest_host: str | None = None,
    message: str | None = None,
    locked: bool,
) -> bool:
    """The move has ended as *status*; *locked*: our lock still is on the VM.  Whether it changed.

    False if it had ended before.
    """
    now = tx.clock_now()
    values = {
        "status": str(status),
        "dest_host": dest_host,
        "message": message,
        "locked": locked,
        "end_time": now,
        "updated_at": now,
    }
    return _change(tx, uuid, values)


def _cancelled(move: NewMove) -> NewMove:
    if move.status != VMoveStatus.PENDING:
        return move
    return dataclasses.replace(move, status=VMoveStatus.IGNORED, message=CANCELLED)


def _change(tx: Transaction, uuid: str, values: Mapping[str, object]) -> bool:
    changed = tx.connection.execute(
        sa.update(T).where(T.c.uuid == uuid, T.c.status.in_(_UNFINISHED)).values(**values)
    )
    return changed.rowcount == 1


@writer
def abandon(tx: Transaction, notification_uuid: str, *, message: str) -> int:
    """What had not begun to move is ignored, with *message*; returns how many those are."""
    return leave(tx, notification_uuid, message)


@writer
def unlocked(tx: Transaction, uuid: str) -> None:
    """No lock of ours is on the VM any more."""
    tx.connection.execute(
        sa.update(T).where(T.c.uuid == uuid).values(locked=False, updated_at=tx.clock_now())
    )


@reader
def still_locked(tx: Transaction, limit: int = 100) -> list[VMove]:
    """Moves with a lock of ours although nobody works on their notification, oldest first."""
    rows = tx.connection.execute(
        sa.select(T)
        .join(N, N.c.notification_uuid == T.c.notification_uuid)
        .where(T.c.locked == sa.true(), T.c.deleted == 0, N.c.status.in_(_SETTLED))
        .order_by(T.c.id)
        .limit(limit)
    )
    return [VMove.from_row(row) for row in rows]


@reader
def arrived_from(
    tx: Transaction, host_uuid: str, instance_uuid: str, *, since: datetime.datetime
) -> str | None:
    """Where recoveries of the host, reported *since* then, have brought the VM, or None."""
    found: str | None = tx.connection.execute(
        sa.select(T.c.dest_host)
        .join(N, N.c.notification_uuid == T.c.notification_uuid)
        .where(
            N.c.source_host_uuid == host_uuid,
            N.c.type == str(NotificationType.COMPUTE_HOST),
            N.c.generated_time >= since,
            T.c.instance_uuid == instance_uuid,
            T.c.status == str(VMoveStatus.SUCCEEDED),
        )
        .order_by(T.c.id.desc())
        .limit(1)
    ).scalar()
    return found


@reader
def page(
    tx: Transaction,
    notification: str,
    page: Page,
    *,
    status: str | None = None,
    type: str | None = None,
) -> list[Shown]:
    """Moves of the notification (uuid or id) in all attempts, filtered by what is not None.

    Raises NotificationNotFound, Invalid (also if it is not of a host) and MarkerNotFound.
    """
    notification_uuid = _require_host_notification(tx, notification)
    conditions = query.equals(T, notification_uuid=notification_uuid, status=status, type=type)
    return query.fetch(tx, _LISTING, page, conditions)


@reader
def get(tx: Transaction, notification: str, move: str) -> VMove:
    """One move of the notification, each by uuid or id.

    Raises NotificationNotFound, Invalid if it is not of a host, VMoveNotFound.
    """
    is_it = sa.and_(_is_of(_require_host_notification(tx, notification)), query.is_called(T, move))
    row = tx.connection.execute(sa.select(T).where(is_it)).first()
    if row is None:
        raise VMoveNotFound(vmove=move)
    return VMove.from_row(row)


# ---- parts of transactions


def _is_of(notification_uuid: str) -> ColumnElement[bool]:
    return sa.and_(T.c.notification_uuid == notification_uuid, T.c.deleted == 0)


def leave(tx: Transaction, notification_uuid: str, message: str) -> int:
    """As `abandon`."""
    now = tx.clock_now()
    changed = tx.connection.execute(
        sa.update(T)
        .where(_is_of(notification_uuid), T.c.status == str(VMoveStatus.PENDING))
        .values(status=str(VMoveStatus.IGNORED), message=message, end_time=now, updated_at=now)
    )
    return changed.rowcount


def _of_chapter(tx: Transaction, notification_uuid: str, attempt: int, chapter: int) -> list[VMove]:
    rows = tx.connection.execute(
        sa.select(T)
        .where(_is_of(notification_uuid), T.c.attempt == attempt, T.c.chapter == chapter)
        .order_by(T.c.rank, T.c.id)
    )
    return [VMove.from_row(row) for row in rows]


def _require_host_notification(tx: Transaction, name: str) -> str:
    """The uuid of the notification."""
    n = notifications.require(tx, name)
    if n.type != NotificationType.COMPUTE_HOST:
        raise Invalid(
            message=f"Notification {name} is of type {n.type}; only a COMPUTE_HOST one has vmoves."
        )
    return n.notification_uuid
