"""The steps of a host failure.  Class names and progress are what clients see."""

from masakari import cloud, db
from masakari.cloud import ComputeService
from masakari.db.models import VMove
from masakari.engine import death, evacuation, selection
from masakari.engine.step import Step
from masakari.states import VMoveStatus


class DisableComputeServiceTask(Step):
    """The scheduler avoids the host, and there is proof that it is dead."""

    def execute(self, host_name: str) -> None:
        """Disable the service, then wait until Nova reports it down."""
        job, world = self.job, self.job.world
        service = cloud.service_of(world.cloud, host_name)
        if job.notification.proof is not None:  # an engine before us got this far
            if _look_for_life(self, service) is None:
                self.say(f"Host {host_name} was proven dead before.", 1.0)
            return
        if service.is_enabled:
            self.say(f"Disabling compute service on host {host_name}.", 0.0)
            reason = world.conf.host_failure.service_disable_reason
            world.cloud.disable_service(service, reason, leave=job.lease.check)
        self.say(
            f"Compute service on host {host_name} is disabled; Nova must report it down "
            f"(now: {death.describe(service)}).",
            0.5,
        )
        service = death.await_down(job, service)
        _look_for_life(self, service)
        death.record(job, service)
        self.say(f"Host {host_name} is proven dead: Nova reports its compute service down.", 1.0)


class PrepareHAEnabledInstancesTask(Step):
    """Every VM of the host has a move in the database that says what is to become of it."""

    def execute(self, host_name: str) -> None:
        """List the VMs and choose."""
        world, n = self.job.world, self.job.notification
        options = world.conf.host_failure
        self.say(f"Listing the VMs of host {host_name}.", 0.0)
        servers = world.cloud.servers_on(host_name)
        before = db.vmoves.previous(world.database, n.notification_uuid, n.attempt, 1)
        chosen = selection.select(
            servers,
            source=host_name,
            ha_key=options.ha_enabled_instance_metadata_key,
            all_servers=options.evacuate_all_instances,
            ignore_error=options.ignore_instances_in_error_state,
            before=selection.earliest(before),
        )
        self.job.lease.check()
        moves = db.vmoves.prepare(world.database, n.notification_uuid, n.attempt, 1, chosen)
        taken = sum(m.status != VMoveStatus.IGNORED for m in moves)
        enabled = sum(
            selection.is_ha_enabled(s, options.ha_enabled_instance_metadata_key) for s in servers
        )
        self.say(f"VMs on host {host_name}: {len(servers)}, HA-enabled: {enabled}.", 0.7)
        self.say(f"VMs to be recovered: {taken}, left alone: {len(moves) - taken}.", 1.0)


class EvacuateInstancesTask(Step):
    """Every move of this attempt has ended."""

    def execute(self, host_name: str) -> None:
        """Evacuate all that wait, at most `host_failure_recovery_threads` at a time."""
        job, world = self.job, self.job.world
        n = job.notification
        sign = _look_for_life(self, cloud.service_of(world.cloud, host_name))
        waiting = [
            m
            for m in db.vmoves.of_attempt(world.database, n.notification_uuid, n.attempt)
            if m.status in (VMoveStatus.PENDING, VMoveStatus.ONGOING)
        ]
        self.say(f"VMs to be evacuated from host {host_name} now: {len(waiting)}.", 0.0)
        sign = evacuation.evacuate_all(job, waiting, self.say, sign) or sign
        if sign is not None:
            self._release(host_name, sign)
        moves = db.vmoves.of_attempt(world.database, n.notification_uuid, n.attempt)
        self.say(_summary(moves), 1.0)

    def _release(self, host_name: str, sign: str) -> None:
        """Should the host die for good now, the report of it is accepted."""
        job = self.job
        death.void(job, sign)
        db.hosts.end_maintenance(
            job.world.database, job.host.uuid, by=job.notification.notification_uuid
        )
        self.say(
            f"Host {host_name} is off maintenance: {sign}; its compute service stays disabled "
            "until masakari-manage host repaired.",
            0.95,
        )


def _summary(moves: list[VMove]) -> str:
    count = {s: sum(m.status == s for m in moves) for s in VMoveStatus}
    return (
        f"VMs recovered: {count[VMoveStatus.SUCCEEDED]}, failed: {count[VMoveStatus.FAILED]}, "
        f"left alone: {count[VMoveStatus.IGNORED]}."
    )


def _look_for_life(step: Step, service: ComputeService) -> str | None:
    """What shows that the host lives again, if anything does, and VMs have left it already.

    If none has, nothing will: raises HostReturned.
    """
    job, n = step.job, step.job.notification
    sign = death.sign_of_life(job, service)
    if sign is None:
        return None
    moves = db.vmoves.of_attempt(job.world.database, n.notification_uuid, n.attempt)
    moves += db.vmoves.previous(job.world.database, n.notification_uuid, n.attempt, 1)
    if any(m.start_time is not None for m in moves):
        step.say(f"VMs that are still on host {service.host} stay: {sign}.", 0.0)
        return sign
    db.vmoves.abandon(
        job.world.database,
        n.notification_uuid,
        message=f"The VM was left where it was: {sign}.",
    )
    step.say(f"Nothing is moved: {sign}.", 1.0)
    death.welcome_back(job, service, sign)
    return sign
