"""One engine: its threads, and what they do while it runs."""

import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from oslo_log import log

from masakari import db
from masakari.engine import recovery, sweeps
from masakari.engine.leases import Leases
from masakari.engine.world import World
from masakari.errors import MasakariError
from masakari.states import NotificationType

LOG = log.getLogger(__name__)

HOUSEKEEPING_THREADS = 3
"""Besides the recoveries: one thread renews leases, one looks for work, one tidies up."""
HOSTS, VMS = "recovery", "instance"
"""The pools of threads: for hosts and processes, and for single VMs."""
SHORTEST_PAUSE_S = 0.2
"""Between two searches for work."""


class Engine:
    """Takes notifications, told of or found.  Owns `_active`, under one lock."""

    def __init__(self, world: World) -> None:
        """Idle until `start`."""
        self._world = world
        self._leases = Leases(
            world.database, world.clock, owner=world.owner, lease_s=world.conf.engine.lease
        )
        self._active: set[str] = set()
        self._lock = threading.Lock()
        self._stop = world.clock.event()
        self._pools: Mapping[str, Executor] = {}
        self._expire_at = world.clock.monotonic()

    def start(self) -> None:
        """Work until `stop`."""
        world = self._world
        # a burst of VMs must not keep a failed host waiting
        pools = {
            HOSTS: world.pool(world.conf.engine.recovery_threads + HOUSEKEEPING_THREADS, HOSTS),
            VMS: world.pool(world.conf.instance_failure.recovery_threads, VMS),
        }
        pool = pools[HOSTS]
        pool.submit(self._leases.run)
        if world.conf.periodic_enable:
            pool.submit(self._each, self._look_for_work, self._until_next_try)
            pool.submit(self._each, self._tidy_up)
        self._pools = pools
        LOG.info("engine %s: started", world.owner)

    def recover(self, uuid: str) -> None:
        """The notification is taken by a thread of this engine, unless one has it already."""
        try:
            is_vm = db.notifications.get(self._world.database, uuid).type == NotificationType.VM
        except MasakariError as e:
            LOG.warning("notification %s: not taken: %s", uuid, e)
            return
        with self._lock:
            if not self._pools or self._stop.is_set() or uuid in self._active:
                return
            self._active.add(uuid)
            self._pools[VMS if is_vm else HOSTS].submit(self._recover, uuid)

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
        for pool in self._pools.values():
            pool.shutdown(wait=True)
        LOG.info("engine %s: stopped", self._world.owner)

    def _recover(self, uuid: str) -> None:
        try:
            if not self._stop.is_set():
                recovery.recover(self._world, self._leases, uuid)
        except MasakariError as e:
            LOG.warning("notification %s: not taken: %s", uuid, e)
        except Exception:
            LOG.exception("notification %s: unexpected error", uuid)
        finally:
            with self._lock:
                self._active.discard(uuid)

    def _each(
        self, sweep: Callable[[], None], pause_s: Callable[[], float] = lambda: math.inf
    ) -> None:
        """Do it each `sweep_interval` seconds, or earlier after *pause_s*, until `stop`."""
        while not self._stop.is_set():
            pause = self._world.conf.engine.sweep_interval
            try:
                sweep()
                pause = min(pause, pause_s())
            except MasakariError as e:
                LOG.warning("sweep: %s", e)
            except Exception:
                LOG.exception("sweep: unexpected error")
            self._stop.wait(pause)

    def _look_for_work(self) -> None:
        clock, conf = self._world.clock, self._world.conf
        # first: what waited for longer than we were away is not begun
        if clock.monotonic() >= self._expire_at:
            sweeps.expired(self._world)
            self._expire_at = clock.monotonic() + conf.check_expired_notifications_interval
        sweeps.unfinished(self._world, self.recover)

    def _until_next_try(self) -> float:
        """Seconds until something that waits may be claimed."""
        at = db.leases.next_due(self._world.database)
        if at is None:
            return math.inf
        return max(SHORTEST_PAUSE_S, (at - self._world.clock.now()).total_seconds())

    def _tidy_up(self) -> None:
        sweeps.forgotten_locks(self._world, self._stop)
        sweeps.forgotten_reserved_hosts(self._world, self._stop)
