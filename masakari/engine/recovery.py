"""What happens to one notification, from the claim to its final status.  Read this first."""

import contextlib
import datetime
from collections.abc import Iterator
from contextlib import contextmanager

from oslo_log import log

from masakari import alarms, context, db, metrics, vm_events
from masakari.db.models import Host, Notification
from masakari.engine import (
    announcements,
    gates,
    observation,
    observers,
    patience,
    process,
    stages,
    stories,
)
from masakari.engine.alarms import raise_now
from masakari.engine.gates import Verdict
from masakari.engine.leases import Lease, Leases
from masakari.engine.world import Job, World
from masakari.errors import (
    DatabaseUnavailable,
    LeaseLost,
    MasakariError,
    NotificationNotFound,
    RecoveryCancelled,
    RecoveryEnded,
)
from masakari.states import Event, NotificationStatus, NotificationType, Reason, VMoveStatus
from masakari.vm_events import VmEventAction

LOG = log.getLogger(__name__)

MESSAGE_LENGTH = 1000
"""Longest message that is stored with a notification, in characters."""


_NO_ALARM = (Reason.HOST_FAILED, Reason.CANCELLED_BY_OPERATOR)
"""Of what ended so nobody need be told: something else is tried first, or it was wanted."""


def recover(world: World, leases: Leases, uuid: str) -> None:
    """Recover from one notification, or say why not.  Safe to call twice, on two engines."""
    if patience.is_delayed(world, uuid):
        return
    asked_at = world.clock.monotonic()
    n = db.leases.claim(world.database, uuid, owner=world.owner, lease_s=leases.lease_s)
    if n is None:
        return
    with context.acting_for(n.request_id):
        _carry_out(world, leases, n, asked_at)


def _carry_out(world: World, leases: Leases, n: Notification, asked_at: float) -> None:
    """The notification, claimed at monotonic *asked_at*, is settled, or left to be continued."""
    uuid = n.notification_uuid
    announcements.begun(world, n)
    stages.claimed(world, n)
    LOG.info("notification %s: claimed (attempt %d)", uuid, n.attempt)
    with leases.hold(uuid, asked_at) as lease, settling(world, n, lease) as outcome:
        host = db.hosts.find(world.database, n.source_host_uuid)
        verdict = gates.judge(n, facts(world, n, host))
        if host is not None:
            job = Job(world, n, host, lease, claimed_at=world.clock.monotonic())
            if verdict is None:
                verdict = (observation if observation.is_due(job) else stories).tell(job)
            else:
                stories.call_off(job)
        outcome.judged(verdict)


def facts(world: World, n: Notification, host: Host | None) -> gates.Facts:
    """What the gates want to know; a recovery that is under way passes those of its beginning."""
    if host is None:
        return gates.Facts(host=None)
    under_way = _is_under_way(world, n)
    begun = under_way or _has_begun(n, host)
    return gates.Facts(
        host=host,
        is_under_way=under_way,
        excluded=world.exclusions.host(host.name),
        started_again=_has_started_again(world, n, is_begun=begun),
        maintained_by=_maintained_by(world, n, host),
        too_few=None if begun else observers.too_few(world, n),
        answer=_answer(world, n),
    )


def _is_under_way(world: World, n: Notification) -> bool:
    """VMs are on their way: what was begun is brought to its end, and nothing more is begun."""
    moves = db.vmoves.of_attempt(world.database, n.notification_uuid, n.attempt)
    return any(m.status == VMoveStatus.ONGOING or m.locked for m in moves)


def _has_begun(n: Notification, host: Host) -> bool:
    if n.retried_at is not None and n.proof is None:
        return False
    return n.attempt > 1 or host.maintenance_by == n.notification_uuid


def _has_started_again(world: World, n: Notification, *, is_begun: bool) -> bool:
    """Whether its return was reported; of a host that VMs have left already the steps ask that."""
    if n.type == NotificationType.VM or n.payload.get("event") != Event.STOPPED:
        return False
    if n.type == NotificationType.COMPUTE_HOST and is_begun:
        return False
    return db.notifications.started_after(world.database, n)


def _maintained_by(world: World, n: Notification, host: Host) -> Notification | None:
    if host.maintenance_by in (None, n.notification_uuid):
        return None
    with contextlib.suppress(NotificationNotFound):
        return db.notifications.get(world.database, str(host.maintenance_by))
    return None


def _answer(world: World, n: Notification) -> str | None:
    if n.type == NotificationType.VM:
        return _answer_to_vm(world, n)
    if n.type == NotificationType.PROCESS:
        return process.answer(world.conf, n.payload.get("process_name", "")).action
    return None


def _answer_to_vm(world: World, n: Notification) -> str:
    """What is done about its event, or else about what others have told of the same VM since."""
    overrides = world.conf.instance_failure.events
    answer = vm_events.action_of(n.payload, overrides)
    if answer is VmEventAction.RESTART:
        return answer
    since = db.notifications.said_since(world.database, n)
    answers = {vm_events.action_of(witness.payload, overrides) for witness in since}
    return VmEventAction.RESTART if VmEventAction.RESTART in answers else answer


class Outcome:
    """How a recovery ended: told by the story, written by `settling`."""

    def __init__(self, world: World, notification: Notification) -> None:
        """Not ended yet."""
        self._world = world
        self._notification = notification
        self.status = NotificationStatus.ERROR
        self.reason = Reason.UNEXPECTED
        self.message = self.said = str(Reason.UNEXPECTED)
        self.not_before: datetime.datetime | None = None
        self.is_counted = True
        self.needs_an_operator = True
        self.fault: Exception | None = None
        """what was raised, if that is why"""

    def judged(self, verdict: Verdict | None) -> None:
        """A gate was shut, or the story was told to its end."""
        assert verdict is not None  # noqa: S101  a host that is not there shuts the first gate
        self.end(verdict.status, verdict.reason, verdict.text)

    def failed(self, reason: Reason | None, text: str) -> None:
        """A try failed: there is another one, unless this was the last."""
        reason = reason or Reason.UNEXPECTED
        self.is_counted = patience.is_counted(reason)
        try_ = patience.next_try(self._world, self._notification, reason)
        if try_ is None:
            self.end(NotificationStatus.FAILED, reason, text)
        else:
            self.not_before = try_.not_before
            stop = "" if text.endswith((".", "!", "?")) else "."
            self.end(NotificationStatus.ERROR, reason, text, f"{stop} {try_.text}")

    def end(self, status: NotificationStatus, reason: Reason, text: str, then: str = "") -> None:
        """It ends so; *then*: what comes next."""
        self.status = status
        self.reason = reason
        bad = status in (NotificationStatus.ERROR, NotificationStatus.FAILED)
        self.needs_an_operator = bad and reason not in _NO_ALARM
        self.said = f"{reason}: {text}".removesuffix(".")
        self.message = f"{reason}: {text}"[: MESSAGE_LENGTH - len(then)] + then


@contextmanager
def settling(world: World, n: Notification, lease: Lease) -> Iterator[Outcome]:
    """The notification has its final status, or is left to whoever claims it next.

    The only place that turns an exception into a status.
    """
    outcome = Outcome(world, n)
    uuid = n.notification_uuid
    try:
        try:
            yield outcome
        except (LeaseLost, DatabaseUnavailable):
            raise
        except RecoveryEnded as e:
            outcome.fault = e
            outcome.end(e.ends_as, e.reason or Reason.UNEXPECTED, str(e))
        except MasakariError as e:
            lease.check()  # what fails because we were told to stop is no verdict
            outcome.fault = e
            outcome.failed(e.reason, str(e))
        except Exception as e:
            LOG.exception("notification %s: unexpected error", uuid)
            outcome.fault = e
            outcome.failed(Reason.UNEXPECTED, f"{type(e).__name__}, see the engine's log.")
        _settle(world, n, outcome)
    except LeaseLost as e:
        world.meter.count(metrics.LEASES_LOST)
        _let_go(world, uuid, lease)
        LOG.warning("notification %s: %s", uuid, e)
    except DatabaseUnavailable as e:
        LOG.warning("notification %s: left as it is, to be continued: %s", uuid, e)


def _settle(world: World, n: Notification, outcome: Outcome) -> None:
    uuid = n.notification_uuid
    is_settled = _store(world, uuid, outcome)
    if not is_settled and db.brake.is_cancelled(world.database, uuid):
        end = RecoveryCancelled(what=f"it is not tried again after {outcome.said}")
        outcome.end(end.ends_as, Reason.CANCELLED_BY_OPERATOR, str(end))
        is_settled = _store(world, uuid, outcome)
    if not is_settled:
        raise LeaseLost(notification=uuid)
    world.meter.count(metrics.TRIES, n.type, outcome.status, outcome.reason)
    announcements.ended(world, n, outcome.status, outcome.fault)
    said = f"notification {uuid}: running -> {outcome.status} ({outcome.message})"
    if not outcome.needs_an_operator:
        LOG.info("%s", said)
        return
    is_final = outcome.status == NotificationStatus.FAILED
    alarm = alarms.GIVEN_UP if is_final else alarms.FAILING
    LOG.error("%s %s", alarm.code, said)
    raise_now(world, alarm, uuid, said)


def _store(world: World, uuid: str, outcome: Outcome) -> bool:
    return db.leases.settle(
        world.database,
        uuid,
        owner=world.owner,
        status=outcome.status,
        message=outcome.message,
        not_before=outcome.not_before,
        is_counted=outcome.is_counted,
    )


def _let_go(world: World, uuid: str, lease: Lease) -> None:
    """If the lease still is ours in the database, it ends now: the next engine need not wait."""
    lease.lose()
    try:
        db.leases.renew(world.database, uuid, owner=world.owner, lease_s=0)
    except DatabaseUnavailable:
        LOG.debug("notification %s: the lease ends by itself", uuid)
