"""One poller tells all VM threads of a recovery how their evacuations stand.

Nova's migration records tell the truth about evacuations, and one list request tells about all
VMs from a host (Nova API, os-migrations: migration_type, source_compute, changes-since from 2.59).
So the cost of waiting does not grow with the number of VMs in flight.
"""

import contextlib
import dataclasses
import datetime
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

from oslo_log import log

from masakari import cloud, db
from masakari.clock import Clock, wait_until
from masakari.cloud import Migration, Server
from masakari.engine import death
from masakari.engine.world import Job
from masakari.errors import (
    CloudNotFound,
    ComputeServiceNotFound,
    DestinationDied,
    EvacuationFailed,
    LeftAlone,
    MasakariError,
)
from masakari.states import MIGRATION_ARRIVED, MIGRATION_FAILED, MigrationStatus

LOG = log.getLogger(__name__)

FASTEST = 0.1
"""Shortest pause between two polls, in seconds."""
OVERLAP = datetime.timedelta(seconds=5)
"""How much each poll looks back behind the newest change seen: Nova's clocks may differ."""
WAKE_UP_S = 5.0
"""Seconds after which a waiting thread looks by itself whether its lease still holds."""
LIST_AGE_S = 1.5
"""For so long a list of the host's VMs is believed: a request on its way is not seen sooner."""
LIST_COSTS_S = 0.2
"""A list that takes longer is not worth it: then Nova is asked about each VM."""
READ_ALL_S = 10.0
"""Seconds after which all evacuations from the host are read again."""


class Flight:
    """One evacuation that is being waited for."""

    def __init__(self, clock: Clock, newer_than: int, lost: int | None = None) -> None:
        """Wait for a migration with an id above *newer_than*, or for the *lost* one.

        A destination takes the VM's oldest record that is only accepted, and so finishes one whose
        destination has died; the new one stays accepted for ever (seen on Nova 34).
        """
        self.newer_than = newer_than
        self.lost = lost
        self.found: Migration | None = None
        """the lost one, once it has arrived"""
        self.began = self.looked_at = clock.monotonic()
        self.changed = clock.event()


def pause(now: float, began: Iterable[float], shortest: float | None, slowest: float) -> float:
    """Seconds until the next poll, from FASTEST to *slowest*.

    *began*: when each flight began; *shortest*: the shortest flight so far, if one has ended.
    A look is worth its price when the next arrival may be due: not before a flight is 0.8 times
    as old as the shortest was, then each twentieth of that.
    """
    times = list(began)
    if not times:
        return slowest
    expected = shortest if shortest is not None else now - max(times)
    rhythm = expected / 20
    due = min(times) + 0.8 * shortest - now if shortest is not None else 0.0
    return max(FASTEST, min(slowest, max(rhythm, due)))


class Watcher:
    """How the VMs of one dead host fare.  Owns what follows under one lock."""

    def __init__(self, job: Job, stop_reason: str | None) -> None:
        """Know how things are now."""
        self.stop_reason = stop_reason
        """Why nothing more is begun; None: there is no reason so far"""
        self.sign_of_life = stop_reason
        """What shows that the host lives again; None: nothing did so far"""
        self._job = job
        self._host = job.host.name
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}
        self._latest: dict[str, Migration] = {}
        self._newest: datetime.datetime | None = None
        self._there: frozenset[tuple[str, str, str | None]] = frozenset()
        self._shortest: float | None = None
        self._unreachable: str | None = None
        self._dead: Mapping[str, datetime.datetime] = {}
        self._read_all_at = self._asked_service_at = job.world.clock.monotonic()
        self._stop = job.world.clock.event()
        self._servers: dict[str, Server] = {}
        self._listed_at = self._wanted_at = job.world.clock.monotonic()
        self._list_took = 0.0
        self._list()
        self._locked_by_owner = {s.id for s in self._servers.values() if s.locked}
        self.refresh()
        self._look_for_reasons()
        self._look_for_the_dead()

    # ---- asked by the threads of the VMs

    def owner_locked(self, server_id: str) -> bool:
        """Whether the VM was locked when the watch began."""
        return server_id in self._locked_by_owner

    def server(self, server_id: str) -> Server | None:
        """The VM as a list of the last LIST_AGE_S seconds shows it; None: ask Nova about it."""
        with self._lock:
            self._wanted_at = now = self._job.world.clock.monotonic()
            return self._servers.get(server_id) if now - self._listed_at <= LIST_AGE_S else None

    def latest(self, server_id: str) -> Migration | None:
        """The VM's newest evacuation from the host, as last polled."""
        with self._lock:
            return self._latest.get(server_id)

    def runs(self, migration: Migration | None) -> TypeGuard[Migration]:
        """Whether it may still arrive: it is not over, and its destination is not proven dead."""
        return migration is not None and not _is_over(migration) and not self._is_lost(migration)

    def _is_lost(self, migration: Migration) -> bool:
        """Whether its destination died with it.  One that was begun later found it alive again."""
        seen_at = self._dead.get(migration.dest or "")
        began = migration.created_at
        return seen_at is not None and began is not None and cloud.time(began) < seen_at

    def expect(self, server_id: str, newer_than: int) -> Flight:
        """From now on look out for an evacuation of the VM with an id above *newer_than*."""
        known = self.latest(server_id)
        is_lost = known is not None and known.id <= newer_than and not _is_over(known)
        lost = known.id if known is not None and is_lost else None
        flight = Flight(self._job.world.clock, newer_than, lost)
        with self._lock:
            self._flights[server_id] = flight
        return flight

    def forget(self, server_id: str) -> None:
        """The evacuation that was expected was refused, or has ended."""
        with self._lock:
            self._flights.pop(server_id, None)

    def arrival(self, server_id: str, flight: Flight) -> Migration:
        """The evacuation's record once the VM runs on the destination.

        In that moment the VM has its final state (seen on Nova 34).  Raises EvacuationFailed
        (also when it takes too long), LeftAlone (it was deleted) and LeaseLost.
        """
        clock = self._job.world.clock
        try:
            while True:
                self._job.lease.check()
                migration = flight.found or self._newer(server_id, flight)
                if migration is not None and self._has_arrived(migration):
                    self._landed(clock.monotonic() - flight.began)
                    return migration
                if migration is not None and migration.status in MIGRATION_FAILED:
                    raise EvacuationFailed(
                        message=f"Nova's evacuation {migration.id} ended in status "
                        f"{migration.status}"
                        + (f" on host {migration.dest}." * bool(migration.dest))
                    )
                if migration is not None and self._is_lost(migration):
                    raise DestinationDied(dest=migration.dest)
                host = self._resting_place(server_id, flight)
                if host is not None and migration is not None:
                    return dataclasses.replace(migration, dest=host)
                self._check_age(flight, migration)
                flight.changed.wait(WAKE_UP_S)
                flight.changed.clear()
        finally:
            self.forget(server_id)

    def recorded(self, server_id: str, flight: Flight, timeout_s: float) -> bool:
        """Whether an evacuation of the VM came on record within *timeout_s* seconds.

        Asked about a request whose fate is unknown, before it is made again.
        """

        def is_recorded() -> bool:
            self._job.lease.check()
            return self._newer(server_id, flight) is not None

        if wait_until(self._job.world.clock, is_recorded, timeout_s, 1.0):
            return True
        self.refresh()
        return is_recorded()

    def _has_arrived(self, migration: Migration) -> bool:
        """Whether the VM runs on the destination.

        A source host that returns marks its evacuations `completed`, also those that still run
        (seen in Nova 34): then the VM itself must tell.
        """
        if migration.status != MigrationStatus.COMPLETED:
            return migration.status in MIGRATION_ARRIVED
        server = self._job.world.cloud.server(migration.server_id)
        return server.host == migration.dest and server.task_state is None

    def _newer(self, server_id: str, flight: Flight) -> Migration | None:
        migration = self.latest(server_id)
        return migration if migration and migration.id > flight.newer_than else None

    def _landed(self, seconds: float) -> None:
        with self._lock:
            self._shortest = seconds if self._shortest is None else min(self._shortest, seconds)

    def _resting_place(self, server_id: str, flight: Flight) -> str | None:
        """The other host on which the VM is at rest, if it is; looked at now and then.

        Records alone do not tell all: Nova forgets those of a deleted VM, and may leave one
        accepted for ever although the VM has arrived.  Raises LeftAlone when it is deleted.
        """
        world = self._job.world
        if world.clock.monotonic() - flight.looked_at < world.conf.wait_period_after_evacuation:
            return None
        flight.looked_at = world.clock.monotonic()
        try:
            server = world.cloud.server(server_id)
        except CloudNotFound:
            raise LeftAlone(message="The VM was deleted meanwhile.") from None
        except MasakariError as e:
            LOG.debug("VM %s: %s", server_id, e)
            return None
        return server.host if server.host != self._host and server.task_state is None else None

    def _check_age(self, flight: Flight, migration: Migration | None) -> None:
        conf = self._job.world.conf
        age = self._job.world.clock.monotonic() - flight.began
        bound = conf.wait_period_after_evacuation
        if migration is None and age > bound and self._read_all_at > flight.began + bound / 2:
            raise EvacuationFailed(
                message=f"Nova accepted the evacuation {age:.0f} s ago and shows no record of it."
                + (f" ({self._unreachable})" if self._unreachable else "")
            )
        if migration is not None and age > conf.engine.evacuation_timeout:
            raise EvacuationFailed(
                message=f"Nova's evacuation {migration.id} is in status {migration.status} after "
                f"{age:.0f} s; it is not started again while it runs."
            )

    # ---- the poller

    def run(self) -> None:
        """Poll until `stop`; the pauses adapt."""
        clock, slowest = self._job.world.clock, self._job.world.conf.verify_interval
        while not self._stop.is_set():
            began, took = clock.monotonic(), 0.0
            try:
                self._look()
                took = clock.monotonic() - began
            except MasakariError as e:
                self._warn(str(e))
            except Exception:  # the VMs' threads depend on this one
                LOG.exception("host %s: unexpected error", self._host)
            else:
                self._unreachable = None
            with self._lock:
                flights = [f.began for f in self._flights.values()]
                shortest = self._shortest
            usual = pause(clock.monotonic(), flights, shortest, slowest)
            self._stop.wait(max(usual, min(2 * took, READ_ALL_S)))  # Nova is not to be kept busy

    def stop(self) -> None:
        """`run` returns soon, and every waiting thread looks up."""
        self._stop.set()
        with self._lock:
            for flight in self._flights.values():
                flight.changed.set()

    def _look(self) -> None:
        if self._job.lease.is_lost:
            self.stop()
            return
        if self._flights:
            self.poll()
        now, every = self._job.world.clock.monotonic(), self._job.world.conf.verify_interval
        if now - self._asked_service_at >= every:
            self._asked_service_at = now
            self._look_for_reasons()
            self._look_for_the_dead()
        if now - self._read_all_at >= READ_ALL_S:
            self.refresh()
        is_cheap = self._list_took <= LIST_COSTS_S
        if is_cheap and now - self._wanted_at <= READ_ALL_S and now - self._listed_at >= every:
            self._list()

    def _list(self) -> None:
        """Which VMs are on the host, and in which state, is known for the next seconds."""
        clock = self._job.world.clock
        began = clock.monotonic()
        servers = self._job.world.cloud.servers_on(self._host)
        with self._lock:
            self._servers = {s.id: s for s in servers}
            self._listed_at, self._list_took = began, clock.monotonic() - began

    def _look_for_reasons(self) -> None:
        """Whether something more may be begun."""
        if self.stop_reason is not None:
            return
        world = self._job.world
        host = db.hosts.find(world.database, self._job.host.uuid)
        if host is None or host.deleted or not host.failover_segment.enabled:
            self.stop_reason = "recovery was disabled for its segment"
        if db.brake.is_cancelled(world.database, self._job.uuid):
            self.stop_reason = "an operator has cancelled its recovery"
        with contextlib.suppress(ComputeServiceNotFound):  # deleted: certainly no sign of life
            service = cloud.service_of(world.cloud, self._host)
            self.sign_of_life = death.sign_of_life(self._job, service)
        self.stop_reason = self.sign_of_life or self.stop_reason
        if self.stop_reason is not None:
            LOG.warning(
                "notification %s: %s: nothing more is evacuated from host %s",
                self._job.notification.notification_uuid,
                self.stop_reason,
                self._host,
            )

    def _look_for_the_dead(self) -> None:
        """Nobody waits any more for what was on its way to a host that has died since.

        Nova never ends such an evacuation, and accepts another one (seen on Nova 34).
        """
        world = self._job.world
        dead = db.hosts.proven_dead(world.database)
        with self._lock:
            dests = {m.dest for m in self._latest.values() if m.dest in dead and not _is_over(m)}
        # one that has come back since is nobody's proof of anything
        down = {d for d in dests if d and self._is_down(d)}
        with self._lock:
            if down - set(self._dead):
                for flight in self._flights.values():
                    flight.changed.set()
            self._dead = {name: dead[name] for name in down}

    def _is_down(self, host: str) -> bool:
        try:
            return cloud.service_of(self._job.world.cloud, host).is_down
        except ComputeServiceNotFound:
            return True  # deleted: nothing reports for it

    def refresh(self) -> None:
        """How all evacuations from the host stand is known, also of those that were only accepted.

        A list of changes leaves those out (seen on Nova 34: their updated_at is null).
        """
        now = self._job.world.clock.monotonic()
        migrations = self._job.world.cloud.evacuations(self._host)
        with self._lock:
            for migration in migrations:
                self._learn(migration)
        self._read_all_at = now

    def poll(self) -> None:
        """What Nova has recorded by now is known, and the threads that wait for it know it."""
        changed = self._changed()
        with self._lock:
            for migration in changed:
                self._learn(migration)

    def _learn(self, migration: Migration) -> None:
        known = self._latest.get(migration.server_id)
        if migration == known:
            return  # each poll repeats what changed lately; that wakes nobody
        if known is None or migration.id >= known.id:
            self._latest[migration.server_id] = migration
        changed = _time(migration)
        if changed is not None and (self._newest is None or changed > self._newest):
            self._newest = changed
        flight = self._flights.get(migration.server_id)
        if flight is None:
            return
        if migration.id == flight.lost and migration.status in MIGRATION_ARRIVED:
            flight.found = migration
        if migration.id > flight.newer_than or flight.found is not None:
            flight.changed.set()

    def _changed(self) -> Sequence[Migration]:
        """Evacuations that may have changed since the last poll, and perhaps others."""
        nova = self._job.world.cloud
        if nova.confirms_by_migrations:
            return nova.evacuations(self._host, self._newest and self._newest - OVERLAP)
        # An older Nova lists all that ever were: ask only when a VM has left the host or is in
        # another state, which the shorter list of its VMs tells.
        there = frozenset((s.id, s.vm_state, s.task_state) for s in nova.servers_on(self._host))
        changed = there != self._there
        self._there = there
        return nova.evacuations(self._host) if changed else ()

    def _warn(self, text: str) -> None:
        if text != self._unreachable:
            LOG.warning(
                "notification %s: cannot look at the evacuations from host %s: %s",
                self._job.notification.notification_uuid,
                self._host,
                text,
            )
        self._unreachable = text


def _is_over(migration: Migration) -> bool:
    return migration.status in MIGRATION_ARRIVED | MIGRATION_FAILED


def _time(migration: Migration) -> datetime.datetime | None:
    text = migration.updated_at or migration.created_at
    return cloud.time(text) if text else None
