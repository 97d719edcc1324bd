"""What stopped or started after a report: by it a failure is told from the one before."""

import datetime
from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from masakari.db import models, sqltext
from masakari.db.session import Transaction
from masakari.states import Event, NotificationType

T = models.notifications
RECOVERIES = models.vm_recoveries


class Reported(NamedTuple):
    """A notification that was accepted, as far as it matters here."""

    host_uuid: str
    type: str
    uuid: str
    id: int
    at: datetime.datetime
    """generated_time"""
    payload: Mapping[str, str]


def starts_after(tx: Transaction, n: Reported) -> list[datetime.datetime]:
    """When its host, or its process, started, by reports accepted after it.

    A VM: when we had it started because of the notification, or of another one since.
    """
    if n.type == NotificationType.VM:
        is_its_vm = RECOVERIES.c.instance_uuid == (_vm(n) or "")
        asked = sa.select(RECOVERIES.c.power_on_at).where(
            RECOVERIES.c.power_on_at.is_not(None),
            sa.or_(
                RECOVERIES.c.notification_uuid == n.uuid,
                sa.and_(is_its_vm, RECOVERIES.c.power_on_at >= n.at),
            ),
        )
        return list(tx.connection.execute(asked).scalars())
    return _told_after(tx, n, Event.STARTED)


def turns_after(tx: Transaction, n: Reported) -> list[datetime.datetime]:
    """When the opposite of what it tells came about: a stop, if it tells of a start."""
    if n.type != NotificationType.VM and n.payload.get("event") == Event.STARTED:
        return _told_after(tx, n, Event.STOPPED)
    return starts_after(tx, n)


def _vm(n: Reported) -> str | None:
    """Uuid of the VM that it tells of."""
    return sqltext.canonical_uuid(n.payload.get("instance_uuid", ""))


def _told_after(tx: Transaction, n: Reported, event: Event) -> list[datetime.datetime]:
    """When that was seen, by reports of the host, or of the process, accepted after it."""
    wanted = {"event": str(event)}
    is_process = n.type == NotificationType.PROCESS
    if is_process:
        wanted["process_name"] = n.payload.get("process_name", "")
    told_by = NotificationType.PROCESS if is_process else NotificationType.COMPUTE_HOST
    reported = tx.connection.execute(
        sa.select(T.c.generated_time, T.c.payload).where(
            T.c.source_host_uuid == n.host_uuid,
            T.c.type == str(told_by),
            T.c.id > n.id,
            T.c.deleted == 0,
        )
    )
    return [at for at, text in reported if _tells(text, wanted)]


def _tells(text: str | None, wanted: Mapping[str, str]) -> bool:
    """The payload *text* has all *wanted* items."""
    payload = models.parsed(text) or {}
    return all(payload.get(key) == value for key, value in wanted.items())
