"""What instance recoveries have done to single VMs: the memory by which crash loops are known."""

import datetime

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from masakari.db import models, sqltext
from masakari.db.models import VmRecovery
from masakari.db.session import Transaction, reader, writer
from masakari.errors import RecoveryCancelled

T = models.vm_recoveries
NOTIFICATIONS = models.notifications


@writer
def begin(
    tx: Transaction,
    *,
    instance_uuid: str,
    notification_uuid: str,
    attempt: int,
    action: str,
    host: str,
) -> VmRecovery:
    """The attempt has begun to do *action* to the VM, which is on *host*.

    An attempt does an action once: what is there already, ended or not, is returned as it is.
    Raises RecoveryCancelled where an operator has cancelled the notification before.
    """
    # Whoever begins for this notification, or cancels it, waits here.
    cancelled_at = tx.connection.execute(
        sa.select(NOTIFICATIONS.c.cancelled_at)
        .where(NOTIFICATIONS.c.notification_uuid == notification_uuid)
        .with_for_update()
    ).scalar()
    is_this = _is(notification_uuid, attempt, action)
    there = tx.connection.execute(sa.select(T).where(is_this)).first()
    if there is not None:
        return VmRecovery.from_row(there)
    if cancelled_at is not None:
        raise RecoveryCancelled(what=f"no {action} of the VM is begun")
    tx.connection.execute(
        sa.insert(T).values(
            created_at=tx.clock_now(),
            instance_uuid=_stored(instance_uuid),
            notification_uuid=notification_uuid,
            attempt=attempt,
            action=str(action),
            host=host,
            started_at=tx.clock_now_precisely(),
        )
    )
    return VmRecovery.from_row(tx.connection.execute(sa.select(T).where(is_this)).one())


@writer
def power_on(tx: Transaction, *, notification_uuid: str, attempt: int) -> None:
    """Nova is asked to start the VM now, for what the attempt is doing to it."""
    tx.connection.execute(
        sa.update(T)
        .where(
            T.c.notification_uuid == notification_uuid,
            T.c.attempt == attempt,
            T.c.ended_at.is_(None),
        )
        .values(power_on_at=tx.clock_now_precisely(), updated_at=tx.clock_now())
    )


@writer
def end(
    tx: Transaction, *, notification_uuid: str, attempt: int, action: str, outcome: str
) -> bool:
    """What the attempt did has ended as *outcome*; whether it had not ended before."""
    ended = tx.connection.execute(
        sa.update(T)
        .where(_is(notification_uuid, attempt, action), T.c.ended_at.is_(None))
        .values(
            ended_at=tx.clock_now_precisely(),
            outcome=str(outcome),
            updated_at=tx.clock_now(),
        )
    )
    return ended.rowcount == 1


@reader
def history(tx: Transaction, instance_uuid: str, *, since: datetime.datetime) -> list[VmRecovery]:
    """What was begun for the VM at or after *since*, oldest first."""
    rows = tx.connection.execute(
        sa.select(T)
        .where(T.c.instance_uuid == _stored(instance_uuid), T.c.started_at >= since)
        .order_by(T.c.started_at, T.c.id)
    )
    return [VmRecovery.from_row(row) for row in rows]


@reader
def last_power_on(tx: Transaction, instance_uuid: str) -> datetime.datetime | None:
    """When we last had Nova start the VM, or None."""
    found: datetime.datetime | None = tx.connection.execute(
        sa.select(sa.func.max(T.c.power_on_at)).where(T.c.instance_uuid == _stored(instance_uuid))
    ).scalar()
    return found


@reader
def of_notification(tx: Transaction, notification_uuid: str) -> list[VmRecovery]:
    """What the attempts of the notification have done, oldest first."""
    rows = tx.connection.execute(
        sa.select(T).where(T.c.notification_uuid == notification_uuid).order_by(T.c.id)
    )
    return [VmRecovery.from_row(row) for row in rows]


def _stored(instance_uuid: str) -> str:
    """Monitors and Nova may write the same UUID differently."""
    return sqltext.canonical_uuid(instance_uuid) or instance_uuid


def _is(notification_uuid: str, attempt: int, action: str) -> ColumnElement[bool]:
    return sa.and_(
        T.c.notification_uuid == notification_uuid,
        T.c.attempt == attempt,
        T.c.action == str(action),
    )
