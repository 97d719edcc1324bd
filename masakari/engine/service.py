"""One engine: its threads, and what they do while it runs."""

import datetime
import logging
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from oslo_log import log

from masakari import contacts, db, metrics
from masakari.engine import alarms, recovery, sweeps
from masakari.engine.leases import Leases
from masakari.engine.world import World
from masakari.errors import DatabaseUnavailable, MasakariError
from masakari.states import NotificationType

LOG = log.getLogger(__name__)

HOUSEKEEPING_THREADS = 4
"""Besides the recoveries: one thread renews leases, one looks for work, one tidies up,
one looks for what needs a person."""
HOSTS, VMS = "recovery", "instance"
"""The pools of threads: for hosts and processes, and for single VMs."""
SHORTEST_PAUSE_S = 0.2
"""Between two searches for work."""
STALLED_S = 120.0
"""A search for work that shows no progress for so long hangs, and so does a pool that does not
begin what it was given, although it has threads to spare."""


class Engine:
    """Takes notifications, told of or found.  Owns `_taken` and `_busy`, under one lock."""

    def __init__(self, world: World) -> None:
        """Idle until `start`."""
        self._world = world
        self._leases = Leases(
            world.database,
            world.clock,
            world.pulse,
            owner=world.owner,
            meter=world.meter,
            lease_s=world.conf.engine.lease,
        )
        self._taken: dict[str, str] = {}
        """{notification: the pool that has it}"""
        self._busy: set[str] = set()
        """Those of them that have a thread."""
        self._threads = {
            HOSTS: world.conf.engine.recovery_threads,
            VMS: world.conf.instance_failure.recovery_threads,
        }
        self._lock = threading.Lock()
        self._stop = world.clock.event()
        self._pools: Mapping[str, Executor] = {}
        self._expire_at = world.clock.monotonic()

    def start(self) -> None:
        """Work until `stop`."""
        world = self._world
        # a burst of VMs must not keep a failed host waiting
        pools = {
            HOSTS: world.pool(self._threads[HOSTS] + HOUSEKEEPING_THREADS, HOSTS),
            VMS: world.pool(self._threads[VMS], VMS),
        }
        pool = pools[HOSTS]
        pool.submit(self._leases.run)
        if world.conf.periodic_enable:
            pool.submit(self._look_again_and_again)
            pool.submit(self._each, "tidiness", self._tidy_up)
            pool.submit(self._each, "alarms", alarms.Lookout(world).look)
        self._pools = pools
        LOG.info("engine %s: started", world.owner)

    def recover(self, uuid: str) -> None:
        """The notification is taken by a thread of this engine, unless one has it already."""
        try:
            is_vm = db.notifications.get(self._world.database, uuid).type == NotificationType.VM
        except MasakariError as e:
            LOG.log(_level(e), "notification %s: not taken: %s", uuid, e)
            return
        name = VMS if is_vm else HOSTS
        with self._lock:
            if not self._pools or self._stop.is_set() or uuid in self._taken:
                return
            self._taken[uuid] = name
            self._pools[name].submit(self._recover, uuid)
            self._expect(name)

    def let_go(self) -> None:
        """Nothing new is begun; returns at once.

        What was under way goes on in another engine, or in this one after its next start: its
        leases end at once.
        """
        with self._lock:
            self._stop.set()
        self._leases.stop()

    def stop(self) -> None:
        """As `let_go`, and return when every thread has ended."""
        self.let_go()
        for name, pool in self._pools.items():
            pool.shutdown(wait=True)
            self._world.pulse.rest(name)
        LOG.info("engine %s: stopped", self._world.owner)

    def _expect(self, pool: str) -> None:
        """The pool begins what waits in it, unless all of its threads are busy."""
        meter = self._world.meter
        taken = [uuid for uuid, name in self._taken.items() if name == pool]
        busy = sum(uuid in self._busy for uuid in taken)
        meter.set(metrics.RUNNING, busy, pool)
        meter.set(metrics.WAITING, len(taken) - busy, pool)
        if busy < min(len(taken), self._threads[pool]) and not self._stop.is_set():
            self._world.pulse.expect(pool, STALLED_S)
        else:
            self._world.pulse.rest(pool)

    def _recover(self, uuid: str) -> None:
        with self._lock:
            pool = self._taken[uuid]
            self._busy.add(uuid)
            self._world.pulse.beat(pool)
            self._expect(pool)
        try:
            if not self._stop.is_set():
                recovery.recover(self._world, self._leases, uuid)
        except MasakariError as e:
            LOG.log(_level(e), "notification %s: not taken: %s", uuid, e)
        except Exception:
            LOG.exception("notification %s: unexpected error", uuid)
        finally:
            with self._lock:
                self._busy.discard(uuid)
                del self._taken[uuid]
                self._expect(pool)

    def held_leases(self) -> int:
        """Notifications that this engine alone may act upon."""
        return self._leases.held()

    def _each(
        self, name: str, sweep: Callable[[], None], pause_s: Callable[[], float] = lambda: math.inf
    ) -> None:
        """Do it each `sweep_interval` seconds, or earlier after *pause_s*, until `stop`."""
        while not self._stop.is_set():
            pause = self._world.conf.engine.sweep_interval
            is_well = False
            try:
                sweep()
                pause = min(pause, pause_s())
                is_well = True
            except MasakariError as e:
                LOG.log(_level(e), "sweep: %s", e)
                if isinstance(e, DatabaseUnavailable):
                    self._world.contacts.failed(contacts.DATABASE, str(e))
            except Exception:
                LOG.exception("sweep: unexpected error")
            self._note(name, is_well)
            self._stop.wait(pause)

    def _note(self, sweep: str, is_well: bool) -> None:
        world = self._world
        world.meter.count(metrics.SWEEPS, sweep, "ok" if is_well else "failed")
        if is_well:
            world.contacts.answered(contacts.DATABASE)  # each of them asks it
            since_1970 = world.clock.now().replace(tzinfo=datetime.UTC).timestamp()
            world.meter.set(metrics.SWEPT_AT, since_1970, sweep)

    def _look_again_and_again(self) -> None:
        pulse = self._world.pulse
        pulse.expect(sweeps.LOOP, self._world.conf.engine.sweep_interval + STALLED_S)
        self._each("work", self._look_for_work, self._until_next_try)
        pulse.rest(sweeps.LOOP)

    def _found(self, uuid: str) -> None:
        self._world.pulse.beat(sweeps.LOOP)
        self.recover(uuid)

    def _look_for_work(self) -> None:
        clock, conf = self._world.clock, self._world.conf
        # first: what waited for longer than we were away is not begun
        if clock.monotonic() >= self._expire_at:
            sweeps.expired(self._world)
            self._expire_at = clock.monotonic() + conf.check_expired_notifications_interval
        sweeps.unfinished(self._world, self._found)
        sweeps.survey(self._world)

    def _until_next_try(self) -> float:
        """Seconds until something that waits may be claimed."""
        self._world.pulse.beat(sweeps.LOOP)
        at = db.leases.next_due(self._world.database)
        if at is None:
            return math.inf
        return max(SHORTEST_PAUSE_S, (at - self._world.clock.now()).total_seconds())

    def _tidy_up(self) -> None:
        sweeps.forgotten_locks(self._world, self._stop)
        sweeps.forgotten_reserved_hosts(self._world, self._stop)


def _level(error: MasakariError) -> int:
    """How loudly it is told; of a database that is away the log has been told already."""
    return logging.DEBUG if isinstance(error, DatabaseUnavailable) else logging.WARNING
