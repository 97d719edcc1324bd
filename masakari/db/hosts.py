"""Compute hosts of failover segments.

A *reserved* host that a recovery has taken is `reserved_for` that notification.  It is *used* once
a VM has landed there: not reserved any more; else it is *given back*.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db.exception import DBDuplicateEntry
from oslo_serialization import jsonutils
from oslo_utils import uuidutils
from sqlalchemy import ColumnElement

from masakari.db import models, query, segments
from masakari.db.models import Host, Segment
from masakari.db.packed import Shown
from masakari.db.query import Page
from masakari.db.session import Transaction, reader, writer
from masakari.errors import HostExists, HostNameUnknown, HostNotFound, HostUnderRecovery
from masakari.states import OPEN_STATUSES, Event, NotificationType

T = models.hosts
NOTIFICATIONS = models.notifications
CHANGEABLE = frozenset({"name", "type", "control_attributes", "reserved", "on_maintenance"})
_OURS = {"maintenance_by", "reserved_for", "reserved_undo"}
_WITH_SEGMENT = sa.select(T, models.segments).join(
    models.segments, T.c.failover_segment_id == models.segments.c.uuid
)
_LISTING = query.listing(T, hidden=_OURS)
SORT_KEYS = sorted(_LISTING.sortable)
_IN_SERVICE = sa.func.coalesce(T.c.on_maintenance, sa.false()) == sa.false()
_BACK_IN_SERVICE: Mapping[str, object] = {"on_maintenance": False, "maintenance_by": None}

GIVING_BACK_S = 60
"""Seconds after which who was giving a reserved host back is taken for dead."""


@writer
def create(
    tx: Transaction,
    segment: str,
    *,
    name: str,
    type: str,
    control_attributes: str,
    reserved: bool = False,
    on_maintenance: bool = False,
) -> Host:
    """A new host of the segment (uuid or id).  Raises SegmentNotFound, HostExists."""
    segment_uuid = segments.lock(tx, segment)
    uuid = uuidutils.generate_uuid()
    try:
        tx.connection.execute(
            sa.insert(T).values(
                uuid=uuid,
                name=name,
                type=type,
                control_attributes=control_attributes,
                reserved=reserved,
                on_maintenance=on_maintenance,
                failover_segment_id=segment_uuid,
                created_at=tx.clock_now(),
                deleted=0,
            )
        )
    except DBDuplicateEntry:
        raise HostExists(name=name) from None
    return _require(tx, segment_uuid, uuid)


@reader
def get(tx: Transaction, segment: str, host: str) -> Host:
    """The live host of the segment, each by uuid or id.  Raises HostNotFound."""
    return _require(tx, segment, host)


@reader
def find(tx: Transaction, uuid: str) -> Host | None:
    """The host with that uuid in whichever segment, deleted or not, or None."""
    row = tx.connection.execute(_WITH_SEGMENT.where(T.c.uuid == uuid)).first()
    return None if row is None else Host.from_row(row)


@reader
def get_by_name(tx: Transaction, name: str) -> Host:
    """The live host of that name, case-sensitively.  Raises HostNameUnknown."""
    return _named(tx, name)


@reader
def page(
    tx: Transaction,
    segment: str,
    page: Page,
    *,
    type: str | None = None,
    on_maintenance: bool | None = None,
    reserved: bool | None = None,
    name: str | None = None,
    control_attributes: str | None = None,
) -> tuple[Segment, list[Shown]]:
    """The segment (uuid or id) and its live hosts, filtered by what is not None.

    Raises SegmentNotFound, Invalid and MarkerNotFound.
    """
    owner = segments.require(tx, segment)
    conditions = query.equals(
        T,
        failover_segment_id=owner.uuid,
        type=type,
        name=name,
        control_attributes=control_attributes,
    )
    for column, wanted in ((T.c.on_maintenance, on_maintenance), (T.c.reserved, reserved)):
        if wanted is not None:
            conditions.append(sa.func.coalesce(column, sa.false()) == wanted)
    return owner, query.fetch(tx, _LISTING, page, conditions)


@writer
def update(tx: Transaction, segment: str, host: str, changes: Mapping[str, Any]) -> Host:
    """The host of the segment, each by uuid or id, with *changes* to fields of CHANGEABLE.

    Maintenance and reservation that are set here are the operator's, no longer a recovery's.
    Raises HostNotFound, HostExists, SegmentUnderRecovery.
    """
    query.check_changes(changes, CHANGEABLE)
    uuid = _changeable(tx, segment, host)
    values = {**changes, "updated_at": tx.clock_now()}
    if "on_maintenance" in changes:
        values["maintenance_by"] = None
    if "reserved" in changes:
        values |= {"reserved_for": None, "reserved_undo": None}
    try:
        tx.connection.execute(sa.update(T).where(_is_live(uuid)).values(**values))
    except DBDuplicateEntry:
        raise HostExists(name=changes["name"]) from None
    return _require(tx, segment, uuid)


@writer
def delete(tx: Transaction, segment: str, host: str) -> None:
    """The host of the segment, each by uuid or id, is gone (softly).

    Raises HostNotFound, SegmentUnderRecovery.
    """
    uuid = _changeable(tx, segment, host)
    tx.connection.execute(
        sa.update(T).where(_is_live(uuid)).values(deleted=T.c.id, deleted_at=tx.clock_now())
    )


# ---- maintenance


@writer
def begin_maintenance(tx: Transaction, uuid: str, *, by: str) -> bool:
    """The host is on maintenance for the recovery *by*; whether that is so.

    Maintenance that a PROCESS notification had set is taken over.  False if it was on maintenance
    for another reason, or is gone.
    """
    values: dict[str, object] = {"on_maintenance": True, "maintenance_by": by}
    takes_over = sa.or_(T.c.maintenance_by == by, _is_maintained_by_process())
    return _change(tx, uuid, sa.or_(_IN_SERVICE, takes_over), values)


@writer
def end_maintenance(tx: Transaction, uuid: str, *, by: str | None = None) -> bool:
    """Maintenance that the recovery *by* (None: any recovery) had begun is over; whether it was.

    Maintenance that an operator set stays.
    """
    is_ours = T.c.maintenance_by.is_not(None) if by is None else T.c.maintenance_by == by
    return _change(tx, uuid, is_ours, _BACK_IN_SERVICE)


@writer
def end_process_maintenance(tx: Transaction, uuid: str) -> bool:
    """Maintenance that a PROCESS notification had set is over; whether there was such."""
    return _change(tx, uuid, _is_maintained_by_process(), _BACK_IN_SERVICE)


@reader
def proven_dead(tx: Transaction) -> dict[str, datetime.datetime]:
    """{name: when the proof was seen} of hosts on maintenance because of a proof of their death.

    Not of those whose return was reported since.
    """
    n, later = NOTIFICATIONS, NOTIFICATIONS.alias("later")
    rows = tx.connection.execute(
        sa.select(T.c.name, n.c.proof, later.c.payload)
        .join(n, n.c.notification_uuid == T.c.maintenance_by)
        .outerjoin(
            later,
            sa.and_(
                later.c.source_host_uuid == T.c.uuid,
                later.c.type == str(NotificationType.COMPUTE_HOST),
                later.c.id > n.c.id,
            ),
        )
        .where(T.c.deleted == 0, T.c.on_maintenance == sa.true(), n.c.proof.is_not(None))
    )
    dead: dict[str, datetime.datetime] = {}
    back: set[str] = set()
    for name, text, reported in rows:
        proof = jsonutils.loads(text)
        if "seen_at" in proof:
            dead[name] = datetime.datetime.fromisoformat(proof["seen_at"])
        if proof.get("voided_by") or (models.parsed(reported) or {}).get("event") == Event.STARTED:
            back.add(name)
    return {name: seen_at for name, seen_at in dead.items() if name not in back}


@reader
def require_settled(tx: Transaction, name: str) -> Host:
    """The live host of that name, which has no open notification.

    Raises HostNameUnknown, HostUnderRecovery.
    """
    host = _named(tx, name)
    _refuse_open(tx, host)
    return host


@writer
def repaired(tx: Transaction, name: str) -> Host:
    """The host is in service again: on maintenance for nobody.

    Raises HostNameUnknown, HostUnderRecovery.
    """
    tx.connection.execute(_live_of_name(name).with_for_update())
    host = _named(tx, name)
    _refuse_open(tx, host)
    tx.connection.execute(
        sa.update(T)
        .where(_is_live(host.uuid))
        .values(**_BACK_IN_SERVICE, updated_at=tx.clock_now())
    )
    return _named(tx, name)


# ---- reserved hosts


@reader
def reserved_hosts(tx: Transaction, segment_uuid: str, *, by: str) -> list[Host]:
    """The hosts of the segment that the recovery *by* can use, in the order to try them.

    First those that it has taken, used or not; then what is reserved and nobody's, newest
    registered first.
    """
    is_ours = T.c.reserved_for == by
    is_free = sa.and_(T.c.reserved == sa.true(), T.c.reserved_for.is_(None))
    rows = tx.connection.execute(
        _WITH_SEGMENT.where(
            T.c.failover_segment_id == segment_uuid,
            T.c.deleted == 0,
            _IN_SERVICE,
            sa.or_(is_ours, is_free),
        ).order_by(sa.case((is_ours, 0), else_=1), T.c.created_at.desc(), T.c.id.desc())
    )
    return [Host.from_row(row) for row in rows]


@writer
def end_reservation(tx: Transaction, uuid: str) -> bool:
    """The host, which is dead, is reserved no more; whether it was."""
    return _change(tx, uuid, T.c.reserved == sa.true(), {"reserved": False})


@writer
def take_reserved(tx: Transaction, uuid: str, *, by: str) -> bool:
    """The host is reserved for the recovery *by*; whether that is so.

    False if another has taken it, or it is not reserved, on maintenance or gone.
    """
    is_free = sa.and_(T.c.reserved == sa.true(), T.c.reserved_for.is_(None))
    can_be_had = sa.and_(_IN_SERVICE, sa.or_(T.c.reserved_for == by, is_free))
    return _change(tx, uuid, can_be_had, {"reserved_for": by})


@writer
def will_undo_reserved(tx: Transaction, uuid: str, *, by: str, undo: Mapping[str, Any]) -> bool:
    """Giving the host back has to *undo* that; whether *by* still has it."""
    text = jsonutils.dumps(dict(undo))
    return _change(tx, uuid, T.c.reserved_for == by, {"reserved_undo": text})


@writer
def use_reserved(tx: Transaction, uuid: str, *, by: str) -> bool:
    """The host that *by* has taken is an ordinary one from now on; whether that changed it.

    Nothing of what was done to it is undone any more.
    """
    is_unused = sa.and_(T.c.reserved_for == by, T.c.reserved == sa.true())
    return _change(tx, uuid, is_unused, {"reserved": False, "reserved_undo": None})


@writer
def give_back_reserved(tx: Transaction, uuid: str, *, by: str) -> bool:
    """The host that *by* has taken and not used is free again; whether that changed it."""
    is_unused = sa.and_(T.c.reserved_for == by, T.c.reserved == sa.true())
    return _change(tx, uuid, is_unused, {"reserved_for": None, "reserved_undo": None})


@writer
def take_over_reserved(tx: Transaction, uuid: str, *, of: str, by: str) -> bool:
    """What *of* has not given back *by* may give back, and nobody else; whether that is so."""
    is_left = sa.and_(T.c.reserved_for == of, T.c.reserved == sa.true())
    return _change(tx, uuid, is_left, {"reserved_for": by})


@reader
def forgotten_reserved(tx: Transaction, limit: int = 100) -> list[Host]:
    """Reserved hosts that nobody has any more who could give them back.

    Their recovery is not open, nor has somebody else begun to give them back a short while ago.
    """
    n = NOTIFICATIONS
    of_recovery = sa.select(n.c.id).where(n.c.notification_uuid == T.c.reserved_for)
    is_open = of_recovery.where(n.c.status.in_(OPEN_STATUSES), n.c.deleted == 0).exists()
    lately = tx.clock_now() - datetime.timedelta(seconds=GIVING_BACK_S)
    is_being_given_back = sa.and_(sa.not_(of_recovery.exists()), T.c.updated_at > lately)
    rows = tx.connection.execute(
        _WITH_SEGMENT.where(
            T.c.reserved_for > "",  # not null; SQLite finds it by the index only so
            T.c.reserved == sa.true(),
            T.c.deleted == 0,
            sa.not_(is_open),
            sa.not_(is_being_given_back),
        )
        .order_by(T.c.reserved_for, T.c.id)
        .limit(limit)
    )
    return [Host.from_row(row) for row in rows]


# ---- parts of transactions


def _change(
    tx: Transaction, uuid: str, condition: ColumnElement[bool], values: Mapping[str, object]
) -> bool:
    """The live host has *values* if it meets the *condition*; whether it does."""
    changed = tx.connection.execute(
        sa.update(T).where(_is_live(uuid), condition).values(**values, updated_at=tx.clock_now())
    )
    return changed.rowcount == 1


def _is_maintained_by_process() -> ColumnElement[bool]:
    n = NOTIFICATIONS
    return (
        sa.select(n.c.id)
        .where(
            n.c.notification_uuid == T.c.maintenance_by,
            n.c.type == str(NotificationType.PROCESS),
        )
        .exists()
    )


def _is_live(uuid: str) -> ColumnElement[bool]:
    return sa.and_(T.c.uuid == uuid, T.c.deleted == 0)


def _changeable(tx: Transaction, segment: str, host: str) -> str:
    """The uuid of the host, whose segment is not under recovery until the end."""
    found = _require(tx, segment, host)
    segments.refuse_under_recovery(tx, found.failover_segment_id)
    return found.uuid


def _require(tx: Transaction, segment: str, host: str) -> Host:
    is_it = sa.and_(query.is_called(T, host), query.is_called(models.segments, segment))
    row = tx.connection.execute(_WITH_SEGMENT.where(is_it, T.c.deleted == 0)).first()
    if row is None:
        raise HostNotFound(host=host)
    return Host.from_row(row)


def _live_of_name(name: str) -> "sa.Select[tuple[int]]":
    return sa.select(T.c.id).where(T.c.name == name, T.c.deleted == 0)


def _named(tx: Transaction, name: str) -> Host:
    row = tx.connection.execute(_WITH_SEGMENT.where(T.c.name == name, T.c.deleted == 0)).first()
    if row is None or row.name != name:  # MySQL compares without regard to case
        raise HostNameUnknown(host=name)
    return Host.from_row(row)


def _refuse_open(tx: Transaction, host: Host) -> None:
    n = NOTIFICATIONS
    is_open = sa.and_(
        n.c.source_host_uuid == host.uuid, n.c.status.in_(OPEN_STATUSES), n.c.deleted == 0
    )
    found = tx.connection.execute(
        sa.select(n.c.notification_uuid, n.c.status).where(is_open).order_by(n.c.id)
    ).all()
    if found:
        listed = ", ".join(f"{uuid} ({status})" for uuid, status in found)
        raise HostUnderRecovery(host=host.name, notifications=listed)
