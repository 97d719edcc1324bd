"""Who else reported a failure: reports that tell of one that was accepted before."""

import datetime
from collections.abc import Mapping

import sqlalchemy as sa
from oslo_serialization import jsonutils

from masakari.db import models
from masakari.db.session import Transaction

T = models.witnesses
MOST = 64
"""So many are kept of one failure: the names that monitors give themselves are endless."""

_NAMES = sa.select(T.c.reported_by).where(T.c.notification_uuid == sa.bindparam("notification"))
_INSERT = sa.insert(T)


def add(
    tx: Transaction,
    notification_uuid: str,
    *,
    first: str | None,
    reported_by: str,
    generated_time: datetime.datetime,
    payload: Mapping[str, str],
) -> bool:
    """Whether one more has seen it: not the *first*, nor one who has said so before.

    The caller holds the row of the host, so of two equal ones one is added.
    """
    if reported_by == first:
        return False
    known = set(tx.connection.execute(_NAMES, {"notification": notification_uuid}).scalars())
    if reported_by in known or len(known) >= MOST:
        return False
    tx.connection.execute(
        _INSERT,
        {
            "created_at": tx.clock_now(),
            "notification_uuid": notification_uuid,
            "reported_by": reported_by,
            "generated_time": generated_time,
            "payload": jsonutils.dumps(dict(payload), sort_keys=True),
        },
    )
    return True
