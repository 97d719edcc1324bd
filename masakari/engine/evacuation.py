"""One VM: prepare it, evacuate it, confirm that it arrived, leave it as its owner had it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from oslo_log import log

from masakari import db
from masakari.clock import Clock, wait_until
from masakari.cloud import Migration, Server
from masakari.db.models import VMove
from masakari.engine.watcher import Flight, Watcher
from masakari.engine.world import Job
from masakari.errors import (
    CloudNotFound,
    CloudUnavailable,
    DatabaseUnavailable,
    EvacuationFailed,
    LeaseLost,
    LeftAlone,
    MasakariError,
)
from masakari.states import MIGRATION_ARRIVED, MIGRATION_FAILED, VMoveStatus

LOG = log.getLogger(__name__)

LOCK_REASON = "Masakari is recovering this server from a host failure."
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
            return Treatment(reset=busy, stop=busy)  # an idle stopped VM stays stopped by itself
        case "error":
            return Treatment(reset=busy, stop=True, error=True)
        case "resized":
            return Treatment(reset=True, stop=power_state == SHUT_DOWN)
        case _:
            return Treatment(reset=True, stop=True)


def evacuate_all(
    job: Job, moves: Sequence[VMove], say: Callable[[str, float], None], sign_of_life: str | None
) -> str | None:
    """Every move has ended; in their order, at most `host_failure_recovery_threads` at a time.

    After a *sign_of_life* of the host, which was seen before or is seen meanwhile and is returned,
    no evacuation is begun; those that run are waited for.
    """
    if not moves:
        return sign_of_life
    threads = min(len(moves), job.world.conf.host_failure_recovery_threads)
    watcher = Watcher(job, sign_of_life)
    with job.world.pool(threads + 1, "evacuation") as pool:
        pool.submit(watcher.run)
        futures = [pool.submit(Evacuation(job, watcher, move).run) for move in moves]
        try:
            _follow(job.world.clock, futures, say)
        except BaseException:
            job.lease.lose()  # nobody begins anything more
            raise
        finally:
            for future in futures:
                future.cancel()
            watcher.stop()
    return watcher.sign_of_life


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
            say(f"{done} of {len(futures)} VMs done.", 0.95 * done / len(futures))
            said_at = now


class Evacuation:
    """The way of one VM; run by one thread."""

    def __init__(self, job: Job, watcher: Watcher, move: VMove) -> None:
        """Nothing is done yet, unless an engine before us began."""
        self._job = job
        self._world = job.world
        self._watcher = watcher
        self._move = move
        self._id = move.instance_uuid
        self._plan = treatment(move.vm_state, move.task_state, move.power_state)
        self._locked = move.locked

    def run(self) -> None:
        """The move has ended, and the VM is not locked by us any more.

        Raises LeaseLost and DatabaseUnavailable: then it has not, and is continued later.
        """
        status, dest, message = VMoveStatus.SUCCEEDED, None, None
        try:
            dest = self._arrive()
            self._restore()
        except (LeaseLost, DatabaseUnavailable):
            raise
        except LeftAlone as e:
            status, message = VMoveStatus.IGNORED, str(e)
        except MasakariError as e:
            status, message = VMoveStatus.FAILED, str(e)
        except Exception as e:
            LOG.exception("VM %s: unexpected error", self._id)
            status, message = VMoveStatus.FAILED, f"Unexpected error: {type(e).__name__}."
        self._job.lease.check()
        self._finish(status, dest, message)

    def _arrive(self) -> str | None:
        """The host on which the VM is now.  Raises what says why it is not elsewhere."""
        server = self._watcher.server(self._id)
        latest = self._watcher.latest(self._id)
        if latest is not None and latest.status not in MIGRATION_ARRIVED | MIGRATION_FAILED:
            return self._adopt(latest)
        if server is None:
            return self._whereabouts(latest)
        return self._evacuate(server, latest)

    def _adopt(self, running: Migration) -> str | None:
        """An evacuation of the VM runs already, perhaps a dead engine's: it is waited for."""
        LOG.info("VM %s: Nova's evacuation %s runs already, waiting for it", self._id, running.id)
        flight = self._watcher.expect(self._id, running.id - 1)
        db.vmoves.start(self._world.database, self._move.uuid, lock=self._locked)
        return self._watcher.arrival(self._id, flight).dest

    def _whereabouts(self, latest: Migration | None) -> str | None:
        """The VM is not on the host: it was evacuated before we looked, or others acted."""
        if latest is not None and latest.status in MIGRATION_ARRIVED:
            return latest.dest
        try:
            server = self._world.cloud.server(self._id)
        except CloudNotFound:
            raise LeftAlone(message="The VM was deleted meanwhile.") from None
        raise LeftAlone(message=f"The VM was moved to host {server.host} by somebody else.")

    def _evacuate(self, server: Server, latest: Migration | None) -> str | None:
        """The VM has arrived, by an evacuation that we asked for."""
        flight = self._watcher.expect(self._id, latest.id if latest else 0)
        try:
            if not self._was_asked_for(flight):
                self._prepare(server)
                self._ask(flight)
        except MasakariError:
            self._watcher.forget(self._id)
            raise
        return self._watcher.arrival(self._id, flight).dest

    def _was_asked_for(self, flight: Flight) -> bool:
        """Whether a dead engine's request reached Nova after all.

        Nova would start a second evacuation beside a running one (seen on Nova 34), so while a
        request may still be on its way there is no other.
        """
        if self._move.status != VMoveStatus.ONGOING or self._move.start_time is None:
            return False
        age = self._world.clock.now() - self._move.start_time
        left_s = self._world.conf.nova.timeout - age.total_seconds()
        return left_s > 0 and self._watcher.recorded(self._id, flight, left_s)

    def _prepare(self, server: Server) -> None:
        """The VM is locked, and in a state from which Nova evacuates."""
        cloud, leave = self._world.cloud, self._check_host_is_dead
        leave()
        self._locked = self._move.locked or not server.locked
        if self._locked:
            # the mark comes first: after a crash exactly our locks are known
            db.vmoves.will_lock(self._world.database, self._move.uuid)
            cloud.lock(self._id, LOCK_REASON, leave=leave)
        if server.task_state is not None or (self._plan.reset and server.vm_state != "error"):
            cloud.reset_state(self._id, "error", leave=leave)

    def _ask(self, flight: Flight) -> None:
        # before it is asked for: after a crash only these requests may be on their way
        db.vmoves.start(self._world.database, self._move.uuid, lock=self._locked)
        try:
            self._world.cloud.evacuate(self._id, leave=self._check_host_is_dead)
        except CloudUnavailable:
            if not self._watcher.recorded(self._id, flight, self._world.conf.nova.timeout):
                raise

    def _check_host_is_dead(self) -> None:
        self._job.lease.check()
        if self._watcher.sign_of_life is not None:
            host = self._job.host.name
            raise LeftAlone(message=f"Host {host} is up again; the VM was left there.")

    def _restore(self) -> None:
        """A VM that was not running is off again, and in the state in which its owner had it."""
        if not self._plan.stop:
            return
        conf, cloud, leave = self._world.conf, self._world.cloud, self._job.lease.check
        state = self._await_state({"active", "stopped"}, conf.wait_period_after_evacuation)
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
        db.vmoves.finish(
            self._world.database,
            self._move.uuid,
            status=status,
            dest_host=dest,
            message=message,
            locked=self._locked and not self._unlock(),
        )
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
            return True  # deleted meanwhile: nothing is left to unlock
        except MasakariError as e:
            LOG.warning("VM %s stays locked until the next sweep: %s", self._id, e)
            return False
        return True
