"""The steps of a VM's failure.  Class names and progress are what clients see.

A VM is restarted where it is: stopped, started, confirmed.  Where that is allowed it is moved by
cold migration instead; it is never evacuated, because its host lives.  Before each step we look
whether that is still ours to do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from oslo_log import log

from masakari import cloud, db
from masakari.clock import wait_until
from masakari.cloud import Server
from masakari.db.models import VmRecovery
from masakari.engine import selection, vm_checks
from masakari.engine.step import Step
from masakari.engine.world import Job
from masakari.errors import (
    CloudConflict,
    CloudNotFound,
    RecoveryCancelled,
    RecoveryEnded,
    RecoveryError,
    RecoveryIgnored,
    RecoverySkipped,
    VMNotRecovered,
)
from masakari.states import NotificationStatus, Reason, VmAction

LOG = log.getLogger(__name__)

SOONEST_S = 0.2
"""First pause between two looks at a VM, in seconds; they grow up to `verify_interval`."""


class InstanceStep(Step):
    """A step that is about one VM."""

    action: VmAction
    """what the step is part of"""

    def look(self) -> Server:
        """The VM, which is idle and may be acted upon.  Raises what says why it may not."""
        server = self.await_seen("to become idle", self._is_idle, _power_off_s, Reason.VM_BUSY)
        problem = vm_checks.judge(server, self._facts(server))
        if problem is not None:
            self.say(problem.text, 1.0)
            ends = problem.status == NotificationStatus.FINISHED
            raise (RecoverySkipped if ends else RecoveryIgnored)(
                problem.text, reason=problem.reason
            )
        return server

    def await_state(self, wanted: str, timeout_s: Callable[[Job], float]) -> Server:
        """The VM in vm_state *wanted*, once Nova, which was asked for it, has ended its task.

        Raises VMNotRecovered: nova-compute sets a VM that it cannot start back to stopped, one
        that it cannot stop to error (seen on Nova 34).
        """

        def is_there(server: Server) -> bool:
            if server.task_state is not None:
                return False
            if server.vm_state == wanted:
                return True
            # Nova is through with it, and this is what it has come to
            raise VMNotRecovered(
                f"Awaited vm_state {wanted}, and Nova left the VM in {server.vm_state}."
            )

        return self.await_seen(f"vm_state {wanted}", is_there, timeout_s)

    def begin(self, host: str | None) -> None:
        """The action is counted, and on record before anything is done."""
        job = self.job
        db.vm_recoveries.begin(
            job.world.database,
            instance_uuid=job.vm,
            notification_uuid=job.uuid,
            attempt=job.notification.attempt,
            action=self.action,
            host=host or job.host.name,
        )

    def server(self) -> Server:
        """The VM as it is now, if it and its host are ours to look after.

        Raises RecoveryIgnored when it is gone, RecoveryError when its host has failed.
        """
        job = self.job
        job.lease.check()
        failed = db.notifications.host_failure_pending(job.world.database, job.host.uuid)
        if failed is not None:
            raise RecoveryError(
                f"Host {job.host.name} has failed as a whole; notification {failed} comes first.",
                reason=Reason.HOST_FAILED,
            )
        try:
            return job.world.cloud.server(job.vm)
        except CloudNotFound:
            self.say("The VM does not exist any more.", 1.0)
            raise RecoveryIgnored(
                "The VM does not exist any more.", reason=Reason.VM_GONE
            ) from None

    def await_seen(
        self,
        what: str,
        is_there: Callable[[Server], bool],
        timeout_s: Callable[[Job], float],
        reason: Reason | None = None,
    ) -> Server:
        """The VM, of which *is_there* is true; *what* says so in words.

        Raises VMNotRecovered with *reason* when that takes longer, and what *is_there* raises.
        """
        world, seen = self.job.world, list[Server]()

        def look() -> bool:
            seen.append(self.server())
            return is_there(seen[-1])

        timeout = timeout_s(self.job)
        every = world.conf.verify_interval
        if not wait_until(world.clock, look, timeout, every, soonest=SOONEST_S):
            last = seen[-1]
            raise VMNotRecovered(
                f"Awaited the VM {what} for {timeout:g} s, last seen vm_state {last.vm_state}"
                + (f", task_state {last.task_state}." if last.task_state else "."),
                reason=reason,
            )
        return seen[-1]

    # ---- within

    def _is_idle(self, server: Server) -> bool:
        if server.task_state is None:
            return True
        job = self.job
        done = db.vm_recoveries.of_notification(job.world.database, job.uuid)
        has_begun = any(r.attempt == job.notification.attempt for r in done)
        if not has_begun and db.brake.is_cancelled(job.world.database, job.uuid):
            raise RecoveryCancelled(what="nothing was done with the VM")
        return False

    def _facts(self, server: Server) -> vm_checks.Facts:
        world, n = self.job.world, self.job.notification
        options = world.conf.instance_failure
        since = db.notifications.said_since(world.database, n)
        of_power = (
            action
            for action in world.cloud.actions(server.id)
            if action.name in vm_checks.RESTARTS | vm_checks.STOPS
        )
        return vm_checks.Facts(
            host=self.job.host.name,
            excluded=world.exclusions.server(server),
            is_enabled=options.process_all_instances
            or selection.is_ha_enabled(server, options.ha_enabled_instance_metadata_key),
            ha_key=options.ha_enabled_instance_metadata_key,
            newest_action=next(of_power, None),
            restarted_at=db.vm_recoveries.last_power_on(world.database, server.id),
            event_at=max([n.generated_time, *(witness.generated_time for witness in since)]),
            own_user=world.cloud.user_id,
            was_relocated=bool(relocations(self.job)),
            evacuated_to=self._evacuated_to(server),
        )

    def _evacuated_to(self, server: Server) -> str | None:
        job = self.job
        if server.host == job.host.name:
            return None
        return db.vmoves.arrived_from(
            job.world.database,
            job.host.uuid,
            server.id,
            since=job.notification.generated_time,
        )


class StopInstanceTask(InstanceStep):
    """The VM is off, and may be started."""

    action = VmAction.RESTART

    def execute(self, instance_uuid: str) -> None:
        """Check, count, stop, wait."""
        job, nova = self.job, self.job.world.cloud
        server = self.look()
        require_service(job, server)
        self.begin(server.host)
        self.say(f"Stopping VM {server.name} ({instance_uuid}).", 0.5)
        if server.vm_state == "resized":
            nova.reset_state(instance_uuid, "active", leave=job.lease.check)
        if server.vm_state != "stopped":
            self._stop(instance_uuid)
            self.await_state("stopped", _power_off_s)
        self.say(f"VM {server.name} is stopped.", 1.0)

    def _stop(self, instance_uuid: str) -> None:
        try:
            self.job.world.cloud.stop(instance_uuid, leave=self.job.lease.check)
        except CloudConflict as e:
            # Nova's own power-state sync may have been quicker
            server = self.server()
            if server.vm_state != "stopped" and server.task_state is None:
                raise VMNotRecovered(str(e)) from e


class StartInstanceTask(InstanceStep):
    """Nova has accepted to start the VM."""

    action = VmAction.RESTART

    def execute(self, instance_uuid: str) -> None:
        """Start it, unless it runs."""
        job = self.job
        server = self.look()
        if server.vm_state == "active":  # an engine before us had started it
            self.say(f"VM {server.name} has started.", 1.0)
            return
        if server.vm_state != "stopped":
            raise VMNotRecovered(f"The VM cannot be started in vm_state {server.vm_state}.")
        # what a dead host is asked to start, it starts when it is back
        require_service(job, server)
        self.begin(server.host)
        self.say(f"Starting VM {server.name} ({instance_uuid}).", 0.5)
        start(job, instance_uuid)
        self.say(f"Nova starts VM {server.name}.", 1.0)


class ConfirmInstanceActiveTask(InstanceStep):
    """The VM is active."""

    action = VmAction.RESTART

    def execute(self, instance_uuid: str) -> None:
        """Wait for it."""
        self.say(f"Waiting for VM {instance_uuid} to be active.", 0.5)
        server = self.await_state("active", _power_on_s)
        self.say(f"VM {server.name} is active on host {server.host}.", 1.0)


class LeaveInstanceInErrorTask(InstanceStep):
    """The VM is in vm_state error, for its owner to see."""

    action = VmAction.GIVE_UP

    def execute(self, instance_uuid: str) -> None:
        """Reset its state."""
        server = self.look()
        self.begin(server.host)
        if server.vm_state != "error":
            self.job.world.cloud.reset_state(instance_uuid, "error", leave=self.job.lease.check)
        self.say(f"VM {server.name} fails again and again: left in vm_state error.", 1.0)


def relocations(job: Job) -> list[VmRecovery]:
    """What this notification has done to move its VM, oldest first."""
    done = db.vm_recoveries.of_notification(job.world.database, job.uuid)
    return [r for r in done if r.action == VmAction.RELOCATE]


@contextmanager
def counted(job: Job, action: VmAction) -> Iterator[None]:
    """How the action ended is on record, if it had begun."""
    outcome = "failed"
    try:
        yield
        outcome = "succeeded"
    except RecoveryEnded:
        outcome = "superseded"
        raise
    finally:
        if not job.lease.is_lost:
            db.vm_recoveries.end(
                job.world.database,
                notification_uuid=job.uuid,
                attempt=job.notification.attempt,
                action=action,
                outcome=outcome,
            )


def start(job: Job, instance_uuid: str) -> None:
    """Nova has accepted to start the VM; that it was asked is on record before."""
    db.vm_recoveries.power_on(
        job.world.database, notification_uuid=job.uuid, attempt=job.notification.attempt
    )
    try:
        job.world.cloud.start(instance_uuid, leave=job.lease.check)
    except CloudConflict as e:
        raise VMNotRecovered(str(e)) from e


def require_service(job: Job, server: Server) -> None:
    """Nova can reach the VM's host.  Raises RecoveryError."""
    service = cloud.service_of(job.world.cloud, server.host or job.host.name)
    if service.is_down:
        raise RecoveryError(
            f"The compute service of host {service.host} is down: nothing can be done there.",
            reason=Reason.SERVICE_DOWN,
        )


def _power_off_s(job: Job) -> float:
    return float(job.world.conf.wait_period_after_power_off)


def _power_on_s(job: Job) -> float:
    return float(job.world.conf.wait_period_after_power_on)
