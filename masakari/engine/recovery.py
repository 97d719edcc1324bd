"""What happens to one notification, from the claim to its final status.  Read this first."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager

from oslo_log import log

from masakari import db
from masakari.db.models import Notification
from masakari.engine import flows, gates, runner
from masakari.engine.leases import Lease, Leases
from masakari.engine.world import Job, World
from masakari.errors import (
    DatabaseUnavailable,
    HostTaken,
    LeaseLost,
    MasakariError,
    RecoveryIgnored,
    VMsNotRecovered,
)
from masakari.states import NotificationStatus, Reason, VMoveStatus

LOG = log.getLogger(__name__)

MESSAGE_LENGTH = 1000
"""Longest message that is stored with a notification, in characters."""


def recover(world: World, leases: Leases, uuid: str) -> None:
    """Recover from one notification, or say why not.  Safe to call twice, on two engines."""
    asked_at = world.clock.monotonic()
    n = db.leases.claim(world.database, uuid, owner=world.owner, lease_s=leases.lease_s)
    if n is None:
        return
    LOG.info("notification %s: claimed (attempt %d)", uuid, n.attempt)
    with leases.hold(uuid, asked_at) as lease, settling(world, n, lease) as outcome:
        host = db.hosts.find(world.database, n.source_host_uuid)
        verdict = gates.judge(n, gates.Facts(host=host))
        if verdict is not None and verdict.reason == Reason.SEGMENT_DISABLED:
            verdict = None if _is_under_way(world, n) else verdict
        if verdict is not None or host is None:
            outcome.judged(verdict)
            return
        if not db.hosts.begin_maintenance(world.database, host.uuid, by=n.notification_uuid):
            raise HostTaken(host=host.name)
        job = Job(world, n, host, lease, claimed_at=world.clock.monotonic())
        runner.run(job, flows.story(job))
        outcome.finished()


def _is_under_way(world: World, n: Notification) -> bool:
    """VMs are on their way: what was begun is brought to its end, and nothing more is begun."""
    moves = db.vmoves.of_attempt(world.database, n.notification_uuid, n.attempt)
    return any(m.status == VMoveStatus.ONGOING or m.locked for m in moves)


class Outcome:
    """How a recovery ended: told by the story, written by `settling`."""

    def __init__(self, world: World, notification: Notification) -> None:
        """Not ended yet."""
        self._world = world
        self._notification = notification
        self.status = NotificationStatus.ERROR
        self.message = str(Reason.UNEXPECTED)

    def judged(self, verdict: gates.Verdict | None) -> None:
        """A gate was shut."""
        assert verdict is not None  # noqa: S101  a host that is not there shuts the first gate
        self.end(verdict.status, verdict.reason, verdict.text)

    def finished(self) -> None:
        """The story was told to its end: this attempt's moves say how it went."""
        n = self._notification
        moves = db.vmoves.of_attempt(self._world.database, n.notification_uuid, n.attempt)
        failed = [m for m in moves if m.status not in (VMoveStatus.SUCCEEDED, VMoveStatus.IGNORED)]
        if failed:
            first = failed[0]
            raise VMsNotRecovered(
                failed=len(failed),
                total=len(moves),
                host=first.source_host,
                detail=f"{first.instance_name} ({first.instance_uuid}): {first.message}",
            )
        moved = sum(m.status == VMoveStatus.SUCCEEDED for m in moves)
        if not moved:
            text = f"No VM was to be recovered ({len(moves)} left alone)."
            self.end(NotificationStatus.FINISHED, Reason.NOTHING_TO_DO, text)
            return
        left = f", {len(moves) - moved} left alone" if moved < len(moves) else ""
        text = f"{moved} of {len(moves)} VMs recovered{left}."
        self.end(NotificationStatus.FINISHED, Reason.RECOVERED, text)

    def failed(self, reason: Reason | None, text: str) -> None:
        """A try failed: there is another one, unless this was the last.

        While Nova is away no try is the last one.
        """
        limit = self._world.conf.engine.retry_limit
        last = self._notification.attempt >= limit and reason != Reason.CLOUD_UNAVAILABLE
        status = NotificationStatus.FAILED if last else NotificationStatus.ERROR
        self.end(status, reason or Reason.UNEXPECTED, text)

    def end(self, status: NotificationStatus, reason: Reason, text: str) -> None:
        """It ends so."""
        self.status = status
        self.message = f"{reason}: {text}"[:MESSAGE_LENGTH]


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
        except RecoveryIgnored as e:
            outcome.end(NotificationStatus.IGNORED, e.reason or Reason.UNEXPECTED, str(e))
        except MasakariError as e:
            lease.check()  # what fails because we were told to stop is no verdict
            outcome.failed(e.reason, str(e))
        except Exception as e:
            LOG.exception("notification %s: unexpected error", uuid)
            outcome.failed(Reason.UNEXPECTED, f"{type(e).__name__}, see the engine's log.")
        _settle(world, uuid, outcome)
    except LeaseLost as e:
        _let_go(world, uuid, lease)
        LOG.warning("notification %s: %s", uuid, e)
    except DatabaseUnavailable as e:
        LOG.warning("notification %s: left as it is, to be continued: %s", uuid, e)


def _settle(world: World, uuid: str, outcome: Outcome) -> None:
    pause_s = world.conf.process_unfinished_notifications_interval
    settled = db.leases.settle(
        world.database,
        uuid,
        owner=world.owner,
        status=outcome.status,
        message=outcome.message,
        not_before=world.clock.now() + datetime.timedelta(seconds=pause_s),
    )
    if not settled:
        raise LeaseLost(notification=uuid)
    level = LOG.error if outcome.status in _NEED_AN_OPERATOR else LOG.info
    level("notification %s: running -> %s (%s)", uuid, outcome.status, outcome.message)


_NEED_AN_OPERATOR = (NotificationStatus.ERROR, NotificationStatus.FAILED)


def _let_go(world: World, uuid: str, lease: Lease) -> None:
    """If the lease still is ours in the database, it ends now: the next engine need not wait."""
    lease.lose()
    try:
        db.leases.renew(world.database, uuid, owner=world.owner, lease_s=0)
    except DatabaseUnavailable:
        LOG.debug("notification %s: the lease ends by itself", uuid)
