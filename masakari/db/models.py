"""The tables, and the records that the functions of this package return.

Table, column, constraint and index names are those of OpenStack's Masakari at its revision
13adff5efb9a.  What is ours is nullable or has a server default, so that OpenStack's code can still
insert rows.  A record's fields are the columns of its table, in order, then what is joined to it.
"""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, DateTime, Enum, Index, Integer, String, Text

from masakari.db.sqltext import ForeignString, ForeignText
from masakari.db.sqltime import PreciseTime
from masakari.states import NotificationStatus, RecoveryMethod

metadata = sa.MetaData()


def _times_and_id() -> tuple[Column[Any], ...]:
    return (
        Column("created_at", DateTime),
        Column("updated_at", DateTime),
        Column("deleted_at", DateTime),
        Column("deleted", Integer, default=0),
        Column("id", Integer, primary_key=True, nullable=False),
    )


_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8"}

segments = sa.Table(
    "failover_segments",
    metadata,
    *_times_and_id(),
    Column("uuid", String(36), nullable=False),
    Column("name", String(255), nullable=False),
    Column("service_type", String(255), nullable=False),
    Column("enabled", Boolean, default=True),
    Column("description", Text),
    Column(
        "recovery_method",
        Enum(*(str(m) for m in RecoveryMethod), name="recovery_methods"),
        nullable=False,
    ),
    # ours
    Column("observe_only", Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.UniqueConstraint("name", "deleted", name="uniq_segment0name0deleted"),
    sa.UniqueConstraint("uuid", name="uniq_segments0uuid"),
    Index("segments_service_type_idx", "service_type"),
    **_MYSQL,
)

hosts = sa.Table(
    "hosts",
    metadata,
    *_times_and_id(),
    Column("uuid", String(36), nullable=False),
    Column("name", String(255), nullable=False),
    Column("reserved", Boolean, default=False),
    Column("type", String(255), nullable=False),
    Column("control_attributes", Text, nullable=False),
    Column("on_maintenance", Boolean, default=False),
    Column(
        "failover_segment_id",
        String(36),
        sa.ForeignKey("failover_segments.uuid"),
        nullable=False,
    ),
    # ours
    Column("maintenance_by", String(64)),
    Column("reserved_for", String(36)),
    Column("reserved_undo", Text),
    sa.UniqueConstraint("name", "deleted", name="uniq_host0name0deleted"),
    sa.UniqueConstraint("uuid", name="uniq_host0uuid"),
    Index("hosts_type_idx", "type"),
    Index("hosts_failover_segment_id_idx", "failover_segment_id", "deleted"),
    Index("hosts_reserved_for_idx", "reserved_for"),
    **_MYSQL,
)

notifications = sa.Table(
    "notifications",
    metadata,
    *_times_and_id(),
    Column("notification_uuid", String(36), nullable=False),
    Column("generated_time", DateTime, nullable=False),
    Column("source_host_uuid", String(36), nullable=False),
    Column("type", String(36), nullable=False),
    Column("payload", Text),
    Column(
        "status",
        Enum(*(str(s) for s in NotificationStatus), name="notification_status"),
        nullable=False,
    ),
    Column("failover_segment_uuid", String(36)),
    Column("message", ForeignText),
    # ours
    Column("owner", String(255)),
    Column("lease_until", PreciseTime),
    Column("attempt", Integer, nullable=False, server_default=sa.text("0")),
    Column("proof", Text),
    Column("not_before", PreciseTime),
    Column("request_id", String(255)),
    Column("failures", Integer, nullable=False, server_default=sa.text("0")),
    Column("cancelled_at", DateTime),
    Column("retried_at", DateTime),
    Column("reported_by", ForeignString(255)),
    sa.UniqueConstraint("notification_uuid", name="uniq_notification0uuid"),
    Index("notifications_status_idx", "status", "lease_until"),
    Index("notifications_source_idx", "source_host_uuid", "type", "generated_time"),
    Index("notifications_created_at_idx", "created_at", "id"),
    Index("notifications_host_created_idx", "source_host_uuid", "created_at", "id"),
    Index("notifications_type_created_idx", "type", "created_at", "id"),
    Index("notifications_generated_idx", "generated_time", "created_at", "id"),
    **_MYSQL,
)

vmoves = sa.Table(
    "vmoves",
    metadata,
    *_times_and_id(),
    Column("uuid", String(36), nullable=False),
    Column("notification_uuid", String(36), nullable=False),
    Column("instance_uuid", String(36), nullable=False),
    Column("instance_name", ForeignString(255), nullable=False),
    Column("source_host", String(255)),
    Column("dest_host", String(255)),
    Column("start_time", DateTime),
    Column("end_time", DateTime),
    Column("type", String(36)),
    Column("status", String(255)),
    Column("message", ForeignText),
    # ours
    Column("attempt", Integer, nullable=False, server_default=sa.text("1")),
    Column("rank", Integer, nullable=False, server_default=sa.text("0")),
    Column("vm_state", String(255)),
    Column("task_state", String(255)),
    Column("power_state", Integer),
    Column("locked", Boolean, nullable=False, server_default=sa.false()),
    Column("chapter", Integer, nullable=False, server_default=sa.text("1")),
    sa.UniqueConstraint("uuid", name="uniq_vmove0uuid"),
    Index("vmoves_notification_idx", "notification_uuid", "attempt", "status"),
    Index("vmoves_locked_idx", "locked"),
    **_MYSQL,
)

vm_recoveries = sa.Table(
    "vm_recoveries",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False),
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    Column("instance_uuid", String(36), nullable=False),
    Column("notification_uuid", String(36), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("host", String(255), nullable=False),
    Column("started_at", PreciseTime, nullable=False),
    Column("power_on_at", PreciseTime),
    Column("ended_at", PreciseTime),
    Column("outcome", String(16)),
    sa.UniqueConstraint(
        "notification_uuid", "attempt", "action", name="uniq_vm_recovery0notification0attempt"
    ),
    Index("vm_recoveries_instance_idx", "instance_uuid", "started_at"),
    **_MYSQL,
)

witnesses = sa.Table(
    "witnesses",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False),
    Column("created_at", DateTime),
    Column("notification_uuid", String(36), nullable=False),
    Column("reported_by", ForeignString(255), nullable=False),
    Column("generated_time", DateTime, nullable=False),
    Column("payload", Text),
    sa.UniqueConstraint(
        "notification_uuid", "reported_by", name="uniq_witness0notification0reported_by"
    ),
    **_MYSQL,
)

alarms = sa.Table(
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False),
    Column("code", String(16), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("message", Text, nullable=False),
    Column("raised_at", PreciseTime, nullable=False),
    Column("seen_at", PreciseTime, nullable=False),
    sa.UniqueConstraint("code", "subject", name="uniq_alarm0code0subject"),
    **_MYSQL,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A group of hosts whose VMs are recovered alike."""

    created_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    deleted_at: datetime.datetime | None
    deleted: int
    """0, or the id once the row is deleted."""
    id: int
    uuid: str
    name: str
    service_type: str
    enabled: bool
    description: str | None
    recovery_method: str
    """a states.RecoveryMethod"""
    observe_only: bool
    """Recoveries of its hosts are planned and recorded, and nothing is done."""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The record of a row with the table's columns."""
        values = list(row)
        values[_SEGMENT_ENABLED] = values[_SEGMENT_ENABLED] is not False
        return cls(*values)


@dataclass(frozen=True, slots=True)
class Host:
    """A compute host of a segment."""

    created_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    deleted_at: datetime.datetime | None
    deleted: int
    """0, or the id once the row is deleted."""
    id: int
    uuid: str
    name: str
    """Nova's service host"""
    reserved: bool
    type: str
    control_attributes: str
    on_maintenance: bool
    failover_segment_id: str
    """The segment's *uuid*."""
    maintenance_by: str | None
    """Uuid of the notification whose recovery set on_maintenance; None: an operator did."""
    reserved_for: str | None
    """Uuid of the notification whose recovery has taken the host, while it is reserved and after
    it was used."""
    reserved_undo: dict[str, Any] | None
    """What giving the host back has to undo (JSON: values of any type)."""
    failover_segment: Segment

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The record of a row with the columns of hosts, then those of failover_segments."""
        values = list(row)
        own, segment = values[:_HOST_WIDTH], values[_HOST_WIDTH:]
        for flag in _HOST_FLAGS:
            own[flag] = bool(own[flag])
        own[_HOST_UNDO] = parsed(own[_HOST_UNDO])
        own.append(Segment.from_row(segment))
        return cls(*own)


@dataclass(frozen=True, slots=True)
class Notification:
    """A reported failure, and how far the answer to it has come."""

    created_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    deleted_at: datetime.datetime | None
    deleted: int
    id: int
    notification_uuid: str
    generated_time: datetime.datetime
    """When the monitor saw it, by the monitor's clock."""
    source_host_uuid: str
    type: str
    """a states.NotificationType"""
    payload: dict[str, str]
    status: str
    """a states.NotificationStatus"""
    failover_segment_uuid: str | None
    """None in rows of old releases whose host is gone."""
    message: str | None
    owner: str | None
    """The engine that holds the lease."""
    lease_until: datetime.datetime | None
    """By the database's clock."""
    attempt: int
    """Counts the tries from 1; 0 before the first."""
    proof: dict[str, Any] | None
    """Why the source host cannot run its VMs (JSON: values of any type)."""
    not_before: datetime.datetime | None
    """No engine claims it before then, by the engine's clock; None: it waits for nothing."""
    request_id: str | None
    """Of the request that reported it."""
    failures: int
    """Tries that failed, those aside for which it could not help it."""
    cancelled_at: datetime.datetime | None
    """When an operator has cancelled it; None: nobody did, or it was retried since."""
    retried_at: datetime.datetime | None
    """When an operator has last wanted it tried anew; *failures* and *proof* are since then."""
    reported_by: str | None
    """The monitor, as it named itself, or whose token it was, and where it came from."""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The record of a row with the table's columns."""
        values = list(row)
        values[_PAYLOAD] = parsed(values[_PAYLOAD]) or {}
        values[_PROOF] = parsed(values[_PROOF])
        return cls(*values)


@dataclass(frozen=True, slots=True)
class Witness:
    """One more report of a failure that was reported before."""

    id: int
    created_at: datetime.datetime | None
    notification_uuid: str
    """Of the notification that was accepted."""
    reported_by: str
    """As in Notification."""
    generated_time: datetime.datetime
    """When this monitor saw it, by its clock."""
    payload: dict[str, str]
    """As this monitor sent it."""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The record of a row with the table's columns."""
        values = list(row)
        values[-1] = parsed(values[-1]) or {}
        return cls(*values)


@dataclass(frozen=True, slots=True)
class VMove:
    """One VM's way off a failed host, in one chapter of one attempt of one notification."""

    created_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    deleted_at: datetime.datetime | None
    deleted: int
    id: int
    uuid: str
    notification_uuid: str
    instance_uuid: str
    instance_name: str
    source_host: str | None
    dest_host: str | None
    start_time: datetime.datetime | None
    end_time: datetime.datetime | None
    type: str | None
    """a states.VMoveType"""
    status: str | None
    """a states.VMoveStatus"""
    message: str | None
    attempt: int
    rank: int
    """Order of evacuation, smallest first."""
    vm_state: str | None
    """As Nova had it before we touched the VM."""
    task_state: str | None
    """As Nova had it before we touched the VM."""
    power_state: int | None
    """As Nova had it before we touched the VM."""
    locked: bool
    """We lock the VM, or are about to: written before Nova is asked."""
    chapter: int
    """Counts the flows of the attempt from 1."""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The record of a row with the table's columns."""
        return cls(*row)


@dataclass(frozen=True, slots=True)
class VmRecovery:
    """One thing that an instance recovery did to its VM: the memory of crash loops."""

    id: int
    created_at: datetime.datetime | None
    updated_at: datetime.datetime | None
    instance_uuid: str
    notification_uuid: str
    attempt: int
    action: str
    """a states.VmAction"""
    host: str
    """Where the VM was when it began."""
    started_at: datetime.datetime
    """By the engine's clock."""
    power_on_at: datetime.datetime | None
    """When Nova was asked to start the VM; what it reported before is about the guest before."""
    ended_at: datetime.datetime | None
    outcome: str | None
    """A word of the engine's; None: it has not ended, as far as is known."""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The record of a row with the table's columns."""
        return cls(*row)


def payload_text(payload: Mapping[str, str]) -> str:
    """The payload as columns have it: equal ones are equal text."""
    return json.dumps(dict(payload), sort_keys=True)


def parsed(text: str | None) -> dict[str, Any] | None:
    """The JSON object in a column."""
    parsed: dict[str, Any] | None = json.loads(text) if text else None
    return parsed


_SEGMENT_ENABLED = segments.columns.keys().index("enabled")
_HOST_WIDTH = len(hosts.columns)
_HOST_FLAGS = tuple(hosts.columns.keys().index(name) for name in ("reserved", "on_maintenance"))
_HOST_UNDO = hosts.columns.keys().index("reserved_undo")
_PAYLOAD = notifications.columns.keys().index("payload")
_PROOF = notifications.columns.keys().index("proof")
