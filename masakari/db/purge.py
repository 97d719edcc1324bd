"""`masakari-manage db purge`: what ended long ago is deleted, a few rows at a time.

A batch is one short transaction, so a live system hardly waits, and what is broken off leaves
nothing half: a notification goes together with its vmoves and witnesses.  TaskFlow's books, which
may be in another database, go when their notification is gone; a later run finds what was left.
"""

import datetime
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from masakari.db import models, progress, steps
from masakari.db.session import Database, Transaction, reader, writer
from masakari.states import OPEN_STATUSES, NotificationStatus

BATCH_ROWS = 500
"""So many rows, or one notification with what is its, go in one transaction."""
ENDED = tuple(str(s) for s in NotificationStatus if s not in OPEN_STATUSES)

N, V, R = models.notifications, models.vmoves, models.vm_recoveries
W = models.witnesses
ITS = (V, W)
"""What goes with a notification."""
HOSTS, SEGMENTS = models.hosts, models.segments
BOOKS, FLOWS, ATOMS = steps.TABLES


@dataclass
class Purge:
    """One run: what goes, and how much has gone."""

    before: datetime.datetime
    """What ended earlier goes."""
    forgotten_before: datetime.datetime
    """What was done to VMs earlier does not count for crash loops any more."""
    is_dry: bool = False
    """Rows are only counted."""
    max_rows: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Rows of each table that are gone, or would be."""

    @property
    def left(self) -> int:
        """So many more rows may go."""
        if self.max_rows is None:
            return BATCH_ROWS
        return self.max_rows - sum(self.counts.values())

    def count(self, table: sa.Table, rows: int) -> None:
        """They are gone, or would be."""
        self.counts[table.name] = self.counts.get(table.name, 0) + rows


def purge(database: Database, store: progress.Backend, run: Purge) -> dict[str, int]:
    """What *run* says is gone; {table: rows}.  Raises DatabaseUnavailable.

    What is unfinished stays, and so do rows that others that stay refer to.
    """
    tables = (N, V, W, R, HOSTS, SEGMENTS, BOOKS, FLOWS, ATOMS)
    run.counts = dict.fromkeys((table.name for table in tables), 0)
    _purge_notifications(database, run)
    for table, goes in (
        (V, _vmove_goes(run)),
        (W, _is_alone(W) & (W.c.created_at < run.before)),
        (R, _recovery_goes(run)),
        (HOSTS, _host_goes(run)),
        (SEGMENTS, _segment_goes(run)),
    ):
        _purge_rows(database, run, table, goes)
    _purge_books(database, store, run)
    return run.counts


def _whole(sizes: Iterable[tuple[str, int]], run: Purge) -> Iterator[list[str]]:
    """Keys of what may still go, in batches; none is divided.  (key, rows that go with it)."""
    batch: list[str] = []
    rows = 0
    for key, size in sizes:
        if batch and rows + size > BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        if run.max_rows is not None and rows + size > run.left:
            continue
        batch.append(key)
        rows += size
    if batch:
        yield batch


# ---- notifications, with what is theirs


def _goes(run: Purge) -> ColumnElement[bool]:
    """Notifications that ended long ago and that nothing refers to any more."""
    referring = [
        sa.select(column).where(column.is_not(None), HOSTS.c.deleted == 0)
        for column in (HOSTS.c.reserved_for, HOSTS.c.maintenance_by)
    ]
    still_locked = sa.select(V.c.notification_uuid).where(V.c.locked)
    return sa.and_(
        N.c.status.in_(ENDED),
        N.c.updated_at < run.before,
        *(N.c.notification_uuid.not_in(query) for query in (*referring, still_locked)),
    )


def _purge_notifications(database: Database, run: Purge) -> None:
    last = 0
    while run.left > 0:
        found = _old_notifications(database, run, last)
        if not found:
            return
        last, before = found[-1][0], run.counts[N.name]
        for uuids in _whole(((uuid, 1 + its) for _, uuid, its in found), run):
            gone = _delete_notifications(database, run, uuids)
            for table, rows in gone.items():
                run.count(table, rows)
        if run.counts[N.name] == before:
            return  # what is left is larger than what may still go


@reader
def _old_notifications(tx: Transaction, run: Purge, last: int) -> list[tuple[int, str, int]]:
    """(id, uuid, number of rows that go with it), by id, behind the *last* one."""
    found = tx.connection.execute(
        sa.select(N.c.id, N.c.notification_uuid)
        .where(N.c.id > last, _goes(run))
        .order_by(N.c.id)
        .limit(BATCH_ROWS)
    ).all()
    uuids = [uuid for _, uuid in found]
    rows: Counter[str] = Counter()
    for table in ITS:
        its = table.c.notification_uuid
        counted = sa.select(its, sa.func.count()).where(its.in_(uuids)).group_by(its)
        rows.update({uuid: number for uuid, number in tx.connection.execute(counted)})
    return [(id_, uuid, rows[uuid]) for id_, uuid in found]


@writer
def _delete_notifications(tx: Transaction, run: Purge, uuids: list[str]) -> Mapping[sa.Table, int]:
    theirs = {table: table.c.notification_uuid.in_(uuids) for table in ITS}
    if run.is_dry:
        return {N: len(uuids)} | {
            table: tx.connection.execute(
                sa.select(sa.func.count()).select_from(table).where(condition)
            ).scalar_one()
            for table, condition in theirs.items()
        }
    # What has ended stays so, and nobody adds vmoves to it.
    return {
        table: tx.connection.execute(sa.delete(table).where(condition)).rowcount
        for table, condition in theirs.items()
    } | {
        N: tx.connection.execute(
            sa.delete(N).where(N.c.notification_uuid.in_(uuids), N.c.status.in_(ENDED))
        ).rowcount,
    }


# ---- rows that go one by one


def _vmove_goes(run: Purge) -> ColumnElement[bool]:
    """Deleted ones, and those that OpenStack's purge has left without a notification."""
    last = sa.func.coalesce(V.c.updated_at, V.c.created_at)
    is_forgotten = sa.and_(_is_alone(V), sa.not_(V.c.locked), last < run.before)
    return sa.or_(_is_deleted(V, run), is_forgotten)


def _is_alone(table: sa.Table) -> ColumnElement[bool]:
    """Its notification is gone."""
    its = table.c.notification_uuid
    return sa.not_(sa.exists().where(N.c.notification_uuid == its))


def _recovery_goes(run: Purge) -> ColumnElement[bool]:
    is_open = sa.exists().where(
        N.c.notification_uuid == R.c.notification_uuid, N.c.status.not_in(ENDED)
    )
    last = sa.func.coalesce(R.c.ended_at, R.c.started_at)
    quiet_since = min(run.before, run.forgotten_before)
    return sa.and_(last < quiet_since, R.c.started_at < quiet_since, sa.not_(is_open))


def _host_goes(run: Purge) -> ColumnElement[bool]:
    is_named = sa.exists().where(N.c.source_host_uuid == HOSTS.c.uuid, *_stays(run))
    return sa.and_(_is_deleted(HOSTS, run), sa.not_(is_named))


def _segment_goes(run: Purge) -> ColumnElement[bool]:
    hosts = HOSTS.alias()
    stays = [] if not run.is_dry else [sa.not_(_host_goes_as(hosts, run))]
    has_hosts = sa.exists().where(hosts.c.failover_segment_id == SEGMENTS.c.uuid, *stays)
    is_named = sa.exists().where(N.c.failover_segment_uuid == SEGMENTS.c.uuid, *_stays(run))
    return sa.and_(_is_deleted(SEGMENTS, run), sa.not_(has_hosts), sa.not_(is_named))


def _host_goes_as(hosts: sa.FromClause, run: Purge) -> ColumnElement[bool]:
    named = sa.select(N.c.source_host_uuid).where(*_stays(run))
    return sa.and_(
        hosts.c.deleted != 0, hosts.c.deleted_at < run.before, hosts.c.uuid.not_in(named)
    )


def _stays(run: Purge) -> list[ColumnElement[bool]]:
    """Of the notifications that are there; in a dry run some are that would be gone by now."""
    return [sa.or_(N.c.updated_at.is_(None), sa.not_(_goes(run)))] if run.is_dry else []


def _is_deleted(table: sa.Table, run: Purge) -> ColumnElement[bool]:
    return sa.and_(table.c.deleted != 0, table.c.deleted_at < run.before)


def _purge_rows(database: Database, run: Purge, table: sa.Table, goes: ColumnElement[bool]) -> None:
    last = 0
    while run.left > 0:
        ids = _old_rows(database, table, goes, last, min(BATCH_ROWS, run.left))
        if not ids:
            return
        last = max(ids)
        run.count(table, len(ids) if run.is_dry else _delete_rows(database, table, ids))


@reader
def _old_rows(
    tx: Transaction, table: sa.Table, goes: ColumnElement[bool], last: int, limit: int
) -> list[int]:
    query = sa.select(table.c.id).where(table.c.id > last, goes).order_by(table.c.id).limit(limit)
    return list(tx.connection.execute(query).scalars())


@writer
def _delete_rows(tx: Transaction, table: sa.Table, ids: list[int]) -> int:
    return tx.connection.execute(sa.delete(table).where(table.c.id.in_(ids))).rowcount


# ---- TaskFlow's books, with their flows and steps


def _purge_books(database: Database, store: progress.Backend, run: Purge) -> None:
    books = Database(store.engine, database.clock)
    last = ""
    while run.left > 0:
        found = _old_books(books, run, last)
        if not found:
            return
        last = found[-1]
        kept = _kept(database, run, found)
        alone = [uuid for uuid in found if uuid not in kept]
        sizes = _book_sizes(books, alone)
        weights = ((uuid, 1 + sum(sizes[uuid])) for uuid in alone)
        for uuids in _whole(weights, run):
            if not run.is_dry:
                _delete_books(books, uuids)
            run.count(BOOKS, len(uuids))
            run.count(FLOWS, sum(sizes[uuid][0] for uuid in uuids))
            run.count(ATOMS, sum(sizes[uuid][1] for uuid in uuids))


@reader
def _old_books(tx: Transaction, run: Purge, last: str) -> list[str]:
    """Uuids of books, in order, behind the *last* one."""
    written = sa.func.coalesce(BOOKS.c.updated_at, BOOKS.c.created_at)
    query = (
        sa.select(BOOKS.c.uuid)
        .where(BOOKS.c.uuid > last, written < run.before)
        .order_by(BOOKS.c.uuid)
        .limit(BATCH_ROWS)
    )
    return list(tx.connection.execute(query).scalars())


@reader
def _kept(tx: Transaction, run: Purge, uuids: list[str]) -> set[str]:
    """Those whose notification stays."""
    query = sa.select(N.c.notification_uuid).where(N.c.notification_uuid.in_(uuids), *_stays(run))
    return set(tx.connection.execute(query).scalars())


@reader
def _book_sizes(tx: Transaction, uuids: list[str]) -> dict[str, tuple[int, int]]:
    """{book: (its flows, their steps)}."""
    query = (
        sa.select(FLOWS.c.parent_uuid, FLOWS.c.uuid, sa.func.count(ATOMS.c.uuid))
        .outerjoin(ATOMS, ATOMS.c.parent_uuid == FLOWS.c.uuid)
        .where(FLOWS.c.parent_uuid.in_(uuids))
        .group_by(FLOWS.c.parent_uuid, FLOWS.c.uuid)
        .order_by(FLOWS.c.parent_uuid)
    )
    sizes = dict.fromkeys(uuids, (0, 0))
    rows = tx.connection.execute(query).all()
    for book, of_book in itertools.groupby(rows, key=lambda row: row[0]):
        steps = [row[2] for row in of_book]
        sizes[book] = len(steps), sum(steps)
    return sizes


@writer
def _delete_books(tx: Transaction, uuids: list[str]) -> None:
    """Their flows and steps go with them (ON DELETE CASCADE)."""
    tx.connection.execute(sa.delete(BOOKS).where(BOOKS.c.uuid.in_(uuids)))
