"""The steps of a VM's failure.  Class names and progress are what clients see.

A VM is restarted where it is: stopped, started, confirmed.  Where that is allowed it is moved by
cold migration instead; it is never evacuated, because its host lives.  Before each step we look
whether that is still ours to do.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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
    CloudRefused,
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
        server = self._await(
            "to become idle", lambda s: s.task_state is None, _power_off_s, Reason.VM_BUSY
        )
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

        return self._await(f"vm_state {wanted}", is_there, timeout_s)

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

    # ---- within

    def _await(
        self,
        what: str,
        is_there: Callable[[Server], bool],
        timeout_s: Callable[[Job], float],
        reason: Reason | None = None,
    ) -> Server:
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

    def _facts(self, server: Server) -> vm_checks.Facts:
        world, n = self.job.world, self.job.notification
        options = world.conf.instance_failure
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
            event_at=n.generated_time,
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
        _require_service(job, server)
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
        _require_service(job, server)
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


class MigrateInstanceTask(InstanceStep):
    """The VM is active on another host, to which Nova has moved it."""

    action = VmAction.RELOCATE

    def __init__(self, **kwargs: Any) -> None:
        """Have asked for nothing."""
        super().__init__(**kwargs)
        self._asked: set[str] = set()
        self._source: str | None = None

    def execute(self, instance_uuid: str) -> None:
        """Do what its state asks for next, until it is there."""
        self._source = self._begun() or self._begin_anew()
        if self._was_asked_for():
            self._asked.add("migrate")
        self.say(f"Moving VM {instance_uuid} off host {self._source}.", 0.0)
        server = self._await("to be active on another host", self._advance, _relocation_s)
        self.say(f"VM {server.name} is active on host {server.host}.", 1.0)

    def _begun(self) -> str | None:
        """The host that the VM leaves, if this attempt has begun to move it."""
        attempt = self.job.notification.attempt
        return next((r.host for r in relocations(self.job) if r.attempt == attempt), None)

    def _require_own_move(self) -> None:
        """What waits to be confirmed is not its owner's resize.  Raises RecoveryIgnored."""
        nova = self.job.world.cloud
        moves = (a for a in nova.actions(self.job.vm) if a.name in ("migrate", "resize"))
        newest = next(moves, None)
        if newest is None or newest.name != "migrate" or newest.user_id != nova.user_id:
            raise RecoveryIgnored(
                "The VM's owner has resized it meanwhile, and has to confirm that.",
                reason=Reason.VM_STATE,
            )

    def _was_asked_for(self) -> bool:
        """Whether an engine before us has had Nova move the VM in this attempt."""
        job = self.job
        attempt = job.notification.attempt
        begun_at = next(r.started_at for r in relocations(job) if r.attempt == attempt)
        return any(
            a.name == "migrate" and a.started_at > begun_at - vm_checks.SAME_MOMENT
            for a in job.world.cloud.actions(job.vm)
        )

    def _begin_anew(self) -> str | None:
        """The host that the VM leaves: what an attempt before did by half is brought to its end."""
        before = [r.host for r in relocations(self.job)]
        server = self.look()
        _require_service(self.job, server)
        source = before[-1] if before else server.host
        self.begin(source)
        return source

    def _advance(self, server: Server) -> bool:
        """Whether it is there; if not, the next request is made when Nova is idle."""
        if server.task_state is not None:
            return False
        if server.host == self._source:
            self._leave(server)
            return False
        return self._arrive(server)

    def _leave(self, server: Server) -> None:
        """Nova was asked to move it, or to make it ready for that."""
        nova, leave = self.job.world.cloud, self.job.lease.check
        match server.vm_state:
            case _ if "migrate" in self._asked:
                raise VMNotRecovered(
                    f"Nova did not move the VM: it is on host {server.host}, "
                    f"vm_state {server.vm_state}."
                )
            case "stopped":
                # Nova would confirm the older of two moves (seen on Nova 34)
                if nova.has_unconfirmed_move(server.id):
                    raise VMNotRecovered("An earlier resize of the VM was never confirmed.")
                self.say(f"Nova chooses another host for VM {server.name}.", 0.3)
                nova.migrate(server.id, leave=leave)
                self._asked.add("migrate")
            case "active":
                nova.stop(server.id, leave=leave)
            case "error":
                nova.reset_state(server.id, "active", leave=leave)
            case state:
                raise VMNotRecovered(f"The VM cannot be moved in vm_state {state}.")

    def _arrive(self, server: Server) -> bool:
        """Whether it runs on the other host; if not, what is missing is asked for, once."""
        nova, leave = self.job.world.cloud, self.job.lease.check
        if server.vm_state == "active":
            return True
        if server.vm_state in self._asked:
            if server.vm_state == "resized":
                return False  # Nova shows no task while it confirms (seen on Nova 34)
            raise VMNotRecovered(
                f"The VM is on host {server.host}, and stays in vm_state {server.vm_state}."
            )
        self._asked.add(server.vm_state)
        match server.vm_state:
            case "resized":
                self._require_own_move()
                self.say(f"VM {server.name} is on host {server.host}: confirming.", 0.6)
                with contextlib.suppress(CloudRefused):  # an engine before us had asked
                    nova.confirm_resize(server.id, leave=leave)
            case "stopped":
                self.say(f"Starting VM {server.name} on host {server.host}.", 0.8)
                start(self.job, server.id)
            case "error":  # a hard reboot builds the guest there anew (seen on Nova 34)
                self.say(f"The move of VM {server.name} failed half-way: rebooting it.", 0.8)
                nova.reboot(server.id, leave=leave)
            case state:
                raise VMNotRecovered(f"The VM is on host {server.host}, in vm_state {state}.")
        return False


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


def _require_service(job: Job, server: Server) -> None:
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


def _relocation_s(job: Job) -> float:
    return float(job.world.conf.instance_failure.relocation_timeout)
