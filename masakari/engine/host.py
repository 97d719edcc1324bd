"""The steps of a host failure.  Class names and progress are what clients see."""

from collections.abc import Sequence

from masakari import cloud, db
from masakari.cloud import ComputeService, Server
from masakari.db.models import VMove
from masakari.db.vmoves import NewMove
from masakari.engine import announcements, death, evacuation, selection, stages, storage
from masakari.engine.step import Step
from masakari.engine.world import Job
from masakari.errors import RecoveryError, ReservedHostUnusable, VMsNotRecovered
from masakari.states import VMoveStatus

MOST_NAMED = 10
"""So many VMs are named in a message; the vmoves tell of all."""


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
        death.refuse_cancelled(job)
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
        announcements.host_changed(job, db.hosts.end_reservation(world.database, job.host.uuid))
        death.record(job, service)
        stages.service_down(world, job.claimed_at)
        self.say(f"Host {host_name} is proven dead: Nova reports its compute service down.", 1.0)


class PrepareHAEnabledInstancesTask(Step):
    """Every VM of the host has a move in the database that says what is to become of it."""

    def execute(self, host_name: str) -> None:
        """List the VMs and choose."""
        job, world, n = self.job, self.job.world, self.job.notification
        self.say(f"Listing the VMs of host {host_name}.", 0.0)
        servers = world.cloud.servers_on(host_name)
        self.say(f"VMs on host {host_name}: {len(servers)}.", 0.3)
        rules = _rules(job)
        self._tell_of(servers, rules)
        new = _choose(job, servers, rules)
        job.lease.check()
        moves = db.vmoves.prepare(world.database, n.notification_uuid, n.attempt, job.chapter, new)
        taken = [m for m in moves if m.status != VMoveStatus.IGNORED]
        left = len(moves) - len(taken)
        self.say(f"VMs to be recovered: {len(taken)}, left alone: {left}.", 0.8)
        self.say(f"To be evacuated are {_named(taken)}." if taken else "No VM is to be moved.", 1.0)

    def _tell_of(self, servers: Sequence[Server], rules: selection.Rules) -> None:
        enabled = [s for s in servers if selection.is_ha_enabled(s, rules.ha_key)]
        if rules.ignore_error:
            broken = sum(s.vm_state == "error" for s in enabled)
            self.say(f"HA-enabled VMs in vm_state error, left alone: {broken}.", 0.4)
        self.say(f"HA-enabled VMs: {len(enabled)}.", 0.6)
        self.say(f"VMs that are not HA-enabled: {len(servers) - len(enabled)}.", 0.7)


def to_be_moved(job: Job) -> list[NewMove]:
    """The VMs that are on the host and are not to stay there."""
    return [m for m in chosen(job) if m.status == VMoveStatus.PENDING]


def chosen(job: Job) -> list[NewMove]:
    """The VMs that are on the host, in their order; those that are to stay are `ignored`."""
    return _choose(job, job.world.cloud.servers_on(job.host.name), _rules(job))


def _rules(job: Job) -> selection.Rules:
    options = job.world.conf.host_failure
    return selection.Rules(
        ha_key=options.ha_enabled_instance_metadata_key,
        all_servers=options.evacuate_all_instances,
        ignore_error=options.ignore_instances_in_error_state,
        has_local_disks=storage.is_local(options, job.host.name, job.world.cloud),
        excluded=job.world.exclusions.server,
    )


def _choose(job: Job, servers: Sequence[Server], rules: selection.Rules) -> list[NewMove]:
    n = job.notification
    before = db.vmoves.previous(job.world.database, n.notification_uuid, n.attempt, job.chapter)
    return selection.select(servers, job.host.name, rules, selection.earliest(before))


class EvacuateInstancesTask(Step):
    """Every move of this chapter has ended."""

    def execute(self, host_name: str) -> None:
        """Evacuate all that wait, at most `host_failure_recovery_threads` at a time.

        Raises VMsNotRecovered when not all have arrived.
        """
        job = self.job
        if db.notifications.get(job.world.database, job.uuid).proof is None:
            raise RecoveryError(
                f"There is no proof on record that host {host_name} is dead: a flow that evacuates "
                "begins with disable_compute_service_task."
            )
        sign = _look_for_life(self, cloud.service_of(job.world.cloud, host_name))
        waiting = [
            m for m in self._moves() if m.status in (VMoveStatus.PENDING, VMoveStatus.ONGOING)
        ]
        self.say(f"VMs to be evacuated from host {host_name} now: {len(waiting)}.", 0.0)
        if waiting:
            self._prepare_reserved_host(waiting)
        sign = evacuation.evacuate_all(job, waiting, self._said, sign) or sign
        if sign is not None:
            self._release(host_name, sign)
        moves = self._moves()
        moved = [m for m in moves if m.status == VMoveStatus.SUCCEEDED]
        failed = [m for m in moves if m.status == VMoveStatus.FAILED]
        if moved:
            self.say(f"Recovered: {_named(moved)}.", 0.7)
        if failed:
            self.say(f"Not recovered: {_named(failed)}.", 0.7)
        left = len(moves) - len(moved) - len(failed)
        self.say(f"VMs recovered: {len(moved)}, failed: {len(failed)}, left alone: {left}.", 1.0)
        if failed:
            raise VMsNotRecovered(
                failed=len(failed),
                total=len(moves),
                host=host_name,
                detail=f"{failed[0].instance_name}: {failed[0].message}",
            )

    def _moves(self) -> list[VMove]:
        job, n = self.job, self.job.notification
        return db.vmoves.of_chapter(job.world.database, n.notification_uuid, n.attempt, job.chapter)

    def _prepare_reserved_host(self, waiting: Sequence[VMove]) -> None:
        job = self.job
        if job.spare is None:
            return
        try:
            job.spare.prepare(self.say)
        except ReservedHostUnusable as e:
            for move in waiting:
                if move.status == VMoveStatus.PENDING:
                    db.vmoves.finish(
                        job.world.database,
                        move.uuid,
                        status=VMoveStatus.FAILED,
                        message=str(e),
                        locked=move.locked,
                    )
            self.say(str(e), 1.0)
            raise

    def _said(self, message: str, share: float) -> None:
        """How far the evacuations are; the rest is said after them."""
        self.say(message, 0.3 + 0.4 * share)

    def _release(self, host_name: str, sign: str) -> None:
        """Should the host die for good now, the report of it is accepted."""
        job = self.job
        death.void(job, sign)
        is_over = db.hosts.end_maintenance(job.world.database, job.host.uuid, by=job.uuid)
        announcements.host_changed(job, is_over)
        self.say(
            f"Host {host_name} is off maintenance: {sign}; its compute service stays disabled "
            "until masakari-manage host repaired.",
            0.95,
        )


def _named(moves: Sequence[VMove]) -> str:
    """How many VMs those are, and the first of them."""
    first = ", ".join(f"{m.instance_name} ({m.instance_uuid})" for m in moves[:MOST_NAMED])
    more = f" and {len(moves) - MOST_NAMED} more" if len(moves) > MOST_NAMED else ""
    return f"{len(moves)}: {first}{more}"


def _look_for_life(step: Step, service: ComputeService) -> str | None:
    """What shows that the host lives again, if anything does, and VMs have left it already.

    If none has, nothing will: raises HostReturned.
    """
    job, n = step.job, step.job.notification
    sign = death.sign_of_life(job, service)
    if sign is None:
        return None
    if n.proof is not None and death.have_left(job):
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
