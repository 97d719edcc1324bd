"""Who else reported a failure: reports that tell of one that was accepted before."""

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from masakari.db import models
from masakari.db.models import Notification
from masakari.db.session import Transaction

T = models.witnesses
MOST = 64
"""So many are kept of one failure: the names that monitors give themselves are endless."""

_KNOWN = sa.select(T.c.id, T.c.reported_by, T.c.generated_time).where(
    T.c.notification_uuid == sa.bindparam("notification")
)
_INSERT = sa.insert(T)


def of(n: Notification) -> sa.Select[Any]:
    """The rows of a notification, in the order of the first report of each."""
    return sa.select(T).where(T.c.notification_uuid == n.notification_uuid).order_by(T.c.id)


# ---- parts of transactions


def add(
    tx: Transaction,
    notification_uuid: str,
    *,
    reported_by: str,
    generated_time: datetime.datetime,
    payload: Mapping[str, str],
) -> None:
    """One has seen it who may have said so before: the newest that each has seen is kept.

    The caller holds the row of the host, so of two equal ones one is added.
    """
    rows = tx.connection.execute(_KNOWN, {"notification": notification_uuid}).all()
    # MySQL takes names for equal that differ in case
    known = {row.reported_by.casefold(): row for row in rows}
    before = known.get(reported_by.casefold())
    said = {
        "generated_time": generated_time,
        "payload": models.payload_text(payload),
    }
    if before is not None:
        if before.generated_time < generated_time:
            tx.connection.execute(sa.update(T).where(T.c.id == before.id).values(**said))
    elif len(known) < MOST:
        named = {"notification_uuid": notification_uuid, "reported_by": reported_by}
        tx.connection.execute(_INSERT, {"created_at": tx.clock_now(), **named, **said})
