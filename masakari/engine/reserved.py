"""Reserved hosts: taken, prepared, and then used or given back.

A reserved host belongs to one recovery at a time.  The database says to which: `reserved_for`, set
by compare-and-swap.  A lock beside it saves two engines the same work.  What is to be undone in
Nova is stored before it is done (`reserved_undo`), so that whoever gives the host back knows it.
"""

import datetime
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from oslo_log import log

from masakari import cloud, db
from masakari.cloud import Aggregate, Leave
from masakari.db.models import Host, Notification
from masakari.engine import announcements
from masakari.engine.world import Job, World
from masakari.errors import (
    CloudConflict,
    CloudError,
    CloudRefused,
    ComputeServiceNotFound,
    DatabaseUnavailable,
    LeaseLost,
    MasakariError,
    NoReservedHost,
    ReservedHostUnusable,
)
from masakari.states import MIGRATION_ARRIVED, MIGRATION_FAILED

LOG = log.getLogger(__name__)

GIVEN_BACK = "Masakari has given this reserved host back."

Say = Callable[[str, float], None]


@contextmanager
def taken(job: Job, tried: Collection[str]) -> Iterator["Spare"]:
    """A reserved host that can take the VMs, and is ours; at the end it is used or given back.

    Those that this recovery has taken before come first, then those in the failed host's
    availability zone, then the newest.  Raises NoReservedHost, which says what is wrong with each.
    """
    world = job.world
    found = db.hosts.reserved_hosts(world.database, job.host.failover_segment_id, by=job.uuid)
    aggregates = world.cloud.aggregates() if found else []
    wrong: list[str] = []
    for host in _by_fit(job, found, aggregates):
        if host.name in tried:
            wrong.append(f"{host.name} was tried")
            continue
        problem = _problem(job, host, aggregates)
        if problem is not None:
            wrong.append(f"{host.name} {problem}")
            continue
        with world.locks.hold(f"reserved-host-{host.uuid}") as is_locked:
            # a lock on what the database says is ours is that of an engine before us
            is_free = is_locked or host.reserved_for == job.uuid
            if not (is_free and db.hosts.take_reserved(world.database, host.uuid, by=job.uuid)):
                wrong.append(f"{host.name} is held by another recovery")
                continue
            passed = f" ({', '.join(wrong)})" if wrong else ""
            LOG.info("notification %s: reserved host %s is taken%s", job.uuid, host.name, passed)
            spare = Spare(job, host)
            try:
                yield spare
            except (LeaseLost, DatabaseUnavailable):
                raise  # whoever continues has it
            except MasakariError:
                spare.settle()
                raise
            spare.settle()
            return
    raise _none(job, wrong)


def would_take(job: Job) -> Host:
    """The reserved host that `taken` would try first.  Raises NoReservedHost."""
    world = job.world
    found = db.hosts.reserved_hosts(world.database, job.host.failover_segment_id, by=job.uuid)
    aggregates = world.cloud.aggregates() if found else []
    wrong: list[str] = []
    for host in _by_fit(job, found, aggregates):
        problem = _problem(job, host, aggregates)
        if problem is None:
            return host
        wrong.append(f"{host.name} {problem}")
    raise _none(job, wrong)


def _none(job: Job, wrong: Sequence[str]) -> NoReservedHost:
    return NoReservedHost(
        segment=job.host.failover_segment.name,
        host=job.host.name,
        why=f" ({', '.join(wrong)})" if wrong else "; there is none",
    )


def _by_fit(job: Job, hosts: Sequence[Host], aggregates: Sequence[Aggregate]) -> list[Host]:
    zones = _zones(job.host.name, aggregates)

    def rank(host: Host) -> int:
        if host.reserved_for == job.uuid:
            return 0
        return 1 if _zones(host.name, aggregates) == zones else 2

    return sorted((h for h in hosts if h.uuid != job.host.uuid), key=rank)


def _zones(host: str, aggregates: Sequence[Aggregate]) -> set[str]:
    """The availability zone that the aggregates of the host give it, if they do."""
    return {a.availability_zone for a in aggregates if host in a.hosts and a.availability_zone}


def _problem(job: Job, host: Host, aggregates: Sequence[Aggregate]) -> str | None:
    """What is wrong with the reserved host, or None."""
    world = job.world
    if (rule := world.exclusions.host(host.name)) is not None:
        return f"is excluded ({rule})"
    try:
        service = cloud.service_of(world.cloud, host.name)
    except ComputeServiceNotFound:
        return "has no compute service"
    if service.is_down:
        return "is down"
    if world.conf.host_failure.add_reserved_host_to_aggregate:
        own, wanted = _zones(host.name, aggregates), _zones(job.host.name, aggregates)
        if own and wanted and own != wanted:
            return f"is in availability zone {', '.join(sorted(own))}"
    return None


class Spare:
    """A reserved host that a recovery has taken.  Owns `_is_used`, under one lock."""

    def __init__(self, job: Job, host: Host) -> None:
        """Taken, and as it was before."""
        self.name = host.name
        self._job = job
        self._host = host
        self._lock = threading.Lock()
        self._is_used = not host.reserved

    def prepare(self, say: Say) -> None:
        """The scheduler accepts it for the failed host's VMs.  Raises ReservedHostUnusable."""
        job = self._job
        service = cloud.service_of(job.world.cloud, self.name)
        try:
            joins = self._aggregates_to_join()
            self._will_undo(service, joins)
            for aggregate in joins:
                say(f"Adding reserved host {self.name} to aggregate {aggregate.name}.", 0.1)
                self._join(aggregate)
                say(f"Reserved host {self.name} is in aggregate {aggregate.name}.", 0.2)
            if not service.is_enabled:
                say(f"Enabling compute service on reserved host {self.name}.", 0.2)
                job.world.cloud.enable_service(service, leave=job.lease.check)
        except CloudRefused as e:
            raise ReservedHostUnusable(host=self.name, problem=e) from e
        say(f"Reserved host {self.name} is ready.", 0.3)

    def landed(self, dest: str | None) -> None:
        """A VM has arrived on the host *dest*: if it is this one, it is reserved no more."""
        if dest != self.name:
            return
        with self._lock:
            is_first, self._is_used = not self._is_used, True
        if is_first:
            self._use("it has taken a VM")

    def settle(self) -> None:
        """Used if a VM has arrived or is on its way, else given back."""
        world, job = self._job.world, self._job
        if self._is_used:
            return
        try:
            job.lease.check()
            if has_vms(world, self.name, job.notification):
                self._use("it has taken a VM")
            elif is_awaited(world, self.name, job.host.name):
                LOG.info("reserved host %s stays taken: Nova is moving a VM there", self.name)
            else:
                give_back(world, self._current(), leave=job.lease.check)
        except CloudError as e:
            LOG.warning("reserved host %s is given back later: %s", self.name, e)

    # ---- within

    def _aggregates_to_join(self) -> list[Aggregate]:
        world, source = self._job.world, self._job.host.name
        if not world.conf.host_failure.add_reserved_host_to_aggregate:
            return []
        return [
            a for a in world.cloud.aggregates() if source in a.hosts and self.name not in a.hosts
        ]

    def _will_undo(self, service: cloud.ComputeService, joins: Sequence[Aggregate]) -> None:
        """What is changed next is on record; an engine before us may have changed some of it."""
        before = self._current().reserved_undo or {}
        undo: dict[str, Any] = {
            "aggregates": sorted({*before.get("aggregates", []), *(a.id for a in joins)}),
            "disabled": before.get("disabled", not service.is_enabled),
            "disabled_reason": before.get("disabled_reason", service.disabled_reason),
        }
        stored = db.hosts.will_undo_reserved(
            self._job.world.database, self._host.uuid, by=self._job.uuid, undo=undo
        )
        if not stored:
            raise ReservedHostUnusable(host=self.name, problem="it was taken away")

    def _join(self, aggregate: Aggregate) -> None:
        nova = self._job.world.cloud
        try:
            nova.add_to_aggregate(aggregate, self.name, leave=self._job.lease.check)
        except CloudConflict:  # a member already, or of another availability zone
            if not any(a.id == aggregate.id and self.name in a.hosts for a in nova.aggregates()):
                raise

    def _use(self, why: str) -> None:
        with self._lock:
            self._is_used = True
        job = self._job
        is_used = db.hosts.use_reserved(job.world.database, self._host.uuid, by=job.uuid)
        if announcements.if_changed(
            job.world, is_used, self._host.uuid, job.notification.request_id
        ):
            LOG.info("notification %s: host %s is reserved no more: %s", job.uuid, self.name, why)

    def _current(self) -> Host:
        return db.hosts.find(self._job.world.database, self._host.uuid) or self._host


def has_vms(world: World, name: str, n: Notification) -> bool:
    """Whether VMs of that recovery are on the reserved host."""
    moves = db.vmoves.previous(world.database, n.notification_uuid, n.attempt + 1, 1)
    ours = {m.instance_uuid for m in moves}
    return any(server.id in ours for server in world.cloud.servers_on(name))


def is_awaited(world: World, name: str, source: str) -> bool:
    """Whether a VM of the failed host *source* may still arrive on the reserved host."""
    over = MIGRATION_ARRIVED | MIGRATION_FAILED
    patience = datetime.timedelta(seconds=world.conf.engine.evacuation_timeout)
    given_up = world.clock.now() - patience
    return any(
        m.dest == name
        and m.status not in over
        and (m.created_at is None or cloud.time(m.created_at) > given_up)
        for m in world.cloud.evacuations(source)
    )


def give_back(world: World, host: Host, *, leave: Leave = cloud.freely) -> None:
    """What was changed for a recovery is undone in Nova, and the host is to be had again.

    Raises CloudError: then it is not, and what is left to undo still is on record.
    """
    undo = host.reserved_undo or {}
    try:
        for aggregate in world.cloud.aggregates() if undo.get("aggregates") else ():
            if aggregate.id in undo["aggregates"] and host.name in aggregate.hosts:
                world.cloud.remove_from_aggregate(aggregate, host.name, leave=leave)
        if undo.get("disabled"):
            service = cloud.service_of(world.cloud, host.name)
            reason = undo.get("disabled_reason") or GIVEN_BACK
            if service.is_enabled:
                world.cloud.disable_service(service, reason, leave=leave)
    except ComputeServiceNotFound as e:  # nothing is left that could be disabled
        LOG.warning("reserved host %s: %s", host.name, e)
    if host.reserved_for is not None and db.hosts.give_back_reserved(
        world.database, host.uuid, by=host.reserved_for
    ):
        LOG.info("reserved host %s is given back", host.name)
