"""Notifications: reported failures, as they are shown and read; `reports` accepts them."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from masakari.db import models, query, returns, side_by_side, witnesses
from masakari.db.models import Notification, Witness
from masakari.db.packed import Shown
from masakari.db.query import Page
from masakari.db.session import Transaction, reader
from masakari.errors import NotificationNotFound
from masakari.states import OPEN_STATUSES, NotificationType

T = models.notifications
PROCESS_EVENTS = 500
"""So many reports of processes of one host are looked through for the newest of each process."""
_OURS = {
    *("failures", "owner", "lease_until", "attempt", "proof", "not_before", "request_id"),
    *("cancelled_at", "retried_at", "reported_by"),
}
_LISTING = query.listing(T, hidden=_OURS, objects={"payload"}, uuid="notification_uuid")
SORT_KEYS = sorted(_LISTING.sortable)


@reader
def get(tx: Transaction, name: str) -> Notification:
    """The notification with that uuid or id.  Raises NotificationNotFound."""
    return require(tx, name)


@reader
def with_witnesses(tx: Transaction, name: str) -> tuple[Notification, list[Witness]]:
    """The notification with that uuid or id, and all who reported it, the first one first.

    Who reported first is not known of notifications of earlier releases.  Raises
    NotificationNotFound.
    """
    return joined(tx, name)


@reader
def said_since(tx: Transaction, n: Notification) -> list[Witness]:
    """The newest report of each who has told of the same failure since it was accepted."""
    return [Witness.from_row(row) for row in tx.connection.execute(witnesses.of(n))]


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
    known = returns.Reported(
        n.source_host_uuid, n.type, n.notification_uuid, n.id, n.generated_time, n.payload
    )
    return bool(returns.starts_after(tx, known))


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


# ---- parts of transactions


def require(tx: Transaction, name: str) -> Notification:
    """The notification with that uuid or id.  Raises NotificationNotFound."""
    is_it = query.is_called(T, name, "notification_uuid")
    row = tx.connection.execute(sa.select(T).where(is_it, T.c.deleted == 0)).first()
    if row is None:
        raise NotificationNotFound(notification=name)
    return Notification.from_row(row)


def joined(tx: Transaction, name: str) -> tuple[Notification, list[Witness]]:
    """As `with_witnesses`."""
    others = models.witnesses
    is_of = others.c.notification_uuid == T.c.notification_uuid
    rows = tx.connection.execute(
        sa.select(T, others)
        .select_from(T.outerjoin(others, is_of))
        .where(query.is_called(T, name, "notification_uuid"), T.c.deleted == 0)
        .order_by(others.c.id)
    ).all()
    if not rows:
        raise NotificationNotFound(notification=name)
    width = len(T.columns)
    n = Notification.from_row(rows[0][:width])
    said = [Witness.from_row(row[width:]) for row in rows if row[width] is not None]
    others_said = [w for w in said if w.reported_by != n.reported_by]  # it may have said it again
    return n, [*_first_witness(n), *others_said]


def _first_witness(n: Notification) -> list[Witness]:
    if n.reported_by is None:
        return []
    return [
        Witness(0, n.created_at, n.notification_uuid, n.reported_by, n.generated_time, n.payload)
    ]


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
