"""What stopped or started after a report: by it a failure is told from the one before."""

import datetime
from collections.abc import Mapping

import sqlalchemy as sa

from masakari.db import models
from masakari.db.session import Transaction
from masakari.states import Event, NotificationType

T = models.notifications


def starts_after(
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
    return _told(tx, Event.STARTED, host_uuid=host_uuid, type_=type_, id_=id_, payload=payload)


def turns_after(
    tx: Transaction,
    *,
    host_uuid: str,
    type_: str,
    uuid: str,
    id_: int,
    payload: Mapping[str, str],
) -> list[datetime.datetime]:
    """When the opposite of what *payload* tells came about: a stop, if it tells of a start."""
    if type_ != NotificationType.VM and payload.get("event") == Event.STARTED:
        return _told(tx, Event.STOPPED, host_uuid=host_uuid, type_=type_, id_=id_, payload=payload)
    return starts_after(tx, host_uuid=host_uuid, type_=type_, uuid=uuid, id_=id_, payload=payload)


def _told(
    tx: Transaction,
    event: Event,
    *,
    host_uuid: str,
    type_: str,
    id_: int,
    payload: Mapping[str, str],
) -> list[datetime.datetime]:
    """When that was seen, by reports of the host, or of the process, accepted after *id_*."""
    wanted = {"event": str(event)}
    is_process = type_ == NotificationType.PROCESS
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


def _tells(text: str | None, wanted: Mapping[str, str]) -> bool:
    """The payload *text* has all *wanted* items."""
    payload = models.parsed(text) or {}
    return all(payload.get(key) == value for key, value in wanted.items())
