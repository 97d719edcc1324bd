"""Proof of death: what counts, and how it is obtained and stored.

Nothing is evacuated from a host before a record of proof is stored with the notification, and a
sign of life voids it.  The proof here is `nova_down`: a monitor reported the host dead, and Nova,
whose services report each few seconds, has not heard from it for `[DEFAULT] service_down_time` of
Nova.  Nova itself refuses to evacuate from a host that it believes up (HTTP 400).
"""

from typing import Any

from oslo_log import log

from masakari import cloud, db
from masakari.clock import wait_until
from masakari.cloud import ComputeService
from masakari.engine import announcements
from masakari.engine.world import Job
from masakari.errors import HostReturned, LeaseLost, RecoveryCancelled, ServiceStillUp
from masakari.states import Proof

LOG = log.getLogger(__name__)


def describe(service: ComputeService) -> str:
    """What Nova says of a service, in words."""
    forced = ", forced down" if service.forced_down else ""
    heard = f", last heard from at {service.updated_at}" if service.updated_at else ""
    return f"{service.state}{forced}{heard}"


def await_down(job: Job, service: ComputeService) -> ComputeService:
    """The host's service, which Nova reports down, or a monitor reported started.

    Raises ServiceStillUp when `wait_period_after_service_update` seconds pass before it does, and
    RecoveryCancelled.
    """
    world, seen = job.world, [service]
    timeout_s = world.conf.wait_period_after_service_update

    def is_down() -> bool:
        job.lease.check()
        refuse_cancelled(job)
        if not seen[-1].is_down:
            seen.append(cloud.service_of(world.cloud, service.host))
        return seen[-1].is_down or db.notifications.started_after(world.database, job.notification)

    every = world.conf.verify_interval
    if not wait_until(world.clock, is_down, timeout_s, every, soonest=0.1):
        raise ServiceStillUp(host=service.host, waited_s=timeout_s, seen=describe(seen[-1]))
    return seen[-1]


def refuse_cancelled(job: Job) -> None:
    """Raise RecoveryCancelled if an operator has cancelled the notification."""
    if db.brake.is_cancelled(job.world.database, job.uuid):
        raise RecoveryCancelled(what="nothing was moved")


def record(job: Job, service: ComputeService) -> None:
    """The proof is stored with the notification.  Raises LeaseLost when that is not ours."""
    world, n = job.world, job.notification
    proof: dict[str, Any] = {  # JSON
        "kind": str(Proof.NOVA_DOWN),
        "host": service.host,
        "seen": describe(service),
        "seen_at": world.clock.now().isoformat(),
        "seen_by": world.owner,
        "reported_at": n.generated_time.isoformat(),
    }
    _, witnesses = db.notifications.with_witnesses(world.database, n.notification_uuid)
    said = (n.payload, *(witness.payload for witness in witnesses))
    told = [payload["proof"] for payload in said if "proof" in payload]
    if told:
        proof["told"] = told[0]  # the word of who saw it: on record, and nothing rests on it
    recorded = db.leases.record_proof(
        world.database, n.notification_uuid, owner=world.owner, proof=proof
    )
    if not recorded:
        raise LeaseLost(notification=n.notification_uuid)
    LOG.info(
        "notification %s: proof of death of host %s is on record: %s (%s)",
        n.notification_uuid,
        service.host,
        Proof.NOVA_DOWN,
        describe(service),
    )


def sign_of_life(job: Job, service: ComputeService) -> str | None:
    """What shows that the host lives after it was reported dead; None: nothing does.

    Nova forgets that a service was up for a while; a monitor's report of the return stays.
    """
    if not service.is_down:
        return f"host {service.host} is up again ({describe(service)})"
    if job.notification.proof and (voided_by := job.notification.proof.get("voided_by")):
        return str(voided_by)
    if db.notifications.started_after(job.world.database, job.notification):
        return f"host {service.host} is up again (a monitor has reported that it started)"
    return None


def void(job: Job, sign: str) -> None:
    """The proof does not count any more, for later tries and other engines, too."""
    world, uuid = job.world, job.notification.notification_uuid
    proof = db.notifications.get(world.database, uuid).proof or {}
    voided = {**proof, "voided_by": sign}
    if not db.leases.record_proof(world.database, uuid, owner=world.owner, proof=voided):
        raise LeaseLost(notification=uuid)


def have_left(job: Job) -> bool:
    """Whether a VM has left the host because of this notification, or has begun to."""
    n = job.notification
    moves = db.vmoves.previous(job.world.database, n.notification_uuid, n.attempt + 1, 1)
    return any(m.start_time is not None for m in moves)


def welcome_back(job: Job, service: ComputeService, sign: str) -> None:
    """The host is up and nothing was moved: what we changed is undone.  Raises HostReturned."""
    undo(job, service)
    raise HostReturned(sign=sign[:1].upper() + sign[1:])


def undo(job: Job, service: ComputeService) -> None:
    """The host is in service as before its recovery began, unless somebody else changed that.

    Where VMs have left it, before the recovery was retried, Nova places none there.
    """
    world = job.world
    job.lease.check()
    ours = world.conf.host_failure.service_disable_reason
    is_ours = service.disabled_reason and ours.startswith(service.disabled_reason)  # Nova keeps 255
    if is_ours and not have_left(job):
        world.cloud.enable_service(service, leave=job.lease.check)
    is_over = db.hosts.end_maintenance(world.database, job.host.uuid, by=job.uuid)
    announcements.host_changed(job, is_over)
