"""What is done about each kind of notification: the stories, told from chapters.

A chapter is one flow of steps (`flows`), run by `runner`.  After each the database says what is
left to do, so a story that is told again, by another engine, goes on where it was.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_log import log

from masakari import cloud, db
from masakari.db.models import VMove
from masakari.engine import (
    announcements,
    death,
    escalation,
    flows,
    host,
    instance,
    process,
    relocation,
    reserved,
    runner,
)
from masakari.engine.flows import Factory
from masakari.engine.gates import Verdict
from masakari.engine.world import Job
from masakari.errors import (
    GivenUp,
    HostTaken,
    MasakariError,
    NoReservedHost,
    NotificationNotFound,
    RecoveryCancelled,
    RecoverySkipped,
    ReservedHostUnusable,
    TaskFailed,
    VMNotRecovered,
    VMsNotRecovered,
)
from masakari.states import (
    Event,
    NotificationStatus,
    NotificationType,
    Reason,
    RecoveryMethod,
    VmAction,
    VMoveStatus,
)

LOG = log.getLogger(__name__)

ONTO = "onto reserved host"


def tell(job: Job) -> Verdict:
    """How it ended well.  Raises what says how it did not."""
    n = job.notification
    is_start = n.payload.get("event") == Event.STARTED
    if is_start:
        db.leases.hasten(job.world.database, n)
    match n.type:
        case NotificationType.COMPUTE_HOST:
            return host_started(job) if is_start else HostStory(job).tell()
        case NotificationType.VM:
            return vm_failed(job)
        case _:
            return process.started(job) if is_start else process_stopped(job)


def call_off(job: Job) -> None:
    """What a try before had begun with the host is undone, unless it proved the host dead."""
    current = db.hosts.find(job.world.database, job.host.uuid)
    is_ours = current is not None and current.maintenance_by == job.uuid
    is_host = job.notification.type == NotificationType.COMPUTE_HOST
    if is_ours and is_host and job.notification.proof is None:
        death.undo(job, cloud.service_of(job.world.cloud, job.host.name))


# ---- hosts


class HostStory:
    """A compute host died; its VMs come back elsewhere."""

    def __init__(self, job: Job) -> None:
        """Nothing is done yet, unless an engine before us began."""
        self._job = job
        self._told = runner.told(job)
        self._problem: MasakariError | None = None
        """why the chapter before did not do it all"""

    def tell(self) -> Verdict:
        """By the segment's method; each way is gone only for VMs that have not arrived."""
        job = self._job
        if not db.hosts.begin_maintenance(job.world.database, job.host.uuid, by=job.uuid):
            raise HostTaken(host=job.host.name)
        announcements.host_changed(job, not job.host.on_maintenance)
        ways: Mapping[str, Sequence[Callable[[], bool]]] = {
            RecoveryMethod.AUTO: (self.anywhere,),
            RecoveryMethod.RESERVED_HOST: (self.onto_reserved_hosts,),
            RecoveryMethod.AUTO_PRIORITY: (self.anywhere, self.onto_reserved_hosts),
            RecoveryMethod.RH_PRIORITY: (self.onto_reserved_hosts, self.anywhere),
        }
        try:
            is_done = any(way() for way in ways[job.host.failover_segment.recovery_method])
        except RecoveryCancelled:
            raise self._cancelled() from None
        return self._verdict(is_done)

    def anywhere(self) -> bool:
        """Nova's scheduler chooses where the VMs go; whether all is done."""
        return self._chapter("anywhere", self._job.world.flows.host_auto.all)

    def onto_reserved_hosts(self) -> bool:
        """One reserved host after the other takes what has not arrived; whether all is done."""
        job, parts = self._job, self._job.world.flows.host_reserved
        segment = job.host.failover_segment_id
        known = db.hosts.reserved_hosts(job.world.database, segment, by=job.uuid)
        names = [h.name for h in known if h.uuid != job.host.uuid]
        if not self._chapter("before reserved hosts", parts.pre, reserved_host_list=names):
            return False
        was_begun = any(name.startswith(ONTO) for name in self._told)
        if not was_begun and not host.to_be_moved(job):
            return self._chapter("nothing to move", (host.PrepareHAEnabledInstancesTask,))
        tried: list[str] = []
        while True:
            try:
                with reserved.taken(job, tried) as spare:
                    tried.append(spare.name)
                    is_done = self._chapter(
                        f"{ONTO} {spare.name}",
                        parts.main,
                        spare,
                        reserved_host=spare.name,
                        reserved_host_list=names,
                    )
            except NoReservedHost as e:
                self._problem = _both(self._problem, e)
                return False
            if is_done:
                return self._chapter("after reserved hosts", parts.post, reserved_host_list=names)

    def _chapter(
        self,
        name: str,
        factories: Sequence[Factory],
        spare: reserved.Spare | None = None,
        **store: Any,
    ) -> bool:
        """Whether its steps have done all; what they have not is left to the next chapter."""
        if not factories:
            return True
        if self._problem is not None:
            LOG.warning("notification %s: %s; going on: %s", self._job.uuid, self._problem, name)
        self._problem = None
        number = self._told.setdefault(name, len(self._told) + 1)
        # as it is now: a chapter before may have proven the death, or seen a sign of life
        n = db.notifications.get(self._job.world.database, self._job.uuid)
        job = dataclasses.replace(self._job, notification=n, chapter=number, spare=spare)
        try:
            runner.run(job, flows.host_chapter(job, name, factories, **store))
        except (VMsNotRecovered, ReservedHostUnusable, TaskFailed) as e:
            self._problem = e
            return False
        return True

    def _moves(self) -> list[VMove]:
        """The newest of each VM, in whichever attempt."""
        n, database = self._job.notification, self._job.world.database
        now = db.vmoves.of_attempt(database, n.notification_uuid, n.attempt)
        before = db.vmoves.previous(database, n.notification_uuid, n.attempt, 1)
        return list({m.instance_uuid: m for m in [*reversed(before), *now]}.values())

    def _verdict(self, is_done: bool) -> Verdict:
        """How it went, by the moves of all attempts."""
        moves = self._moves()
        moved = sum(m.status == VMoveStatus.SUCCEEDED for m in moves)
        alone = sum(m.status == VMoveStatus.IGNORED for m in moves)
        has_left_some = not is_done or any(m.message == db.vmoves.CANCELLED for m in moves)
        if has_left_some and db.brake.is_cancelled(self._job.world.database, self._job.uuid):
            raise self._cancelled()
        if not is_done:
            assert self._problem is not None  # noqa: S101  it is why
            if isinstance(self._problem, VMsNotRecovered) and moved:
                stop = "" if str(self._problem).endswith(".") else "."
                text = f"{self._problem}{stop} {moved} of {len(moves)} VMs are recovered in all."
                raise VMsNotRecovered(text)
            raise self._problem
        self._refuse_unmoved()
        if not moved:
            text = f"No VM was to be recovered ({alone} left alone)."
            return Verdict(NotificationStatus.FINISHED, Reason.NOTHING_TO_DO, text)
        rest = f", {alone} left alone" if alone else ""
        text = f"{moved} of {len(moves)} VMs recovered{rest}."
        return Verdict(NotificationStatus.FINISHED, Reason.RECOVERED, text)

    def _cancelled(self) -> RecoveryCancelled:
        """How far it had come."""
        moves = self._moves()
        moved = sum(m.status == VMoveStatus.SUCCEEDED for m in moves)
        left = sum(m.message == db.vmoves.CANCELLED for m in moves)
        if not moves:
            return RecoveryCancelled(what="nothing was moved")
        what = f"VMs recovered before: {moved} of {len(moves)}, left where they were: {left}"
        return RecoveryCancelled(what=what)

    def _refuse_unmoved(self) -> None:
        """A flow that ended well and has left VMs on the host has not done its work."""
        n, database = self._job.notification, self._job.world.database
        now = db.vmoves.of_attempt(database, n.notification_uuid, n.attempt)
        open_ = {m.instance_uuid for m in now if m.status in _OPEN}
        if not open_ and any(m.status == VMoveStatus.SUCCEEDED for m in now):
            return
        ended = {m.instance_uuid for m in now} - open_
        left = [m for m in host.to_be_moved(self._job) if m.instance_uuid not in ended]
        if left:
            raise VMsNotRecovered(
                failed=len(left),
                total=len(left) + len(ended),
                host=self._job.host.name,
                detail=f"{left[0].instance_name}: the configured flow has left it there.",
            )


_OPEN = (VMoveStatus.PENDING, VMoveStatus.ONGOING)


def _both(before: MasakariError | None, now: NoReservedHost) -> MasakariError:
    """What could not be done, and why no reserved host was of help."""
    if before is None:
        return now
    return type(before)(f"{before} {now}")


def host_started(job: Job) -> Verdict:
    """The host is up: what a failed process had marked is undone; VMs stay where they are."""
    text = "The host has started: recorded, there is nothing to recover."
    if _is_marked_before(job) and announcements.host_changed(
        job, db.hosts.end_process_maintenance(job.world.database, job.host.uuid)
    ):
        text = (
            "The host has started: the maintenance that a failed process had begun is over. Its "
            "compute service stays as it is until that process is reported started."
        )
    return Verdict(NotificationStatus.FINISHED, Reason.HOST_STARTED, text)


def _is_marked_before(job: Job) -> bool:
    """Whether what put the host on maintenance was reported before it started."""
    if job.host.maintenance_by is None:
        return False
    with contextlib.suppress(NotificationNotFound):
        by = db.notifications.get(job.world.database, job.host.maintenance_by)
        return by.id < job.notification.id
    return False


# ---- VMs


def vm_failed(job: Job) -> Verdict:
    """A VM failed: it is restarted, moved where that is allowed, or left in error."""
    escalation.refuse_nothing(job)
    told = runner.told(job)

    def chapter(action: VmAction, factories: Sequence[Factory]) -> None:
        number = told.setdefault(str(action), len(told) + 1)
        ours = dataclasses.replace(job, chapter=number)
        with instance.counted(ours, action):
            runner.run(ours, flows.instance_chapter(ours, str(action), factories))

    action = escalation.plan(job)
    if action == VmAction.RESTART:
        try:
            chapter(action, job.world.flows.instance.all)
        except VMNotRecovered as e:
            action = escalation.after_failed_restart(job)
            if action == VmAction.RESTART:
                raise
            LOG.warning("notification %s: %s", job.uuid, e)
    if action == VmAction.RELOCATE:
        chapter(action, (relocation.MigrateInstanceTask,))
    if action == VmAction.GIVE_UP:
        chapter(action, (instance.LeaveInstanceInErrorTask,))
        raise GivenUp(escalation.complaint(job), reason=Reason.CRASH_LOOP)
    where = job.world.cloud.server(job.vm).host
    done = "restarted" if action == VmAction.RESTART else "moved and started"
    return Verdict(
        NotificationStatus.FINISHED, Reason.RECOVERED, f"The VM was {done}, on host {where}."
    )


# ---- processes


def process_stopped(job: Job) -> Verdict:
    """A process of a compute host failed."""
    name = job.notification.payload["process_name"]
    answer = process.answer(job.world.conf, name)
    if not answer.disables:
        LOG.warning("process %s on host %s has failed; nothing is done", name, job.host.name)
        raise RecoverySkipped(
            f"Process {name} on host {job.host.name} has failed: recorded, nothing is done.",
            reason=Reason.PROCESS_RECORDED,
        )
    runner.run(job, flows.process_chapter(job, "process", job.world.flows.process.all))
    return process.disabled(job, answer)
