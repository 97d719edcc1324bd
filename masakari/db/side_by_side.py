"""Which notifications of one host are processed at the same time.

VMs are recovered side by side; whatever else is wrong with a host has it for itself.  Where the
host itself has failed, its VMs wait until it is recovered.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from masakari.db import models, sqltext, sqltime
from masakari.db.models import Notification
from masakari.db.session import Transaction
from masakari.states import (
    OPEN_STATUSES,
    Event,
    HostStatus,
    NotificationStatus,
    NotificationType,
)

T = models.notifications
VM = str(NotificationType.VM)


class Subject(NamedTuple):
    """What a notification is about."""

    type: str
    """a states.NotificationType"""
    vm: str | None
    """None: it does not name one."""


def subject(type_: str, payload: Mapping[str, str] | None) -> Subject:
    """What a notification with that payload is about."""
    return Subject(type_, sqltext.canonical_uuid((payload or {}).get("instance_uuid", "")))


def may_run(own: Subject, beside: Collection[Subject]) -> bool:
    """Whether they all are VMs, and this is another one."""
    return all(
        own.type == other.type == VM and None not in (own.vm, other.vm) and own.vm != other.vm
        for other in beside
    )


def running_beside(tx: Transaction, n: Notification) -> set[Subject]:
    """What else of its host engines may act on."""
    rows = tx.connection.execute(
        sa.select(T.c.type, T.c.payload).where(
            T.c.source_host_uuid == n.source_host_uuid,
            T.c.notification_uuid != n.notification_uuid,
            _is_running(),
        )
    )
    return {subject(type_, models.parsed(text)) for type_, text in rows}


def running_by_host(tx: Transaction) -> dict[str, set[Subject]]:
    """What engines may act on, by the uuid of its host."""
    rows = tx.connection.execute(
        sa.select(T.c.source_host_uuid, T.c.type, T.c.payload).where(_is_running())
    )
    running: dict[str, set[Subject]] = {}
    for host, type_, text in rows:
        running.setdefault(host, set()).add(subject(type_, models.parsed(text)))
    return running


def failed_hosts(tx: Transaction, host_uuid: str | None = None) -> dict[str, str]:
    """{uuid of a host: the oldest open notification that it has failed}, of one host or of all."""
    rows = tx.connection.execute(
        sa.select(T.c.source_host_uuid, T.c.notification_uuid, T.c.payload)
        .where(
            T.c.type == str(NotificationType.COMPUTE_HOST),
            T.c.status.in_(OPEN_STATUSES),
            T.c.deleted == 0,
            *([] if host_uuid is None else [T.c.source_host_uuid == host_uuid]),
        )
        .order_by(T.c.id)
    )
    found: dict[str, str] = {}
    for host, uuid, text in rows:
        payload = models.parsed(text) or {}
        if (payload.get("event"), payload.get("host_status")) == (Event.STOPPED, HostStatus.NORMAL):
            found.setdefault(host, uuid)
    return found


def is_shut_out(
    running: Mapping[str, Collection[Subject]], failed: Collection[str]
) -> ColumnElement[bool]:
    """It cannot run beside what is running of its host; but SQL does not tell one VM by another.

    Nor can a VM of one of the *failed* hosts.
    """
    of_vms = [host for host, beside in running.items() if {s.type for s in beside} == {VM}]
    is_vm_beside_vms = sa.and_(T.c.type == VM, T.c.source_host_uuid.in_(of_vms))
    return sa.or_(
        sa.and_(T.c.source_host_uuid.in_(list(running)), sa.not_(is_vm_beside_vms)),
        sa.and_(T.c.type == VM, T.c.source_host_uuid.in_(list(failed))),
    )


def _is_running() -> ColumnElement[bool]:
    return sa.and_(
        T.c.status == NotificationStatus.RUNNING,
        T.c.lease_until > sqltime.now(),
        T.c.deleted == 0,
    )
