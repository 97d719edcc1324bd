"""Notifications: reported failures, as the API stores and shows them."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from oslo_serialization import jsonutils
from oslo_utils import uuidutils

from masakari.db import models, query, side_by_side
from masakari.db.models import Notification
from masakari.db.packed import Shown
from masakari.db.query import Page
from masakari.db.session import Transaction, reader, writer
from masakari.errors import (
    DuplicateNotification,
    HostNameUnknown,
    HostOnMaintenance,
    NotificationNotFound,
)
from masakari.states import (
    OPEN_STATUSES,
    Event,
    NotificationStatus,
    NotificationType,
    Reason,
)

T = models.notifications
HOSTS = models.hosts
PROCESS_EVENTS = 500
"""So many reports of processes of one host are looked through for the newest of each process."""
_OURS = {
    *("failures", "owner", "lease_until", "attempt", "proof", "not_before", "request_id"),
    *("cancelled_at", "retried_at"),
}
_LISTING = query.listing(T, hidden=_OURS, objects={"payload"}, uuid="notification_uuid")
SORT_KEYS = sorted(_LISTING.sortable)

# Made once: SQLAlchemy takes longer to make and recognize a statement than to run it.
_HOST_LOCKED = (
    sa.select(HOSTS)
    .where(HOSTS.c.name == sa.bindparam("host"), HOSTS.c.deleted == 0)
    .with_for_update()
)
_EQUAL_OR_NEARLY = (
    sa.select(T.c.id, T.c.notification_uuid, T.c.payload, T.c.message)
    .where(
        T.c.source_host_uuid == sa.bindparam("host"),
        T.c.type == sa.bindparam("kind"),
        T.c.generated_time >= sa.bindparam("since"),
        sa.or_(
            sa.bindparam("kind") == str(NotificationType.COMPUTE_HOST),
            T.c.status.in_(OPEN_STATUSES),
            T.c.message.startswith(f"{Reason.UNKNOWN_EVENT}:"),
            sa.and_(
                sa.bindparam("kind") == str(NotificationType.PROCESS),
                T.c.updated_at >= sa.bindparam("at"),
            ),
            T.c.generated_time >= sa.bindparam("at_second"),
        ),
        T.c.payload.in_(sa.bindparam("payloads", expanding=True)),
        T.c.deleted == 0,
    )
    .order_by(T.c.id)
)
_INSERT = sa.insert(T)


@writer
def report(
    tx: Transaction,
    *,
    type: str,
    hostname: str,
    generated_time: datetime.datetime,
    payload: Mapping[str, str],
    duplicate_window_s: float,
    observes: bool = False,
    request_id: str | None = None,
) -> Notification:
    """A new notification of the failure *type* of the host named *hostname*.

    *observes*: engines only observe, in whichever segment; then, and where the segment is only
    observed, a failure that was observed is reported once, as all others.

    Reports of one host wait for one another, so of equal ones exactly one is accepted.  Raises
    HostNameUnknown, HostOnMaintenance, DuplicateNotification.
    """
    host = _locked_host(tx, hostname)
    if host["on_maintenance"] and not _is_heard(tx, host["maintenance_by"], type, payload):
        raise HostOnMaintenance(host=hostname)
    _refuse_duplicate(
        tx,
        host,
        type=type,
        at=generated_time,
        window_s=duplicate_window_s,
        observes=observes,
        payload=payload,
    )
    uuid = uuidutils.generate_uuid()
    tx.connection.execute(
        _INSERT,
        {
            "notification_uuid": uuid,
            "type": str(type),
            "generated_time": generated_time,
            "source_host_uuid": host["uuid"],
            "payload": _stored(payload),
            "status": NotificationStatus.NEW,
            "failover_segment_uuid": host["failover_segment_id"],
            "request_id": request_id,
            "created_at": tx.clock_now(),
            "deleted": 0,
        },
    )
    return require(tx, uuid)  # as stored: MySQL keeps whole seconds of generated_time


def _locked_host(tx: Transaction, name: str) -> sa.RowMapping:
    """The row of the live host, locked: the first statement of the transaction."""
    rows = tx.connection.execute(_HOST_LOCKED, {"host": name})
    row = rows.mappings().first()
    if row is None or row["name"] != name:  # MySQL compares without regard to case
        raise HostNameUnknown(host=name)
    return row


def _is_heard(
    tx: Transaction, maintenance_by: str | None, type_: str, payload: Mapping[str, str]
) -> bool:
    """Whether it is reported of a host that is on maintenance.

    A host that our own recovery put there, or its service, has started again; or the host of a
    process that failed has more to tell: VMs still run there.
    """
    if maintenance_by is None or type_ == NotificationType.VM:
        return False
    if payload.get("event") == Event.STARTED:
        return True
    by = tx.connection.execute(sa.select(T.c.type).where(T.c.notification_uuid == maintenance_by))
    return by.scalar() == NotificationType.PROCESS


def _stored(payload: Mapping[str, str]) -> str:
    return jsonutils.dumps(dict(payload), sort_keys=True)


def _refuse_duplicate(
    tx: Transaction,
    host: sa.RowMapping,
    *,
    type: str,
    at: datetime.datetime,
    window_s: float,
    observes: bool,
    payload: Mapping[str, str],
) -> None:
    """Raise DuplicateNotification if an equal one is at most *window_s* older than *at*.

    Hosts: of whatever status.  What has started in between has failed anew.  A VM or a process may
    fail again soon: what is settled was another failure, unless it was seen at or after *at*, too
    (a process: settled then); and so is what had us start the VM before *at*.  An event that asks
    for nothing is no failure.  About what was observed nothing was done: where something would be
    done now, it is reported anew.

    OpenStack's release stored the payload with its keys in the order of the request.
    """
    try:
        since = at - datetime.timedelta(seconds=window_s)
    except OverflowError:  # it begins before the year 1
        since = datetime.datetime.min
    values = {
        "host": host["uuid"],
        "kind": str(type),
        "since": since,
        "at": at,
        "at_second": at.replace(microsecond=0),  # MySQL stored whole seconds
        "payloads": [_stored(payload), jsonutils.dumps(dict(payload))],
    }
    for id_, uuid, text, message in tx.connection.execute(_EQUAL_OR_NEARLY, values).all():
        if jsonutils.loads(text) != payload:  # MySQL compares without regard to case
            continue
        was_observed = str(message).startswith(f"{Reason.OBSERVE_ONLY}:")
        if was_observed and not (observes or _is_observed(tx, host["failover_segment_id"])):
            continue
        starts = _starts_after(
            tx, host_uuid=host["uuid"], type_=type, uuid=uuid, id_=id_, payload=payload
        )
        has_started = any(started <= at for started in starts)
        if payload.get("event") == Event.STARTED or not has_started:
            raise DuplicateNotification(host=host["name"], notification=uuid)


def _is_observed(tx: Transaction, segment_uuid: str) -> bool:
    """Whether the segment is only observed."""
    segment = models.segments
    observed = sa.select(segment.c.observe_only).where(segment.c.uuid == segment_uuid)
    return bool(tx.connection.execute(observed).scalar())


@reader
def get(tx: Transaction, name: str) -> Notification:
    """The notification with that uuid or id.  Raises NotificationNotFound."""
    return require(tx, name)


@reader
def page(
    tx: Transaction,
    page: Page,
    *,
    status: str | None = None,
    source_host_uuid: str | None = None,
    type: str | None = None,
    generated_since: datetime.datetime | None = None,
) -> list[Shown]:
    """Notifications, filtered by what is not None.  Raises Invalid and MarkerNotFound."""
    conditions = query.equals(T, status=status, source_host_uuid=source_host_uuid, type=type)
    if generated_since is not None:
        conditions.append(T.c.generated_time >= generated_since)
    return query.fetch(tx, _LISTING, page, conditions)


@reader
def every(tx: Transaction) -> list[Notification]:
    """All notifications, oldest first."""
    rows = tx.connection.execute(
        sa.select(T).where(T.c.deleted == 0).order_by(T.c.created_at, T.c.id)
    )
    return [Notification.from_row(row) for row in rows]


@reader
def started_after(tx: Transaction, n: Notification) -> bool:
    """Whether a report that the host has started was accepted after *n* was.

    If *n* tells of a process: that this process has started.
    """
    return bool(
        _starts_after(
            tx,
            host_uuid=n.source_host_uuid,
            type_=n.type,
            uuid=n.notification_uuid,
            id_=n.id,
            payload=n.payload,
        )
    )


@reader
def host_failure_pending(tx: Transaction, host_uuid: str) -> str | None:
    """Uuid of the oldest open notification that the host has failed, or None."""
    return side_by_side.failed_hosts(tx, host_uuid).get(host_uuid)


@reader
def newest_process_events(tx: Transaction, host_uuid: str) -> dict[str, Notification]:
    """The newest notification of each process of the host, by its name."""
    rows = tx.connection.execute(
        sa.select(T)
        .where(
            T.c.source_host_uuid == host_uuid,
            T.c.type == str(NotificationType.PROCESS),
            T.c.deleted == 0,
        )
        .order_by(T.c.id.desc())
        .limit(PROCESS_EVENTS)
    )
    newest: dict[str, Notification] = {}
    for n in map(Notification.from_row, rows):
        newest.setdefault(n.payload.get("process_name", ""), n)
    return newest


def _tells(text: str | None, wanted: Mapping[str, str]) -> bool:
    """The payload *text* has all *wanted* items."""
    payload = models.parsed(text) or {}
    return all(payload.get(key) == value for key, value in wanted.items())


# ---- parts of transactions


def _starts_after(
    tx: Transaction,
    *,
    host_uuid: str,
    type_: str,
    uuid: str,
    id_: int,
    payload: Mapping[str, str],
) -> list[datetime.datetime]:
    """When the host, or the process of *payload*, started, by reports accepted after *id_*.

    A VM: when we had it started because of the notification *uuid*.
    """
    if type_ == NotificationType.VM:
        recoveries = models.vm_recoveries
        asked = sa.select(recoveries.c.power_on_at).where(
            recoveries.c.notification_uuid == uuid, recoveries.c.power_on_at.is_not(None)
        )
        return list(tx.connection.execute(asked).scalars())
    is_process = type_ == NotificationType.PROCESS
    wanted = {"event": str(Event.STARTED)}
    if is_process:
        wanted["process_name"] = payload.get("process_name", "")
    told_by = NotificationType.PROCESS if is_process else NotificationType.COMPUTE_HOST
    reported = tx.connection.execute(
        sa.select(T.c.generated_time, T.c.payload).where(
            T.c.source_host_uuid == host_uuid,
            T.c.type == str(told_by),
            T.c.id > id_,
            T.c.deleted == 0,
        )
    )
    return [at for at, text in reported if _tells(text, wanted)]


def require(tx: Transaction, name: str) -> Notification:
    """The notification with that uuid or id.  Raises NotificationNotFound."""
    is_it = query.is_called(T, name, "notification_uuid")
    row = tx.connection.execute(sa.select(T).where(is_it, T.c.deleted == 0)).first()
    if row is None:
        raise NotificationNotFound(notification=name)
    return Notification.from_row(row)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is unfinished."""

    numbers: Mapping[tuple[str, str], int]
    """{(type, status): how many}"""
    oldest_age_s: float
    """since the oldest was accepted, by the program's clock; 0: there is none"""


@reader
def backlog(tx: Transaction) -> Backlog:
    """What is unfinished now."""
    number, oldest = sa.func.count(), sa.func.min(T.c.created_at)
    rows = tx.connection.execute(
        sa.select(T.c.type, T.c.status, number, oldest)
        .where(T.c.status.in_(tuple(map(str, OPEN_STATUSES))), T.c.deleted == 0)
        .group_by(T.c.type, T.c.status)
    ).all()
    began = min((row[3] for row in rows if row[3] is not None), default=None)
    age_s = 0.0 if began is None else (tx.clock_now() - began).total_seconds()
    return Backlog({(row[0], row[1]): row[2] for row in rows}, max(0.0, age_s))
