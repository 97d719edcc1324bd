"""Failover segments."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db.exception import DBDuplicateEntry
from oslo_utils import uuidutils

from masakari.db import models, query
from masakari.db.models import Segment
from masakari.db.packed import Shown
from masakari.db.query import Page
from masakari.db.session import Transaction, reader, writer
from masakari.errors import SegmentExists, SegmentNotFound, SegmentUnderRecovery
from masakari.states import OPEN_STATUSES

T = models.segments
CHANGEABLE = frozenset(
    {"name", "recovery_method", "service_type", "description", "enabled", "observe_only"}
)
BRAKES = ({"enabled": False}, {"observe_only": True})
"""Changes that may be made at any time: nothing more is begun."""
_LISTING = query.listing(T, unsorted={"observe_only"})
SORT_KEYS = sorted(_LISTING.sortable)


@writer
def create(
    tx: Transaction,
    *,
    name: str,
    recovery_method: str,
    service_type: str,
    description: str | None = None,
    enabled: bool = True,
    observe_only: bool = False,
) -> Segment:
    """A new segment without hosts.  Raises SegmentExists."""
    uuid = uuidutils.generate_uuid()
    _refuse_taken(tx, name, uuid)
    try:
        tx.connection.execute(
            sa.insert(T).values(
                uuid=uuid,
                name=name,
                recovery_method=recovery_method,
                service_type=service_type,
                description=description,
                enabled=enabled,
                observe_only=observe_only,
                created_at=tx.clock_now(),
                deleted=0,
            )
        )
    except DBDuplicateEntry:
        raise SegmentExists(name=name) from None
    return require(tx, uuid)


@reader
def get(tx: Transaction, segment: str) -> Segment:
    """The live segment with that uuid or id.  Raises SegmentNotFound."""
    return require(tx, segment)


@reader
def page(
    tx: Transaction,
    page: Page,
    *,
    recovery_method: str | None = None,
    service_type: str | None = None,
    enabled: bool | None = None,
    observe_only: bool | None = None,
) -> list[Shown]:
    """Live segments, filtered by what is not None.  Raises Invalid and MarkerNotFound."""
    conditions = query.equals(
        T,
        recovery_method=recovery_method,
        service_type=service_type,
        observe_only=observe_only,
    )
    if enabled is not None:
        conditions.append(sa.func.coalesce(T.c.enabled, sa.true()) == enabled)
    return query.fetch(tx, _LISTING, page, conditions)


@writer
def update(tx: Transaction, segment: str, changes: Mapping[str, Any]) -> Segment:
    """The segment (uuid or id) with *changes* to fields of CHANGEABLE.

    Raises SegmentNotFound, SegmentExists, and SegmentUnderRecovery unless the only change is one
    of BRAKES.
    """
    query.check_changes(changes, CHANGEABLE)
    uuid = lock(tx, segment)
    if dict(changes) not in BRAKES:
        refuse_under_recovery(tx, uuid)
    if "name" in changes:
        _refuse_taken(tx, changes["name"], uuid)
    try:
        tx.connection.execute(
            sa.update(T).where(T.c.uuid == uuid).values(**changes, updated_at=tx.clock_now())
        )
    except DBDuplicateEntry:
        raise SegmentExists(name=changes["name"]) from None
    return require(tx, uuid)


@writer
def delete(tx: Transaction, segment: str) -> None:
    """The segment (uuid or id) and its hosts are gone (softly).

    Raises SegmentNotFound, SegmentUnderRecovery.
    """
    uuid = lock(tx, segment)
    refuse_under_recovery(tx, uuid)
    hosts = models.hosts
    gone = {"deleted_at": tx.clock_now()}
    tx.connection.execute(
        sa.update(hosts)
        .where(hosts.c.failover_segment_id == uuid, hosts.c.deleted == 0)
        .values(deleted=hosts.c.id, **gone)
    )
    tx.connection.execute(sa.update(T).where(T.c.uuid == uuid).values(deleted=T.c.id, **gone))


# ---- parts of transactions


def require(tx: Transaction, segment: str) -> Segment:
    """The live segment with that uuid or id.  Raises SegmentNotFound."""
    is_it = query.is_called(T, segment)
    row = tx.connection.execute(sa.select(T).where(is_it, T.c.deleted == 0)).first()
    if row is None:
        raise SegmentNotFound(segment=segment)
    return Segment.from_row(row)


def _refuse_taken(tx: Transaction, name: str, uuid: str) -> None:
    """No live segment but *uuid* has the name, in capitals or not, as MySQL's index has it.

    Raises SegmentExists.
    """
    is_same = sa.func.lower(T.c.name) == sa.func.lower(name)
    itself = sa.select(T.c.id).where(T.c.uuid == uuid)
    others = sa.select(T.c.id).where(is_same, T.c.deleted == 0, T.c.id.not_in(itself)).limit(1)
    if tx.connection.execute(others).first() is not None:
        raise SegmentExists(name=name)


def lock(tx: Transaction, segment: str) -> str:
    """Nobody else changes the live segment (uuid or id) until the end; its uuid.

    Raises SegmentNotFound.
    """
    is_it = query.is_called(T, segment)
    locked = sa.select(T.c.uuid).where(is_it, T.c.deleted == 0).with_for_update()
    uuid: str | None = tx.connection.execute(locked).scalar()
    if uuid is None:
        raise SegmentNotFound(segment=segment)
    return uuid


def refuse_under_recovery(tx: Transaction, uuid: str) -> None:
    """No live host of the segment has an open notification, nor gets one until the end.

    The rows of the hosts are locked, as `notifications.report` locks the one that it reports of.
    Raises SegmentUnderRecovery.
    """
    hosts, notifications = models.hosts, models.notifications
    of_segment = (
        sa.select(hosts.c.uuid)
        .where(hosts.c.failover_segment_id == uuid, hosts.c.deleted == 0)
        .order_by(hosts.c.id)
        .with_for_update()
    )
    uuids = tx.connection.execute(of_segment).scalars().all()
    if not uuids:
        return
    an_open_one = (
        sa.select(notifications.c.id)
        .where(
            notifications.c.source_host_uuid.in_(uuids),
            notifications.c.status.in_(OPEN_STATUSES),
            notifications.c.deleted == 0,
        )
        .limit(1)
    )
    if tx.connection.execute(an_open_one).first() is not None:
        raise SegmentUnderRecovery(segment=uuid)
