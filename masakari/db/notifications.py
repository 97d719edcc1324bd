"""Notifications: reported failures, and which engine answers them.

A notification is processed under a *lease*: `owner` may act until `lease_until`.  Both are compared
and set by the database, with its clock; each change of status is one conditional UPDATE.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_serialization import jsonutils
from oslo_utils import uuidutils
from sqlalchemy import ColumnElement

from masakari.db import models, query, sqltime
from masakari.db.models import Notification
from masakari.db.query import Page
from masakari.db.session import Transaction, reader, writer
from masakari.errors import (
    DuplicateNotification,
    HostNameUnknown,
    HostOnMaintenance,
    NotificationNotFound,
)
from masakari.states import Event, NotificationStatus, NotificationType, Reason, VMoveStatus

T = models.notifications
HOSTS = models.hosts
_OURS = {"owner", "lease_until", "attempt", "proof"}
_LISTING = query.Listing(
    table=T,
    rows=sa.select(T).where(T.c.deleted == 0),
    sortable=frozenset(T.c.keys()) - _OURS,
    uuid="notification_uuid",
)

NEW = NotificationStatus.NEW
RUNNING = NotificationStatus.RUNNING
ERROR = NotificationStatus.ERROR
FAILED = NotificationStatus.FAILED


@writer
def report(
    tx: Transaction,
    *,
    type: str,
    hostname: str,
    generated_time: datetime.datetime,
    payload: Mapping[str, str],
    duplicate_window_s: float,
) -> Notification:
    """A new notification of the failure *type* of the host named *hostname*.

    Reports of one host wait for one another, so of equal ones exactly one is accepted.  Raises
    HostNameUnknown, HostOnMaintenance, DuplicateNotification.
    """
    host = _locked_host(tx, hostname)
    if host["on_maintenance"] and not _is_return(host["maintenance_by"], type, payload):
        raise HostOnMaintenance(host=hostname)
    _refuse_duplicate(
        tx,
        host,
        type=type,
        since=generated_time - datetime.timedelta(seconds=duplicate_window_s),
        payload=payload,
    )
    uuid = uuidutils.generate_uuid()
    tx.connection.execute(
        sa.insert(T).values(
            notification_uuid=uuid,
            type=str(type),
            generated_time=generated_time,
            source_host_uuid=host["uuid"],
            payload=_stored(payload),
            status=NEW,
            failover_segment_uuid=host["failover_segment_id"],
            created_at=tx.clock_now(),
            deleted=0,
        )
    )
    return require(tx, uuid)  # as stored: MySQL keeps whole seconds of generated_time


def _locked_host(tx: Transaction, name: str) -> sa.RowMapping:
    """The row of the live host, locked: the first statement of the transaction."""
    is_named = sa.and_(HOSTS.c.name == name, HOSTS.c.deleted == 0)
    rows = tx.connection.execute(sa.select(HOSTS).where(is_named).with_for_update())
    row = rows.mappings().first()
    if row is None or row["name"] != name:  # MySQL compares without regard to case
        raise HostNameUnknown(host=name)
    return row


def _is_return(maintenance_by: str | None, type_: str, payload: Mapping[str, str]) -> bool:
    """A host that our own recovery put on maintenance, or its service, has started again."""
    return (
        maintenance_by is not None
        and type_ in (NotificationType.COMPUTE_HOST, NotificationType.PROCESS)
        and payload.get("event") == Event.STARTED
    )


def _stored(payload: Mapping[str, str]) -> str:
    return jsonutils.dumps(dict(payload), sort_keys=True)


def _refuse_duplicate(
    tx: Transaction,
    host: sa.RowMapping,
    *,
    type: str,
    since: datetime.datetime,
    payload: Mapping[str, str],
) -> None:
    """Raise DuplicateNotification if an equal one, of whatever status, is not older than *since*.

    OpenStack's release stored the payload with its keys in the order of the request.
    """
    equal_or_nearly = (
        sa.select(T.c.notification_uuid, T.c.payload)
        .where(
            T.c.source_host_uuid == host["uuid"],
            T.c.type == str(type),
            T.c.generated_time >= since,
            T.c.payload.in_({_stored(payload), jsonutils.dumps(dict(payload))}),
            T.c.deleted == 0,
        )
        .order_by(T.c.id)
    )
    for uuid, text in tx.connection.execute(equal_or_nearly):
        if jsonutils.loads(text) == payload:  # MySQL compares without regard to case
            raise DuplicateNotification(host=host["name"], notification=uuid)


@reader
def get(tx: Transaction, uuid: str) -> Notification:
    """The notification with that uuid.  Raises NotificationNotFound."""
    return require(tx, uuid)


@reader
def page(
    tx: Transaction,
    page: Page,
    *,
    status: str | None = None,
    source_host_uuid: str | None = None,
    type: str | None = None,
    generated_since: datetime.datetime | None = None,
) -> list[Notification]:
    """Notifications, filtered by what is not None.  Raises Invalid and MarkerNotFound."""
    conditions = query.equals(T, status=status, source_host_uuid=source_host_uuid, type=type)
    if generated_since is not None:
        conditions.append(T.c.generated_time >= generated_since)
    return [Notification.from_row(row) for row in query.fetch(tx, _LISTING, page, conditions)]


@reader
def started_since(tx: Transaction, host_uuid: str, since: datetime.datetime) -> bool:
    """Whether a monitor says that it saw the host start after *since* (UTC, naive)."""
    reported = tx.connection.execute(
        sa.select(T.c.payload).where(
            T.c.source_host_uuid == host_uuid,
            T.c.type == str(NotificationType.COMPUTE_HOST),
            T.c.generated_time > since,
            T.c.deleted == 0,
        )
    )
    return any(jsonutils.loads(text).get("event") == Event.STARTED for text in reported.scalars())


# ---- the lease


@writer
def claim(
    tx: Transaction, uuid: str, *, owner: str, lease_s: float, retry_after_s: float = 0
) -> Notification | None:
    """The notification is *owner*'s to process for *lease_s* seconds, or None if it is not.

    It is to be had while new, when it has been error for *retry_after_s*, or while running when
    nobody's lease is valid; then it is a resume and keeps its attempt number.  A host has one
    recovery at a time: None while another notification of the same host is running under a valid
    lease.  Raises NotificationNotFound.
    """
    n = require(tx, uuid)
    if n.status not in (NEW, RUNNING, ERROR):
        return None
    # Whoever claims or reports for this host waits here; the row may be gone.
    tx.connection.execute(
        sa.select(HOSTS.c.id).where(HOSTS.c.uuid == n.source_host_uuid).with_for_update()
    )
    if _has_running_other(tx, n):
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
            sa.or_(T.c.status == NEW, _has_rested(tx, retry_after_s), _is_orphan()),
        )
        # MySQL sets columns one after the other: what depends on the old status comes first.
        .ordered_values(
            (T.c.attempt, attempt),
            (T.c.status, RUNNING),
            (T.c.owner, owner),
            (T.c.lease_until, sqltime.now(lease_s)),
            (T.c.updated_at, tx.clock_now()),
        )
    )
    return require(tx, uuid) if taken.rowcount == 1 else None


def _is_orphan() -> ColumnElement[bool]:
    """Running, but no engine may act on it (OpenStack's engines have no lease at all)."""
    ended = sa.or_(T.c.lease_until.is_(None), T.c.lease_until <= sqltime.now())
    return sa.and_(T.c.status == RUNNING, ended)


def _has_rested(tx: Transaction, retry_after_s: float) -> ColumnElement[bool]:
    """In error, and its last try was that long ago."""
    long_ago = tx.clock_now() - datetime.timedelta(seconds=retry_after_s)
    long_enough = sa.or_(T.c.updated_at.is_(None), T.c.updated_at <= long_ago)
    return sa.and_(T.c.status == ERROR, long_enough)


def _has_running_other(tx: Transaction, n: Notification) -> bool:
    other = (
        sa.select(T.c.id)
        .where(
            T.c.source_host_uuid == n.source_host_uuid,
            T.c.notification_uuid != n.notification_uuid,
            T.c.status == RUNNING,
            T.c.lease_until > sqltime.now(),
            T.c.deleted == 0,
        )
        .limit(1)
    )
    return tx.connection.execute(other).first() is not None


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
def settle(tx: Transaction, uuid: str, *, owner: str, status: str, message: str) -> bool:
    """Running has become *status*, with its *message*, unless the notification is another's."""
    settled = tx.connection.execute(
        sa.update(T)
        .where(_is_held(uuid, owner))
        .values(
            status=status,
            message=message,
            owner=None,
            lease_until=None,
            updated_at=tx.clock_now(),
        )
    )
    return settled.rowcount == 1


def _is_held(uuid: str, owner: str) -> ColumnElement[bool]:
    return sa.and_(T.c.notification_uuid == uuid, T.c.status == RUNNING, T.c.owner == owner)


# ---- what the sweeps look for


@reader
def due(tx: Transaction, *, retry_after_s: float, limit: int = 100) -> list[str]:
    """Uuids of what an engine should claim now, oldest first.

    What is new, what runs under no valid lease, and what has been error for *retry_after_s*; but
    nothing of a host for which another notification is running under a valid lease.
    """
    busy = T.alias("busy")
    is_busy = (
        sa.select(busy.c.id)
        .where(
            busy.c.source_host_uuid == T.c.source_host_uuid,
            busy.c.status == RUNNING,
            busy.c.lease_until > sqltime.now(),
            busy.c.deleted == 0,
        )
        .exists()
    )
    found = tx.connection.execute(
        sa.select(T.c.notification_uuid)
        .where(
            T.c.status.in_((NEW, RUNNING, ERROR)),
            T.c.deleted == 0,
            sa.or_(T.c.status == NEW, _has_rested(tx, retry_after_s), _is_orphan()),
            sa.not_(is_busy),
        )
        .order_by(T.c.id)
        .limit(limit)
    )
    return list(found.scalars())


@writer
def expire(tx: Transaction, *, age_s: float, limit: int = 100) -> list[str]:
    """Uuids of what was unfinished for longer than *age_s*, by both clocks; it is failed now.

    What is running under a valid lease never is.
    """
    long_ago = tx.clock_now() - datetime.timedelta(seconds=age_s)
    old = (
        sa.select(T.c.notification_uuid)
        .where(
            T.c.deleted == 0,
            T.c.generated_time < long_ago,
            sa.or_(T.c.created_at.is_(None), T.c.created_at < long_ago),
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
    now = tx.clock_now()
    moves = models.vmoves
    tx.connection.execute(
        sa.update(T)
        .where(T.c.notification_uuid.in_(uuids))
        .values(status=FAILED, message=message, owner=None, lease_until=None, updated_at=now)
    )
    tx.connection.execute(
        sa.update(moves)
        .where(
            moves.c.notification_uuid.in_(uuids),
            moves.c.status.in_((str(VMoveStatus.PENDING), str(VMoveStatus.ONGOING))),
        )
        .values(status=str(VMoveStatus.FAILED), message=message, end_time=now, updated_at=now)
    )


# ---- parts of transactions


def require(tx: Transaction, uuid: str) -> Notification:
    """The notification with that uuid.  Raises NotificationNotFound."""
    row = tx.connection.execute(
        sa.select(T).where(T.c.notification_uuid == uuid, T.c.deleted == 0)
    ).first()
    if row is None:
        raise NotificationNotFound(notification=uuid)
    return Notification.from_row(row)
