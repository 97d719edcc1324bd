"""One VM: prepare it, evacuate it, confirm that it arrived, leave it as its owner had it."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from oslo_log import log

from masakari import db, metrics
from masakari.clock import Clock, wait_until
from masakari.cloud import Migration, Server
from masakari.db.models import VMove
from masakari.engine import stages
from masakari.engine.slots import Slots
from masakari.engine.watcher import Flight, Watcher
from masakari.engine.world import Job
from masakari.errors import (
    CloudError,
    CloudNotFound,
    CloudUnavailable,
    DatabaseUnavailable,
    DestinationDied,
    EvacuationFailed,
    LeaseLost,
    LeftAlone,
    MasakariError,
)
from masakari.states import MIGRATION_ARRIVED, VMoveStatus

LOG = log.getLogger(__name__)

LOCK_REASON = "Masakari is recovering this server from a host failure."
AHEAD = 0.25
"""Threads for what comes before and after an evacuation, as a share of those in flight."""
SHUT_DOWN = 4
"""Nova's power_state of a VM that is off."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a VM needs besides being evacuated."""

    reset: bool = False
    """before: vm_state to error, so that Nova accepts it"""
    stop: bool = False
    """after: it was not running, so it is stopped again"""
    error: bool = False
    """after: its owner had it in error, so it is put there again"""


def treatment(vm_state: str | None, task_state: str | None, power_state: int | None) -> Treatment:
    """What a VM in that state needs; a busy one (*task_state*) is reset first."""
    busy = task_state is not None
    match vm_state:
        case "active":
            return Treatment(reset=busy)
        case "stopped":
            # stays stopped by itself, but not after a first try that left it in error
            return Treatment(reset=busy, stop=True)
        case "error":
            return Treatment(reset=busy, stop=True, error=True)
        case "resized":
            return Treatment(reset=True, stop=power_state == SHUT_DOWN)
        case _:
            return Treatment(reset=True, stop=True)


def evacuate_all(
    job: Job, moves: Sequence[VMove], say: Callable[[str, float], None], stop_reason: str | None
) -> str | None:
    """Every move has ended; in their order, at most `host_failure_recovery_threads` at a time.

    With a *stop_reason*, known before or found meanwhile, no evacuation is begun; those that run
    are waited for.  What shows that the host lives is returned.
    """
    if not moves:
        return None
    parallel = job.world.conf.host_failure_recovery_threads
    threads = min(len(moves), parallel + math.ceil(parallel * AHEAD))
    n = job.notification
    before = db.vmoves.previous(job.world.database, n.notification_uuid, n.attempt, job.chapter)
    asked = {m.instance_uuid for m in [*before, *moves] if m.status == VMoveStatus.ONGOING}
    watcher = Watcher(job, stop_reason)
    slots = Slots(job.world.clock, parallel)
    with job.world.pool(threads + 1, "evacuation") as pool:
        futures: list[Future[None]] = []
        try:
            pool.submit(job.do, watcher.run)
            for move in moves:
                one = Evacuation(job, watcher, slots, move, move.instance_uuid in asked)
                futures.append(pool.submit(job.do, one.run))
            _follow(job.world.clock, futures, say)
        except BaseException:
            job.lease.lose()  # nobody begins anything more
            raise
        finally:
            for future in futures:
                future.cancel()
            watcher.stop()
    return watcher.sign_of_life


def _whereabouts(server: Server, newest: Migration | None) -> str | None:
    """Where a VM is that is not on the host: it was evacuated before we looked, or others acted."""
    arrived = newest is not None and newest.status in MIGRATION_ARRIVED
    if arrived and newest is not None and newest.dest == server.host:
        return newest.dest
    raise LeftAlone(message=f"The VM was moved to host {server.host} by somebody else.")


def _follow(
    clock: Clock, futures: Sequence[Future[None]], say: Callable[[str, float], None]
) -> None:
    """Wait for all; say how far they are each second at first, ever more rarely later."""
    began = said_at = clock.monotonic()
    for future in futures:
        future.result()
        now = clock.monotonic()
        if now - said_at < max(1.0, (now - began) / 10):
            continue
        done = sum(f.done() for f in futures)
        if done < len(futures):
            say(f"{done} of {len(futures)} VMs done.", done / len(futures))
            said_at = now


class Evacuation:
    """The way of one VM; run by one thread."""

    def __init__(
        self, job: Job, watcher: Watcher, slots: Slots, move: VMove, maybe_asked_for: bool = False
    ) -> None:
        """Nothing is done yet, unless an engine before us began."""
        self._job = job
        self._world = job.world
        self._watcher = watcher
        self._slots = slots
        self._move = move
        self._id = move.instance_uuid
        self._plan = treatment(move.vm_state, move.task_state, move.power_state)
        self._locked = move.locked
        self._maybe_asked_for = maybe_asked_for
        self._was_reset = False
        self._wanted = job.spare.name if job.spare else None
        self._since = job.world.clock.monotonic()

    def run(self) -> None:
        """The move has ended, and the VM is not locked by us any more.

        Raises LeaseLost and DatabaseUnavailable: then it has not, and is continued later.
        """
        status, dest, message = VMoveStatus.SUCCEEDED, None, None
        try:
            dest = self._arrive()
            message = self._restore()
        except (LeaseLost, DatabaseUnavailable):
            raise
        except CloudNotFound:
            status, message = VMoveStatus.IGNORED, "The VM was deleted meanwhile."
        except LeftAlone as e:
            status, message = VMoveStatus.IGNORED, self._leave_alone(e)
        except MasakariError as e:
            status, message = VMoveStatus.FAILED, str(e)
        except Exception as e:
            LOG.exception("VM %s: unexpected error", self._id)
            status, message = VMoveStatus.FAILED, f"Unexpected error: {type(e).__name__}."
        self._job.lease.check()
        self._finish(status, dest, message)

    def _arrive(self) -> str | None:
        """The host on which the VM is now.  Raises what says why it is not elsewhere."""
        newest = self._newest()
        if self._watcher.runs(newest):
            try:
                return self._adopt(newest)
            except DestinationDied as e:
                self._begin_anew(e)
        elif self._maybe_asked_for:
            server = self._world.cloud.server(self._id)
            if server.host != self._job.host.name:
                return _whereabouts(server, newest)
            if self._was_asked_for(newest.id if newest else 0):
                return self._adopt(self._newest())
        self._lock()
        with self._slots.place(self._move.rank, self._may_begin):
            while True:
                try:
                    return self._go()
                except DestinationDied as e:
                    self._begin_anew(e)

    def _go(self) -> str | None:
        """The host on which the VM has arrived by an evacuation, which is asked for if need be."""
        server, newest = self._look()
        if self._watcher.runs(newest):
            return self._wait_for(newest)
        if server.host != self._job.host.name:
            return _whereabouts(server, newest)
        flight = self._watcher.expect(self._id, newest.id if newest else 0)
        try:
            self._ask(server, flight)
        except MasakariError:
            self._watcher.forget(self._id)
            raise
        stages.evacuate_accepted(self._world, self._since)
        return self._await_arrival(flight)

    def _await_arrival(self, flight: Flight) -> str | None:
        """The host on which the VM has arrived, whose evacuation was accepted."""
        world, since = self._world, self._world.clock.monotonic()
        world.meter.count(metrics.IN_FLIGHT)
        try:
            dest = self._watcher.arrival(self._id, flight).dest
        finally:
            world.meter.count(metrics.IN_FLIGHT, by=-1)
        stages.vm_active(world, since)
        return dest

    def _begin_anew(self, error: DestinationDied) -> None:
        """Evacuate again at once, while the destination certainly is dead; Nova chooses another.

        Raises the *error* where we had chosen.
        """
        if self._wanted is not None:
            raise error
        if db.brake.is_cancelled(self._world.database, self._job.uuid):
            raise LeftAlone(message=db.vmoves.CANCELLED)
        LOG.warning("VM %s: %s Evacuating again", self._id, error)

    def _look(self) -> tuple[Server, Migration | None]:
        """The VM as it is in this moment, and its newest evacuation, which was not over before.

        Nova accepts a second evacuation beside a running one (seen on Nova 34), so this look comes
        right before the VM is touched, by a list of the last second or by itself.  What is only
        accepted is missing in lists of changes: when the VM has a task all evacuations are read
        again, and the VM after them.
        """
        server = self._watcher.server(self._id)
        newest = self._newest()
        if server is None or (newest is not None and newest.status in MIGRATION_ARRIVED):
            server = self._world.cloud.server(self._id)
        if server.task_state is not None and not self._watcher.runs(newest):
            self._watcher.refresh()
            newest = self._newest()
            server = self._world.cloud.server(self._id)
        return server, newest

    def _newest(self) -> Migration | None:
        return self._watcher.latest(self._id)

    def _adopt(self, running: Migration | None) -> str | None:
        """An evacuation of the VM runs already, perhaps a dead engine's: it is waited for."""
        assert running is not None  # noqa: S101  it was seen
        with self._slots.place(self._move.rank, self._job.lease.check):
            return self._wait_for(running)

    def _wait_for(self, running: Migration) -> str | None:
        LOG.info("VM %s: Nova's evacuation %s runs already, waiting for it", self._id, running.id)
        self._start()
        return self._await_arrival(self._watcher.expect(self._id, running.id - 1))

    def _was_asked_for(self, newest: int) -> bool:
        """Whether a dead engine's request reached Nova after all, with an id above *newest*.

        What that engine sent, it sent before we claimed: so long after that a request may still
        be on its way, and there is no other.
        """
        since_claim = self._world.clock.monotonic() - self._job.claimed_at
        left_s = self._world.conf.nova.timeout - since_claim
        flight = self._watcher.expect(self._id, newest)
        try:
            return self._watcher.recorded(self._id, flight, max(0.0, left_s))
        finally:
            self._watcher.forget(self._id)

    def _lock(self) -> None:
        """The VM's owner cannot act on it."""
        self._may_begin()
        if self._watcher.owner_locked(self._id) and not self._move.locked:
            return
        # the mark comes first: after a crash exactly our locks are known
        if not db.vmoves.will_lock(self._world.database, self._move.uuid):
            raise LeftAlone(message=db.vmoves.CANCELLED)
        self._locked = True
        self._world.cloud.lock(self._id, LOCK_REASON, leave=self._may_begin)

    def _ask(self, server: Server, flight: Flight) -> None:
        """Nova has accepted to evacuate the VM, from a state in which it does."""
        world = self._world
        if server.task_state is not None or (self._plan.reset and server.vm_state != "error"):
            world.cloud.reset_state(self._id, "error", leave=self._may_begin)
            self._was_reset = True
        # before it is asked for: after a crash only these requests may be on their way
        self._start()
        for last in (False, False, True):
            try:
                world.cloud.evacuate(self._id, self._wanted, leave=self._may_begin)
                break
            except CloudUnavailable:
                if self._watcher.recorded(self._id, flight, world.conf.nova.timeout):
                    break
                if last:
                    raise
        flight.began = world.clock.monotonic()

    def _start(self) -> None:
        """The move is ongoing.  Raises LeftAlone if an operator has cancelled it before."""
        if not db.vmoves.start(self._world.database, self._move.uuid, lock=self._locked):
            raise LeftAlone(message=db.vmoves.CANCELLED)

    def _may_begin(self) -> None:
        self._job.lease.check()
        if self._watcher.stop_reason is not None:
            raise LeftAlone(message=f"The VM was left where it was: {self._watcher.stop_reason}.")

    def _leave_alone(self, why: LeftAlone) -> str:
        """Why; a VM that we have left in error is given back to Nova.

        Nova then looks itself whether the VM runs, where its host lives.
        """
        was_touched = self._was_reset or self._watcher.sign_of_life is not None
        if not was_touched or self._move.vm_state == "error":
            return str(why)
        cloud = self._world.cloud
        try:
            server = cloud.server(self._id)
            if server.host == self._job.host.name and server.vm_state == "error":
                cloud.reset_state(self._id, "active", leave=self._job.lease.check)
        except CloudError as e:
            return f"{why} It may be in vm_state error: {e}"
        return str(why)

    def _restore(self) -> str | None:
        """A VM that was not running is off again, and in the state in which its owner had it.

        What is missing, if something is: the VM has arrived all the same.
        """
        try:
            self._put_back()
        except CloudNotFound:
            raise
        except (CloudError, EvacuationFailed) as e:
            LOG.warning("VM %s arrived, but is not as it was: %s", self._id, e)
            return f"Arrived, but not as it was ({self._move.vm_state}): {e}"
        return None

    def _put_back(self) -> None:
        if not self._plan.stop:
            return
        conf, cloud, leave = self._world.conf, self._world.cloud, self._job.lease.check
        wanted = {"active", "stopped"} | ({"error"} if self._plan.error else set())
        state = self._await_state(wanted, conf.wait_period_after_evacuation)
        if state == "error":
            return  # a dead engine had done it
        if state == "active":
            cloud.stop(self._id, leave=leave)
            self._await_state({"stopped"}, conf.wait_period_after_power_off)
        if self._plan.error:
            cloud.reset_state(self._id, "error", leave=leave)

    def _await_state(self, wanted: set[str], timeout_s: float) -> str:
        seen: list[Server] = []

        def is_there() -> bool:
            self._job.lease.check()
            seen.append(self._world.cloud.server(self._id))
            return seen[-1].vm_state in wanted and seen[-1].task_state is None

        every = self._world.conf.verify_interval
        if not wait_until(self._world.clock, is_there, timeout_s, every):
            last = seen[-1]
            raise EvacuationFailed(
                message=f"The VM arrived on host {last.host}; awaited vm_state "
                f"{' or '.join(sorted(wanted))} for {timeout_s} s, last seen {last.vm_state}"
                + (f" ({last.task_state})." if last.task_state else ".")
            )
        return seen[-1].vm_state

    def _finish(self, status: VMoveStatus, dest: str | None, message: str | None) -> None:
        is_locked = self._locked and not self._unlock()
        is_over = db.vmoves.finish(
            self._world.database,
            self._move.uuid,
            status=status,
            dest_host=dest,
            message=message,
            locked=is_locked,
        )
        if self._locked and not is_locked and not is_over:  # it was over already: cancelled
            db.vmoves.unlocked(self._world.database, self._move.uuid)
        self._world.meter.count(metrics.EVACUATIONS, status)
        if self._job.spare is not None and status == VMoveStatus.SUCCEEDED:
            self._job.spare.landed(dest)
        (LOG.warning if status == VMoveStatus.FAILED else LOG.info)(
            "VM %s (%s): %s%s%s",
            self._move.instance_name,
            self._id,
            status,
            f" on {dest}" if dest else "",
            f": {message}" if message else "",
        )

    def _unlock(self) -> bool:
        try:
            self._world.cloud.unlock(self._id, leave=self._job.lease.check)
        except LeaseLost:
            raise
        except CloudNotFound:
            return False  # deleted meanwhile, most probably: the sweep makes sure
        except MasakariError as e:
            LOG.warning("VM %s stays locked until the next sweep: %s", self._id, e)
            return False
        return True
