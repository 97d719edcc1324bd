"""What operators do about single notifications: cancel, and retry.

Either may be done by several at a time, and again: it is done once.
"""

import sqlalchemy as sa

from masakari.db import models, vmoves
from masakari.db.models import Notification
from masakari.db.notifications import require
from masakari.db.session import Transaction, reader, writer
from masakari.errors import WrongStatus
from masakari.states import OPEN_STATUSES, NotificationStatus, Reason

T = models.notifications
HOSTS = models.hosts
ENDED = (NotificationStatus.FAILED, NotificationStatus.IGNORED)
"""What is in one of these can be retried."""


@writer
def cancel(tx: Transaction, name: str) -> Notification:
    """Nothing more is begun because of the notification (uuid or id), which fails.

    What waits has failed now.  What is running fails when all that was begun has ended, in the
    engine that has it or in the next one.  Raises NotificationNotFound, WrongStatus.
    """
    n = _locked(tx, name)
    if n.cancelled_at is not None and n.status in (
        NotificationStatus.RUNNING,
        NotificationStatus.FAILED,
    ):
        return n
    if n.status not in OPEN_STATUSES:
        raise _wrong_status(n, "cancelled", OPEN_STATUSES)
    now = tx.clock_now()
    values: dict[str, object] = {"cancelled_at": now, "updated_at": now}
    if n.status == NotificationStatus.RUNNING:
        said = "nothing more is begun, and what runs is brought to its end."
    else:
        said = "nothing more is done."
        values |= {"status": NotificationStatus.FAILED, "not_before": None}
    values["message"] = f"{Reason.CANCELLED_BY_OPERATOR}: An operator has cancelled it: {said}"
    tx.connection.execute(sa.update(T).where(T.c.id == n.id).values(**values))
    # an engine that begins one of them in this moment finds it ended, or has begun it before
    vmoves.leave(tx, n.notification_uuid, vmoves.CANCELLED)
    return require(tx, n.notification_uuid)


@writer
def retry(tx: Transaction, name: str) -> Notification:
    """The notification (uuid or id), which failed or was ignored, is new again.

    It has all its tries again, and needs a new proof; attempts are counted on, because what the
    earlier ones have done stays on record.  Raises NotificationNotFound, WrongStatus.
    """
    # as who reports: whoever looks for open notifications of the host waits, or makes us wait
    source = require(tx, name).source_host_uuid
    tx.connection.execute(sa.select(HOSTS.c.id).where(HOSTS.c.uuid == source).with_for_update())
    n = _locked(tx, name)
    if n.status in OPEN_STATUSES and n.retried_at is not None and n.cancelled_at is None:
        return n
    if n.status not in ENDED:
        raise _wrong_status(n, "retried", ENDED)
    now = tx.clock_now()
    tx.connection.execute(
        sa.update(T)
        .where(T.c.id == n.id)
        .values(
            status=NotificationStatus.NEW,
            message=None,
            proof=None,
            not_before=None,
            failures=0,
            cancelled_at=None,
            retried_at=now,
            updated_at=now,
        )
    )
    return require(tx, n.notification_uuid)


@reader
def is_cancelled(tx: Transaction, uuid: str) -> bool:
    """Whether an operator has cancelled the notification.  Raises NotificationNotFound."""
    return require(tx, uuid).cancelled_at is not None


def _locked(tx: Transaction, name: str) -> Notification:
    """The notification, which nobody else changes until the end.  Raises NotificationNotFound."""
    id_ = require(tx, name).id
    row = tx.connection.execute(sa.select(T).where(T.c.id == id_).with_for_update()).one()
    return Notification.from_row(row)


def _wrong_status(
    n: Notification, what: str, allowed: tuple[NotificationStatus, ...]
) -> WrongStatus:
    return WrongStatus(
        notification=n.notification_uuid,
        status=n.status,
        what=what,
        allowed=" or ".join(allowed),
    )
