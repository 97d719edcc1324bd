"""Leases: which engine answers a notification, and until when.

A notification is processed under a *lease*: `owner` may act until `lease_until`.  Both are compared
and set by the database, with its clock; each change of status is one conditional UPDATE.
"""

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_serialization import jsonutils
from sqlalchemy import ColumnElement

from masakari.db import models, side_by_side, sqltime
from masakari.db.models import Notification
from masakari.db.notifications import require
from masakari.db.session import Transaction, reader, writer
from masakari.db.side_by_side import Subject, subject
from masakari.states import NotificationStatus, NotificationType, Reason, VMoveStatus

T = models.notifications
HOSTS = models.hosts
NEW = NotificationStatus.NEW
RUNNING = NotificationStatus.RUNNING
ERROR = NotificationStatus.ERROR
FAILED = NotificationStatus.FAILED


@writer
def claim(tx: Transaction, uuid: str, *, owner: str, lease_s: float) -> Notification | None:
    """The notification is *owner*'s to process for *lease_s* seconds, or None if it is not.

    It is to be had while new or error, unless it waits for its `not_before`, or while running when
    nobody's lease is valid; then it is a resume and keeps its attempt number.  None while another
    notification of the same host is running under a valid lease, unless both are of VMs, and of
    different ones; a VM's waits while the failure of its host is open.  Raises
    NotificationNotFound.
    """
    n = require(tx, uuid)
    if n.status not in (NEW, RUNNING, ERROR):
        return None
    # Whoever claims or reports for this host waits here; the row may be gone.
    tx.connection.execute(
        sa.select(HOSTS.c.id).where(HOSTS.c.uuid == n.source_host_uuid).with_for_update()
    )
    if not side_by_side.may_run(subject(n.type, n.payload), side_by_side.running_beside(tx, n)):
        return None
    if n.type == NotificationType.VM and side_by_side.failed_hosts(tx, n.source_host_uuid):
        return None
    attempt = sa.case(
        (sa.and_(T.c.status == RUNNING, T.c.attempt > 0), T.c.attempt),
        # OpenStack's engine has tried it; its vmoves have the default, attempt 1.
        (sa.and_(T.c.status != NEW, T.c.attempt == 0), 2),
        else_=T.c.attempt + 1,
    )
    taken = tx.connection.execute(
        sa.update(T)
        .where(
            T.c.notification_uuid == uuid,
            T.c.deleted == 0,
            sa.or_(_has_waited(tx), _is_orphan()),
        )
        # MySQL sets columns one after the other: what depends on the old status comes first.
        .ordered_values(
            (T.c.attempt, attempt),
            (T.c.status, RUNNING),
            (T.c.owner, owner),
            (T.c.lease_until, sqltime.now(lease_s)),
            (T.c.not_before, None),
            (T.c.updated_at, tx.clock_now()),
        )
    )
    return require(tx, uuid) if taken.rowcount == 1 else None


def _is_orphan() -> ColumnElement[bool]:
    """Running, but no engine may act on it (OpenStack's engines have no lease at all)."""
    ended = sa.or_(T.c.lease_until.is_(None), T.c.lease_until <= sqltime.now())
    return sa.and_(T.c.status == RUNNING, ended)


def _has_waited(tx: Transaction) -> ColumnElement[bool]:
    """New or in error, and not to be left alone any longer."""
    long_enough = sa.or_(T.c.not_before.is_(None), T.c.not_before <= tx.clock_now_precisely())
    return sa.and_(T.c.status.in_((NEW, ERROR)), long_enough)


@writer
def renew(tx: Transaction, uuid: str, *, owner: str, lease_s: float) -> bool:
    """The lease lasts *lease_s* seconds from now, unless it has ended or is another's."""
    renewed = tx.connection.execute(
        sa.update(T)
        .where(_is_held(uuid, owner), T.c.lease_until > sqltime.now())
        .values(lease_until=sqltime.now(lease_s))
    )
    return renewed.rowcount == 1


@writer
def record_proof(tx: Transaction, uuid: str, *, owner: str, proof: Mapping[str, Any]) -> bool:
    """The proof of death is stored, unless the notification is another's."""
    stored = tx.connection.execute(
        sa.update(T)
        .where(_is_held(uuid, owner))
        .values(proof=jsonutils.dumps(dict(proof)), updated_at=tx.clock_now())
    )
    return stored.rowcount == 1


@writer
def postpone(
    tx: Transaction, uuid: str, *, until: datetime.datetime, message: str, again: bool = False
) -> bool:
    """The new notification waits *until* then, its *message* says why; whether that changed it.

    It is postponed once only; *again*: also when it has waited before, and waits no more.
    """
    is_free = _has_waited(tx) if again else T.c.not_before.is_(None)
    postponed = tx.connection.execute(
        sa.update(T)
        .where(
            T.c.notification_uuid == uuid,
            T.c.status == NEW,
            is_free,
            T.c.deleted == 0,
        )
        .values(not_before=until, message=message, updated_at=tx.clock_now())
    )
    return postponed.rowcount == 1


@writer
def hasten(tx: Transaction, started: Notification) -> int:
    """What waits although its host or process has *started* since waits no more; how many."""
    waits = sa.and_(T.c.status == NEW, T.c.not_before.is_not(None), T.c.deleted == 0)
    waiting = tx.connection.execute(
        sa.select(T.c.id, T.c.payload).where(
            T.c.source_host_uuid == started.source_host_uuid,
            T.c.type == started.type,
            T.c.id < started.id,
            waits,
        )
    )
    name = started.payload.get("process_name")  # None: it is the host
    found = [
        id_ for id_, text in waiting if (models.parsed(text) or {}).get("process_name") == name
    ]
    hastened = tx.connection.execute(
        sa.update(T)
        .where(T.c.id.in_(found), waits)
        .values(not_before=None, updated_at=tx.clock_now())
    )
    return hastened.rowcount


@writer
def settle(
    tx: Transaction,
    uuid: str,
    *,
    owner: str,
    status: str,
    message: str,
    not_before: datetime.datetime | None = None,
    is_counted: bool = True,
) -> bool:
    """Running has become *status*, with its *message*, unless the notification is another's.

    From error it is claimed again, *not_before* then; *is_counted*: that was one more failure.
    What an operator has cancelled does not become error.  Moves that have not ended end with it:
    `ignored` as it is, else `failed`.
    """
    may_be = T.c.cancelled_at.is_(None) if status == ERROR else sa.true()
    settled = tx.connection.execute(
        sa.update(T)
        .where(_is_held(uuid, owner), may_be)
        .values(
            status=status,
            message=message,
            owner=None,
            lease_until=None,
            not_before=not_before if status == ERROR else None,
            failures=T.c.failures + (1 if status == ERROR and is_counted else 0),
            updated_at=tx.clock_now(),
        )
    )
    if settled.rowcount != 1:
        return False
    ends_as = VMoveStatus.IGNORED if status == NotificationStatus.IGNORED else VMoveStatus.FAILED
    _end_moves(tx, [uuid], ends_as, message)
    return True


def _is_held(uuid: str, owner: str) -> ColumnElement[bool]:
    return sa.and_(T.c.notification_uuid == uuid, T.c.status == RUNNING, T.c.owner == owner)


# ---- what the sweeps look for


@reader
def due(tx: Transaction, limit: int = 100) -> list[str]:
    """Uuids of what an engine can claim now: failures of hosts first, then the oldest first.

    What cannot be claimed, because it waits or because of what is running, takes no place.
    """
    running = side_by_side.running_by_host(tx)
    is_shut_out = side_by_side.is_shut_out(running, side_by_side.failed_hosts(tx))
    claimable = (
        uuid
        for uuid, host, about in _waiting(tx, is_shut_out, batch=limit)
        if side_by_side.may_run(about, running.get(host, ()))
    )
    return list(itertools.islice(claimable, limit))


def _waiting(
    tx: Transaction, is_shut_out: ColumnElement[bool], batch: int
) -> Iterator[tuple[str, str, Subject]]:
    """(uuid, host, subject) of what can be claimed as far as SQL tells, in the order of `due`."""
    order = sa.case((T.c.type == str(NotificationType.COMPUTE_HOST), 0), else_=1).label("order")
    wanted = (T.c.notification_uuid, T.c.source_host_uuid, T.c.type, T.c.payload, order, T.c.id)
    last_order, last_id = 0, 0
    while True:
        rows = tx.connection.execute(
            sa.select(*wanted)
            .where(
                T.c.status.in_((NEW, RUNNING, ERROR)),
                T.c.deleted == 0,
                sa.or_(order > last_order, sa.and_(order == last_order, T.c.id > last_id)),
                sa.or_(_has_waited(tx), _is_orphan()),
                sa.not_(is_shut_out),
            )
            .order_by(order, T.c.id)
            .limit(batch)
        ).all()
        for row in rows:
            payload = models.parsed(row.payload)
            yield row.notification_uuid, row.source_host_uuid, subject(row.type, payload)
        if len(rows) < batch:
            return
        last_order, last_id = rows[-1].order, rows[-1].id


@reader
def next_due(tx: Transaction) -> datetime.datetime | None:
    """When the first of those that wait may be claimed; None: nothing waits."""
    return tx.connection.execute(
        sa.select(sa.func.min(T.c.not_before)).where(
            T.c.status.in_((NEW, ERROR)),
            T.c.deleted == 0,
            T.c.not_before > tx.clock_now_precisely(),
        )
    ).scalar()


@writer
def expire(tx: Transaction, *, age_s: float, limit: int = 100) -> list[str]:
    """Uuids of what was unfinished for longer than *age_s*, by both clocks; it is failed now.

    What was retried has that long again.  What is running under a valid lease never is.
    """
    long_ago = tx.clock_now() - datetime.timedelta(seconds=age_s)
    old = (
        sa.select(T.c.notification_uuid)
        .where(
            T.c.deleted == 0,
            T.c.generated_time < long_ago,
            *(sa.or_(at.is_(None), at < long_ago) for at in (T.c.created_at, T.c.retried_at)),
            sa.or_(T.c.status.in_((NEW, ERROR)), _is_orphan()),
        )
        .order_by(T.c.id)
        .limit(limit)
        .with_for_update()
    )
    uuids: Sequence[str] = tx.connection.execute(old).scalars().all()
    if uuids:
        _fail(tx, uuids, f"{Reason.EXPIRED}: not settled within {age_s:g} s.")
    return list(uuids)


def _fail(tx: Transaction, uuids: Sequence[str], message: str) -> None:
    """The notifications and their unfinished moves have failed."""
    tx.connection.execute(
        sa.update(T)
        .where(T.c.notification_uuid.in_(uuids))
        .values(
            status=FAILED,
            message=message,
            owner=None,
            lease_until=None,
            not_before=None,
            updated_at=tx.clock_now(),
        )
    )
    _end_moves(tx, uuids, VMoveStatus.FAILED, message)


def _end_moves(tx: Transaction, uuids: Sequence[str], status: VMoveStatus, message: str) -> None:
    """What the notifications had not moved to its end has ended so."""
    now, moves = tx.clock_now(), models.vmoves
    tx.connection.execute(
        sa.update(moves)
        .where(
            moves.c.notification_uuid.in_(uuids),
            moves.c.status.in_((str(VMoveStatus.PENDING), str(VMoveStatus.ONGOING))),
        )
        .values(status=str(status), message=message, end_time=now, updated_at=now)
    )
