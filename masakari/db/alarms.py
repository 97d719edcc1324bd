"""Alarms that are raised, so that of several engines one tells of each, and none twice.

A row is there while its alarm is raised.  Whoever inserts it has raised the alarm, whoever deletes
it has cleared it; both happen once, also when an engine was started anew meanwhile.
"""

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from oslo_db import exception as db_exc

from masakari.db import models, side_by_side
from masakari.db.session import Database, Transaction, reader, writer
from masakari.states import OPEN_STATUSES, NotificationStatus, Reason

T, N, HOSTS, SEGMENTS = models.alarms, models.notifications, models.hosts, models.segments
OPEN = tuple(map(str, OPEN_STATUSES))
MOST = 100
"""So many causes of one kind are looked at."""


@dataclass(frozen=True, slots=True)
class RaisedAlarm:
    """One that is raised."""

    code: str
    subject: str
    message: str
    raised_at: datetime.datetime
    seen_at: datetime.datetime
    """When an engine saw its cause last."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A notification that somebody should look at."""

    uuid: str
    type: str
    status: str
    attempt: int
    message: str | None
    host: str
    """Its name, or its uuid if it is gone."""
    created_at: datetime.datetime


def confirm(database: Database, code: str, subject: str, message: str) -> RaisedAlarm | None:
    """The alarm is raised; returned if it was not before."""
    if _see(database, code, subject):
        return None
    try:
        return _insert(database, code, subject, message)
    except db_exc.DBDuplicateEntry:  # another engine was faster
        return None


@writer
def _see(tx: Transaction, code: str, subject: str) -> bool:
    seen = tx.connection.execute(
        sa.update(T)
        .where(T.c.code == code, T.c.subject == subject)
        .values(seen_at=tx.clock_now_precisely())
    )
    return seen.rowcount > 0


@writer
def _insert(tx: Transaction, code: str, subject: str, message: str) -> RaisedAlarm:
    now = tx.clock_now_precisely()
    row = RaisedAlarm(code, subject, message, now, now)
    tx.connection.execute(
        sa.insert(T).values(code=code, subject=subject, message=message, raised_at=now, seen_at=now)
    )
    return row


@writer
def clear(tx: Transaction, code: str, subject: str) -> bool:
    """The alarm is not raised any more; whether we have changed that."""
    gone = tx.connection.execute(sa.delete(T).where(T.c.code == code, T.c.subject == subject))
    return gone.rowcount > 0


@reader
def raised(tx: Transaction) -> list[RaisedAlarm]:
    """All that are raised, the oldest first."""
    columns = (T.c.code, T.c.subject, T.c.message, T.c.raised_at, T.c.seen_at)
    rows = tx.connection.execute(sa.select(*columns).order_by(T.c.id))
    return [RaisedAlarm(*row) for row in rows]


# ---- causes in the database


_UNSETTLED = (
    N.c.notification_uuid,
    N.c.type,
    N.c.status,
    N.c.attempt,
    N.c.message,
    sa.func.coalesce(HOSTS.c.name, N.c.source_host_uuid),
    N.c.created_at,
)
_WITH_HOST = N.outerjoin(HOSTS, HOSTS.c.uuid == N.c.source_host_uuid)


@reader
def waiting(tx: Transaction, age_s: float) -> list[Unsettled]:
    """Notifications that were accepted longer than *age_s* ago and have not ended."""
    long_ago = tx.clock_now() - datetime.timedelta(seconds=age_s)
    return _unsettled(tx, N.c.status.in_(OPEN), N.c.created_at < long_ago)


@reader
def failing(tx: Transaction) -> list[Unsettled]:
    """Notifications that were tried in vain and have not ended.

    Not those that only wait for the recovery of their whole host.
    """
    was_tried = sa.or_(N.c.status == str(NotificationStatus.ERROR), N.c.failures > 0)
    waits = sa.func.coalesce(N.c.message, "").startswith(f"{Reason.HOST_FAILED}:")
    return _unsettled(tx, N.c.status.in_(OPEN), was_tried, sa.not_(waits))


def _unsettled(tx: Transaction, *conditions: sa.ColumnElement[bool]) -> list[Unsettled]:
    rows = tx.connection.execute(
        sa.select(*_UNSETTLED)
        .select_from(_WITH_HOST)
        .where(*conditions, N.c.deleted == 0)
        .order_by(N.c.id)
        .limit(MOST)
    )
    return [Unsettled(*row) for row in rows]


@reader
def given_up(tx: Transaction, age_s: float) -> list[Unsettled]:
    """Notifications that failed within *age_s*, and whose host or VM was not recovered since."""
    since = tx.clock_now() - datetime.timedelta(seconds=age_s)
    rows = tx.connection.execute(
        sa.select(*_UNSETTLED, N.c.id, N.c.source_host_uuid, N.c.payload)
        .select_from(_WITH_HOST)
        .where(
            N.c.status == str(NotificationStatus.FAILED),
            N.c.cancelled_at.is_(None),  # by an operator, who knows
            N.c.updated_at >= since,
            N.c.deleted == 0,
        )
        .order_by(N.c.id.desc())
        .limit(MOST)
    ).all()
    if not rows:
        return []
    finished = _finished(tx, {row.source_host_uuid for row in rows}, min(row.id for row in rows))
    left = [
        Unsettled(*row[: len(_UNSETTLED)])
        for row in rows
        if not any(
            id_ > row.id and about == _about(row.source_host_uuid, row.type, row.payload)
            for id_, about in finished
        )
    ]
    return left[::-1]


def _finished(
    tx: Transaction, hosts: Collection[str], after: int
) -> list[tuple[int, tuple[object, ...]]]:
    """(id, what it is about) of what was recovered later."""
    rows = tx.connection.execute(
        sa.select(N.c.id, N.c.source_host_uuid, N.c.type, N.c.payload).where(
            N.c.source_host_uuid.in_(hosts),
            N.c.id > after,
            N.c.status == str(NotificationStatus.FINISHED),
            N.c.deleted == 0,
        )
    )
    return [(row.id, _about(row.source_host_uuid, row.type, row.payload)) for row in rows]


def _about(host: str, type_: str, text: str | None) -> tuple[object, ...]:
    payload = models.parsed(text)
    return host, side_by_side.subject(type_, payload), (payload or {}).get("process_name")


@reader
def registered_hosts(tx: Transaction) -> Sequence[str]:
    """Names of all hosts that are in a segment."""
    found = sa.select(HOSTS.c.name).where(HOSTS.c.deleted == 0).order_by(HOSTS.c.id)
    return tx.connection.execute(found).scalars().all()


@reader
def clock_ahead_s(tx: Transaction) -> float:
    """By how much the program's clock is ahead of the database's, in seconds, at least.

    Somewhere between question and answer the database has looked at its clock; how long an answer
    takes is no difference.
    """
    asked_at = tx.clock_now_precisely()
    theirs = tx.now()
    answered_at = tx.clock_now_precisely()
    if asked_at <= theirs <= answered_at:
        return 0.0
    nearest = asked_at if theirs < asked_at else answered_at
    return (nearest - theirs).total_seconds()


@reader
def taken_hosts(tx: Transaction) -> list[str]:
    """Names of the reserved hosts that a recovery which has ended had taken, and not given back."""
    is_taken = HOSTS.c.reserved_for > ""  # not null; SQLite finds it by the index only so
    is_in_use = sa.exists().where(
        N.c.notification_uuid == HOSTS.c.reserved_for, N.c.status.in_(OPEN_STATUSES)
    )
    names = sa.select(HOSTS.c.name).where(
        is_taken, HOSTS.c.reserved, HOSTS.c.deleted == 0, sa.not_(is_in_use)
    )
    return list(tx.connection.scalars(names))
