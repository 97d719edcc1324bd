"""What monitors report: a new notification, or one more witness of a failure that is known."""

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils

from masakari.db import models, returns, witnesses
from masakari.db.models import Notification
from masakari.db.session import Database, Transaction, writer
from masakari.errors import DuplicateNotification, HostNameUnknown, HostOnMaintenance
from masakari.states import OPEN_STATUSES, Event, NotificationStatus, NotificationType, Reason

T = models.notifications
HOSTS = models.hosts
ANSWERED = {*map(str, OPEN_STATUSES), str(NotificationStatus.FINISHED)}
Payload = Mapping[str, str]

# Made once: SQLAlchemy takes longer to make and recognize a statement than to run it.
_HOST_LOCKED = (
    sa.select(
        HOSTS.c.uuid,
        HOSTS.c.name,
        HOSTS.c.on_maintenance,
        HOSTS.c.maintenance_by,
        HOSTS.c.failover_segment_id,
    )
    .where(HOSTS.c.name == sa.bindparam("host"), HOSTS.c.deleted == 0)
    .with_for_update()
)
_CANDIDATES = (
    sa.select(
        T.c.id,
        T.c.notification_uuid,
        T.c.generated_time,
        T.c.payload,
        T.c.status,
        T.c.message,
        T.c.reported_by,
    )
    .where(
        T.c.source_host_uuid == sa.bindparam("host"),
        T.c.type == sa.bindparam("kind"),
        T.c.generated_time >= sa.bindparam("since"),
        sa.or_(
            sa.bindparam("kind") == str(NotificationType.COMPUTE_HOST),
            T.c.status.in_(OPEN_STATUSES),
            T.c.message.startswith(f"{Reason.UNKNOWN_EVENT}:"),
            sa.and_(
                sa.bindparam("kind") == str(NotificationType.PROCESS),
                T.c.updated_at >= sa.bindparam("at"),
            ),
            T.c.generated_time >= sa.bindparam("at_second"),
        ),
        sa.or_(
            sa.bindparam("kind") == str(NotificationType.COMPUTE_HOST),
            T.c.payload == sa.bindparam("payload"),
            T.c.payload == sa.bindparam("old_payload"),
            T.c.payload.like(sa.bindparam("about")),
        ),
        T.c.deleted == 0,
    )
    .order_by(T.c.id)
)
_INSERT = sa.insert(T)
_COLUMNS = [column.name for column in T.columns]


def differ(one: Payload, other: Payload) -> bool:
    """No two payloads that are not equal tell of one failure."""
    return False


@dataclass(frozen=True, slots=True)
class Likeness:
    """Which reports tell of one failure."""

    equal_s: float
    """Those with equal payloads, up to so many seconds after the first one, or before it."""
    alike_s: float = 0
    """Those whose payloads are alike, not more than so many seconds apart."""
    are_alike: Callable[[Payload, Payload], bool] = differ
    """Whether two payloads of the same type tell of the same failure of the same host, process or
    VM, though they are not equal."""
    about: str | None = None
    """What such payloads have in common, unless they are of hosts: others are not looked at."""


def report(
    database: Database,
    *,
    type: str,
    hostname: str,
    generated_time: datetime.datetime,
    payload: Payload,
    likeness: Likeness,
    observes: bool = False,
    request_id: str | None = None,
    reported_by: str | None = None,
) -> Notification:
    """A new notification of the failure *type* of the host named *hostname*.

    *observes*: engines only observe, in whichever segment; then, and where the segment is only
    observed, a failure that was observed is reported once, as all others.

    Reports of one host wait for one another, so of those that tell of one failure exactly one is
    accepted; the others are refused, and *reported_by* is remembered as one more witness of it.
    Raises HostNameUnknown, HostOnMaintenance, DuplicateNotification.
    """
    outcome = _accept(
        database,
        Report(str(type), generated_time, payload, reported_by),
        hostname,
        likeness,
        observes=observes,
        request_id=request_id,
    )
    if isinstance(outcome, Notification):
        return outcome
    raise DuplicateNotification(host=hostname, notification=outcome.uuid)


@dataclass(frozen=True, slots=True)
class Report:
    """What a monitor says."""

    type: str
    at: datetime.datetime
    payload: Payload
    by: str | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What it says was reported before."""

    uuid: str
    at: datetime.datetime
    reported_by: str | None

    def includes(self, report: Report) -> bool:
        """Whether the report adds nothing to it: it is of the same monitor, and no later."""
        return report.by == self.reported_by and (
            report.at <= self.at or report.at.replace(microsecond=0) == self.at
        )


@writer
def _accept(
    tx: Transaction,
    said: Report,
    hostname: str,
    likeness: Likeness,
    *,
    observes: bool,
    request_id: str | None,
) -> Notification | _Known:
    host = _locked_host(tx, hostname)
    if host["on_maintenance"] and host["maintenance_by"] is None:  # an operator's
        raise HostOnMaintenance(host=hostname)
    known = _known(tx, host, said, likeness, observes=observes)
    if known is not None:
        if said.by is not None and not known.includes(said):
            witnesses.add(
                tx, known.uuid, reported_by=said.by, generated_time=said.at, payload=said.payload
            )
        return known
    if host["on_maintenance"] and not _is_heard(tx, host["maintenance_by"], said):
        raise HostOnMaintenance(host=hostname)
    return _insert(tx, host, said, request_id)


def _locked_host(tx: Transaction, name: str) -> sa.RowMapping:
    """The row of the live host, locked: the first statement of the transaction."""
    rows = tx.connection.execute(_HOST_LOCKED, {"host": name})
    row = rows.mappings().first()
    if row is None or row["name"] != name:  # MySQL compares without regard to case
        raise HostNameUnknown(host=name)
    return row


def _is_heard(tx: Transaction, maintenance_by: str, said: Report) -> bool:
    """Whether it is reported of a host that our own recovery has put on maintenance.

    That it, or its service, has started again; or the host of a process that failed has more to
    tell: VMs still run there.
    """
    if said.type == NotificationType.VM:
        return False
    if said.payload.get("event") == Event.STARTED:
        return True
    by = tx.connection.execute(sa.select(T.c.type).where(T.c.notification_uuid == maintenance_by))
    return by.scalar() == NotificationType.PROCESS


def _known(
    tx: Transaction, host: sa.RowMapping, said: Report, likeness: Likeness, *, observes: bool
) -> _Known | None:
    """The notification of the same failure, if there is one that is not too old.

    Hosts: of whatever status.  What has started in between has failed anew, and what has stopped
    in between has started anew.  A VM or a process may fail again soon: what is settled was
    another failure, unless it was seen at or after the new one, too (a process: settled then); and
    so is what had us start the VM before.  An event that asks for nothing is no failure.  About
    what was observed nothing was done: where something would be done now, it is reported anew.
    What came to nothing is only the same failure to who says it in the same words.
    """
    values = {
        "host": host["uuid"],
        "kind": said.type,
        "since": _before(said.at, max(likeness.equal_s, likeness.alike_s)),
        "at": said.at,
        "at_second": said.at.replace(microsecond=0),  # MySQL stored whole seconds
        # OpenStack's release stored the payload with its keys in the order of the request
        "old_payload": json.dumps(dict(said.payload)),
        "payload": models.payload_text(said.payload),
        "about": likeness.about and f"%{likeness.about}%",
    }
    for row in tx.connection.execute(_CANDIDATES, values).all():
        payload = models.parsed(row.payload) or {}
        if not (_is_equal(row, payload, said, likeness) or _is_alike(row, payload, said, likeness)):
            continue
        was_observed = str(row.message).startswith(f"{Reason.OBSERVE_ONLY}:")
        if was_observed and not (observes or _is_observed(tx, host["failover_segment_id"])):
            continue
        n = returns.Reported(
            host["uuid"], said.type, row.notification_uuid, row.id, row.generated_time, payload
        )
        turns = returns.turns_after(tx, n)
        if said.payload.get("event") == Event.STARTED:
            # by clocks that differ it may have stopped later: a start too many does no harm
            has_turned = bool(turns)
        else:
            has_turned = any(turned <= said.at for turned in turns)
        if not has_turned:
            return _Known(n.uuid, n.at, row.reported_by)
    return None


def _is_equal(row: Any, payload: Payload, said: Report, likeness: Likeness) -> bool:
    """The same words, whatever became of the *row* of _CANDIDATES, and not too long ago."""
    # MySQL compared without regard to case
    return payload == said.payload and row.generated_time >= _before(said.at, likeness.equal_s)


def _is_alike(row: Any, payload: Payload, said: Report, likeness: Likeness) -> bool:
    """The same failure in other words, about which something is done, or was."""
    if not likeness.are_alike(payload, said.payload):
        return False
    apart_s = (row.generated_time - said.at).total_seconds()
    if abs(apart_s) > likeness.alike_s:
        return False
    reason = str(row.message).partition(":")[0]
    return row.status in ANSWERED or reason in (Reason.CANCELLED_BY_OPERATOR, Reason.OBSERVE_ONLY)


def _before(at: datetime.datetime, seconds: float) -> datetime.datetime:
    try:
        return at - datetime.timedelta(seconds=seconds)
    except OverflowError:  # before the year 1
        return datetime.datetime.min


def _is_observed(tx: Transaction, segment_uuid: str) -> bool:
    """Whether the segment is only observed."""
    segment = models.segments
    observed = sa.select(segment.c.observe_only).where(segment.c.uuid == segment_uuid)
    return bool(tx.connection.execute(observed).scalar())


def _insert(
    tx: Transaction, host: sa.RowMapping, said: Report, request_id: str | None
) -> Notification:
    """The new notification, as it is stored: it is not read again."""
    is_whole = tx.connection.dialect.name in ("mysql", "mariadb")  # their column keeps seconds
    values = {
        "notification_uuid": uuidutils.generate_uuid(),
        "type": said.type,
        "generated_time": said.at.replace(microsecond=0) if is_whole else said.at,
        "source_host_uuid": host["uuid"],
        "payload": models.payload_text(said.payload),
        "status": str(NotificationStatus.NEW),
        "failover_segment_uuid": host["failover_segment_id"],
        "request_id": request_id,
        "reported_by": said.by,
        "created_at": tx.clock_now(),
        "deleted": 0,
        "attempt": 0,
        "failures": 0,
    }
    inserted = tx.connection.execute(_INSERT, values).inserted_primary_key
    row = values | {"id": inserted[0] if inserted else None}
    return Notification.from_row([row.get(name) for name in _COLUMNS])
