"""Observe-only: what a recovery would do is found out and recorded, and nothing is done.

The questions are those of the real steps, asked through the same functions, so that the plan is
what a recovery in that moment would have done.  Nova is asked through `read_only`, which refuses
every change; in the database the notification gets its message, its progress and its vmoves, and
no host is marked or taken.  Tasks of third parties are not run.
"""

import dataclasses
from collections.abc import Sequence

from masakari import cloud, db
from masakari.db.vmoves import NewMove
from masakari.engine import (
    death,
    escalation,
    flows,
    host,
    instance,
    process,
    reserved,
    runner,
    stories,
)
from masakari.engine.flows import Chapter
from masakari.engine.gates import Verdict
from masakari.engine.read_only import ReadOnly
from masakari.engine.step import Step
from masakari.engine.world import Job
from masakari.errors import HostReturned, NoReservedHost, ServiceStillUp
from masakari.states import (
    Event,
    NotificationStatus,
    NotificationType,
    Reason,
    RecoveryMethod,
    VmAction,
    VMoveStatus,
)

CHAPTER = "observe"
LISTED = 10
"""So many VMs are in one entry of the progress."""
LIST_LENGTH = 700
"""Longest list of VMs in a message, in characters; progress and vmoves tell of all."""


def is_due(job: Job) -> bool:
    """Whether the notification is only observed; what was begun is brought to its end instead."""
    everywhere: bool = job.world.conf.engine.observe_only
    return (everywhere or job.host.failover_segment.observe_only) and not _has_begun(job)


def _has_begun(job: Job) -> bool:
    """Whether something was done already, since an operator has last wanted it tried anew."""
    n = job.notification
    if n.type == NotificationType.VM:
        done = db.vm_recoveries.of_notification(job.world.database, job.uuid)
        return any(n.retried_at is None or r.started_at >= n.retried_at for r in done)
    is_marked = n.retried_at is None and job.host.maintenance_by == job.uuid
    return is_marked or n.proof is not None


def tell(job: Job) -> Verdict:
    """What would be done; as `stories.tell` where nothing would.  Raises what says why not."""
    nova = ReadOnly(job.world.cloud)
    job = dataclasses.replace(job, world=dataclasses.replace(job.world, cloud=nova))
    n = job.notification
    is_start = n.payload.get("event") == Event.STARTED
    if is_start:
        db.leases.hasten(job.world.database, n)
    match n.type:
        case NotificationType.COMPUTE_HOST:
            return _host_started(job) if is_start else _planned(job, _host_chapter(job))
        case NotificationType.VM:
            return _planned(job, flows.instance_chapter(job, CHAPTER, (ObserveInstanceTask,)))
        case _:
            return _process_started(job) if is_start else _process_stopped(job)


def _host_chapter(job: Job) -> Chapter:
    return flows.host_chapter(job, CHAPTER, (ObserveHostTask,))


def _planned(job: Job, chapter: Chapter) -> Verdict:
    """The plan that the one step of the chapter has made."""
    (plan,) = runner.run(job, chapter).values()
    return _would(plan)


def _would(plan: str) -> Verdict:
    return Verdict(NotificationStatus.IGNORED, Reason.OBSERVE_ONLY, plan)


# ---- hosts


class ObserveHostTask(Step):
    """It is known, and recorded, what a recovery of the host would do."""

    def execute(self, host_name: str) -> str:
        """Wait until Nova reports the host down, as a recovery would; then plan."""
        service = cloud.service_of(self.job.world.cloud, host_name)
        self.say(
            f"Observe-only: would put host {host_name} on maintenance and disable its compute "
            f"service (now: {death.describe(service)}).",
            0.0,
        )
        doubt = self._doubt(service)
        self.say(doubt or f"Nova reports the compute service of host {host_name} down.", 0.3)
        moves = host.chosen(self.job)
        wanted = [m for m in moves if m.status == VMoveStatus.PENDING]
        try:
            where = self._destination() if wanted else ""
        except NoReservedHost as e:
            doubt, where = doubt or str(e), "to a reserved host"
        self._record(moves, where)
        plan = self._plan(wanted, len(moves) - len(wanted), where)
        for first in range(0, len(wanted), LISTED):
            some = wanted[first : first + LISTED]
            self.say(f"From number {first + 1} on: {_named(some)}.", 0.5)
        self.say(f"Observe-only: {plan}", 1.0)
        return f"{doubt} Otherwise {plan}" if doubt else plan

    def _doubt(self, service: cloud.ComputeService) -> str | None:
        """Why nothing would be evacuated, for now.  Raises HostReturned."""
        try:
            service = death.await_down(self.job, service)
        except ServiceStillUp as e:
            return str(e)
        sign = death.sign_of_life(self.job, service)
        if sign is not None:
            raise HostReturned(sign=sign[:1].upper() + sign[1:])
        return None

    def _destination(self) -> str:
        """Where the VMs would go, by the segment's method.

        Raises NoReservedHost where they could go nowhere else.
        """
        nova = "to where Nova's scheduler chooses"
        match self.job.host.failover_segment.recovery_method:
            case RecoveryMethod.AUTO:
                return nova
            case RecoveryMethod.RESERVED_HOST:
                return f"to reserved host {reserved.would_take(self.job).name}"
            case RecoveryMethod.AUTO_PRIORITY:
                return f"{nova}; what does not arrive, {self._spare()}"
            case _:
                return f"{self._spare()}; what does not arrive, {nova}"

    def _spare(self) -> str:
        try:
            return f"to reserved host {reserved.would_take(self.job).name}"
        except NoReservedHost as e:
            return f"nowhere ({str(e).removesuffix('.')})"

    def _record(self, moves: Sequence[NewMove], where: str) -> None:
        """Every VM has a move that says what would become of it; none is ever begun."""
        job, n = self.job, self.job.notification
        wanted = [m for m in moves if m.status == VMoveStatus.PENDING]
        places = {m.instance_uuid: number for number, m in enumerate(wanted, 1)}
        job.lease.check()
        db.vmoves.prepare(
            job.world.database,
            n.notification_uuid,
            n.attempt,
            job.chapter,
            [_observed(m, places.get(m.instance_uuid), len(wanted), where) for m in moves],
        )

    def _plan(self, wanted: Sequence[NewMove], left: int, where: str) -> str:
        name = self.job.host.name
        alone = f" Left alone: {left}." if left else ""
        if not wanted:
            return f"would disable host {name}, and evacuate no VM.{alone}"
        these = f"these {len(wanted)} VMs" if len(wanted) > 1 else "this VM"
        order = " in this order" if len(wanted) > 1 else ""
        listed = _shortened(wanted)
        return f"would evacuate {these} of host {name}{order}, {where}: {listed}.{alone}"


def _observed(move: NewMove, place: int | None, total: int, where: str) -> NewMove:
    """The move as a record; a recovery later has to look itself how the VM was before."""
    message = move.message
    if place is not None:
        message = f"Observe-only: would be evacuated as number {place} of {total}, {where}."
    return dataclasses.replace(
        move,
        status=VMoveStatus.IGNORED,
        message=message,
        vm_state=None,
        task_state=None,
        power_state=None,
    )


def _named(moves: Sequence[NewMove]) -> str:
    return ", ".join(f"{m.instance_name} ({m.instance_uuid})" for m in moves)


def _shortened(moves: Sequence[NewMove]) -> str:
    """Names of the first VMs, and how many more there are."""
    names = [m.instance_name for m in moves]
    kept = len(names)
    while kept > 1 and len(", ".join(names[:kept])) > LIST_LENGTH:
        kept -= 1
    more = f" and {len(names) - kept} more (see the vmoves)" if kept < len(names) else ""
    return ", ".join(names[:kept]) + more


def _host_started(job: Job) -> Verdict:
    if process.is_marked(job):
        return _would(
            f"would end the maintenance of host {job.host.name}, which a failed process has begun."
        )
    return stories.host_started(job)


# ---- VMs


class ObserveInstanceTask(instance.InstanceStep):
    """It is known what would be done for the failed VM."""

    def execute(self, instance_uuid: str) -> str:
        """Judge it as a recovery would, and plan."""
        escalation.refuse_nothing(self.job)
        action = escalation.plan(self.job)
        server = self.look()
        instance.require_service(self.job, server)
        what = f"VM {server.name} ({instance_uuid})"
        match action:
            case VmAction.RESTART:
                plan = f"would restart {what} on host {server.host}."
            case VmAction.RELOCATE:
                plan = f"would migrate {what} off host {server.host}."
            case _:
                plan = f"would leave {what} in error: it fails again and again."
        self.say(f"Observe-only: {plan}", 1.0)
        return plan


# ---- processes


class ObserveProcessTask(Step):
    """It is known what would be done about the failed process."""

    def execute(self, process_name: str, host_name: str) -> str:
        """Look whether there is something to do, and plan."""
        job = self.job
        service = cloud.service_of(job.world.cloud, host_name)
        marks = process.answer(job.world.conf, process_name).marks
        if service.is_enabled:
            todo = f"disable the compute service of host {host_name}"
        else:
            todo = f"leave the compute service of host {host_name}, which is disabled, as it is"
        mark = " and put the host on maintenance" if marks else ""
        plan = f"would {todo}{mark}: process {process_name} has failed."
        self.say(f"Observe-only: {plan}", 1.0)
        return plan


def _process_stopped(job: Job) -> Verdict:
    if not process.answer(job.world.conf, job.notification.payload["process_name"]).disables:
        return stories.process_stopped(job)
    return _planned(job, flows.process_chapter(job, CHAPTER, (ObserveProcessTask,)))


def _process_started(job: Job) -> Verdict:
    name = job.notification.payload["process_name"]
    recorded = process.only_recorded(job)
    if recorded is not None:
        return recorded
    if process.would_enable(job):
        return _would(f"would take host {job.host.name} into service: process {name} has started.")
    text = f"Process {name} on host {job.host.name} has started: nothing is to be undone."
    return Verdict(NotificationStatus.FINISHED, Reason.PROCESS_STARTED, text)
