"""When to act: after a delay, when enough monitors have seen it, and again after a failure."""

import datetime
from dataclasses import dataclass

from oslo_config import cfg
from oslo_log import log

from masakari import db
from masakari.db.models import Notification
from masakari.engine import observers
from masakari.engine.world import World
from masakari.states import Event, NotificationStatus, NotificationType, Reason

LOG = log.getLogger(__name__)

GROUPS = {
    NotificationType.COMPUTE_HOST: "host_failure",
    NotificationType.VM: "instance_failure",
    NotificationType.PROCESS: "process_failure",
}
NOT_COUNTED = frozenset({Reason.CLOUD_UNAVAILABLE, Reason.HOST_FAILED})
"""Not the fault of what failed: such a try is not counted, and the pauses do not grow."""
LOOK_AGAIN_S = 5
"""So often it is looked whether more monitors have seen it."""


@dataclass(frozen=True, slots=True)
class Try:
    """The next try of a notification."""

    not_before: datetime.datetime
    text: str
    """when and which it is, for people"""


def is_delayed(world: World, uuid: str) -> bool:
    """Whether it is too early to act; then the notification says until when."""
    if not (
        any(_delay_s(world.conf, type_) for type_ in GROUPS) or observers.are_needed(world.conf)
    ):
        return False
    n = db.notifications.get(world.database, uuid)
    if n.status != NotificationStatus.NEW or n.created_at is None:
        return False
    is_start = n.payload.get("event") == Event.STARTED
    if is_start or n.retried_at is not None or db.notifications.started_after(world.database, n):
        return False
    pause = _delay(world, n, n.created_at) or _wait_for_witnesses(world, n)
    if pause is None:
        return False
    postponed = db.leases.postpone(
        world.database, uuid, until=pause.until, message=pause.message, again=pause.is_one_of_many
    )
    if postponed and pause.message != n.message:
        LOG.info("notification %s: %s", uuid, pause.message)
    return True


@dataclass(frozen=True, slots=True)
class _Pause:
    """Nothing is done before *until*, and the notification says why."""

    until: datetime.datetime
    message: str
    is_one_of_many: bool = False
    """it may follow others"""


def _delay(world: World, n: Notification, created_at: datetime.datetime) -> _Pause | None:
    """Until the delay of its type is over."""
    until = created_at + datetime.timedelta(seconds=_delay_s(world.conf, n.type))
    if until <= world.clock.now():
        return None
    text = f"Nothing is done before {_told(until)}, in case it comes back."
    return _Pause(until, f"{Reason.DELAYED}: {text}")


def _wait_for_witnesses(world: World, n: Notification) -> _Pause | None:
    """Until it is to be looked again whether enough have seen it; not after the last moment."""
    few = observers.too_few(world, n)
    now = world.clock.now()
    if few is None or few.until is None or few.until <= now:
        return None
    again = now + datetime.timedelta(seconds=LOOK_AGAIN_S)
    text = f"{few} Nothing is done until more have, or {_told(few.until)}."
    message = f"{Reason.FEW_WITNESSES}: {text}"
    return _Pause(min(again, few.until), message, is_one_of_many=True)


def next_try(world: World, n: Notification, reason: Reason) -> Try | None:
    """When the next try comes after one that failed because of *reason*; None: there is none."""
    conf = world.conf
    counts = is_counted(reason)
    limit = _of_type(conf, n.type, "retry_limit")
    limit = conf.engine.retry_limit if limit is None else limit
    failures = n.failures + 1 if counts else n.failures
    if failures >= limit:
        return None
    first: int = conf.process_unfinished_notifications_interval
    growth = 2 ** min(failures - 1, 20) if counts else 1
    pause_s = min(first * growth, max(first, conf.engine.retry_backoff_max))
    at = world.clock.now() + datetime.timedelta(seconds=pause_s)
    return Try(at, f"Next: try {failures + 1} of {limit}, at {_told(at)}.")


def is_counted(reason: Reason) -> bool:
    """Whether a try that failed because of *reason* brings the last one nearer."""
    return reason not in NOT_COUNTED


def _delay_s(conf: cfg.ConfigOpts, type_: str) -> float:
    own = _of_type(conf, type_, "recovery_delay")
    return float(conf.engine.recovery_delay if own is None else own)


def _of_type(conf: cfg.ConfigOpts, type_: str, option: str) -> float | None:
    value: float | None = conf[GROUPS[NotificationType(type_)]][option]
    return value


def _told(moment: datetime.datetime) -> str:
    return f"{moment.isoformat(' ', 'seconds')} UTC"
