"""Recoveries as an operator looks at them: notifications with their hosts, VMs and deeds."""

import datetime
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from masakari.db import models, notifications, query
from masakari.db.models import Notification, VMove, VmRecovery, Witness
from masakari.db.session import Transaction, reader
from masakari.states import OPEN_STATUSES

T = models.notifications
HOSTS, SEGMENTS, MOVES = models.hosts, models.segments, models.vmoves
DEEDS = models.vm_recoveries
OPEN = [str(status) for status in OPEN_STATUSES]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is known of the answer to one notification."""

    notification: Notification
    host: str | None
    """Name of the host, also if it was deleted since."""
    segment: str | None
    vms: Mapping[str, int] = field(default_factory=dict)
    """{states.VMoveStatus: how many VMs have come so far in the current attempt}"""
    moves: Sequence[VMove] = ()
    """Of all attempts, in the order of attempt, chapter and rank; empty in lists."""
    deeds: Sequence[VmRecovery] = ()
    """What was done to the VM of a VM's notification, oldest first; empty in lists."""
    witnesses: Sequence[Witness] = ()
    """Who reported it, the first one first; empty in lists."""


@reader
def newest(
    tx: Transaction,
    *,
    limit: int,
    statuses: Collection[str] = (),
    since: datetime.datetime | None = None,
    with_open: bool = False,
    host: str | None = None,
    type: str | None = None,
) -> list[Recovery]:
    """Newest first, filtered by what is given.

    *since*: reported then or later, by the API's clock; *with_open*: or open, however old.
    """
    conditions: list[ColumnElement[bool]] = [T.c.deleted == 0, *query.equals(T, type=type)]
    if statuses:
        conditions.append(T.c.status.in_([str(status) for status in statuses]))
    if since is not None:
        is_recent = T.c.created_at >= since
        conditions.append(sa.or_(is_recent, T.c.status.in_(OPEN)) if with_open else is_recent)
    if host is not None:
        named = sa.select(HOSTS.c.uuid).where(HOSTS.c.name == host)
        conditions.append(T.c.source_host_uuid.in_(named))
    rows = tx.connection.execute(
        sa.select(T).where(*conditions).order_by(T.c.created_at.desc(), T.c.id.desc()).limit(limit)
    )
    found = [Notification.from_row(row) for row in rows]
    hosts = _names(tx, HOSTS, [n.source_host_uuid for n in found])
    segments = _names(tx, SEGMENTS, [n.failover_segment_uuid or "" for n in found])
    counts = _counts(tx, {n.notification_uuid: n.attempt for n in found})
    return [
        Recovery(
            n,
            hosts.get(n.source_host_uuid),
            segments.get(n.failover_segment_uuid or ""),
            counts.get(n.notification_uuid, {}),
        )
        for n in found
    ]


@reader
def get(tx: Transaction, name: str) -> Recovery:
    """The recovery of the notification with that uuid or id.  Raises NotificationNotFound."""
    n, witnesses = notifications.joined(tx, name)
    moves = tx.connection.execute(
        sa.select(MOVES)
        .where(MOVES.c.notification_uuid == n.notification_uuid, MOVES.c.deleted == 0)
        .order_by(MOVES.c.attempt, MOVES.c.chapter, MOVES.c.rank, MOVES.c.id)
    )
    deeds = tx.connection.execute(
        sa.select(DEEDS)
        .where(DEEDS.c.notification_uuid == n.notification_uuid)
        .order_by(DEEDS.c.started_at, DEEDS.c.id)
    )
    segment = n.failover_segment_uuid or ""
    return Recovery(
        n,
        _names(tx, HOSTS, [n.source_host_uuid]).get(n.source_host_uuid),
        _names(tx, SEGMENTS, [segment]).get(segment),
        _counts(tx, {n.notification_uuid: n.attempt}).get(n.notification_uuid, {}),
        [VMove.from_row(row) for row in moves],
        [VmRecovery.from_row(row) for row in deeds],
        witnesses,
    )


def _names(tx: Transaction, table: sa.Table, uuids: Collection[str]) -> dict[str, str]:
    rows = tx.connection.execute(
        sa.select(table.c.uuid, table.c.name).where(table.c.uuid.in_(set(uuids)))
    )
    return {row.uuid: row.name for row in rows}


def _counts(tx: Transaction, attempts: Mapping[str, int]) -> dict[str, Counter[str]]:
    """How far the VMs of each notification have come, each by its latest chapter."""
    rows = tx.connection.execute(
        sa.select(
            MOVES.c.notification_uuid,
            MOVES.c.instance_uuid,
            MOVES.c.status,
            MOVES.c.attempt,
        )
        .where(MOVES.c.notification_uuid.in_(list(attempts)), MOVES.c.deleted == 0)
        .order_by(MOVES.c.attempt, MOVES.c.chapter, MOVES.c.id)
    )
    latest: dict[tuple[str, str], str] = {}
    for row in rows:
        # OpenStack's engine counts no attempts; its moves have the default
        if row.attempt == max(attempts[row.notification_uuid], 1):
            latest[row.notification_uuid, row.instance_uuid] = row.status
    counts: dict[str, Counter[str]] = {}
    for (notification, _), status in latest.items():
        counts.setdefault(notification, Counter())[status] += 1
    return counts
