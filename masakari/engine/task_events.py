"""Events about each task of a recovery: it begins, gets on, and ends or fails.

There are few of them, however many VMs there are: of the progress of a task each twentieth is
told, so at most 22 events for each time that a task runs.
"""

from collections.abc import Sequence
from typing import Any

from taskflow import states, task
from taskflow.types import notifier

from masakari import events
from masakari.engine.world import Job
from masakari.errors import DatabaseUnavailable, LeaseLost, MasakariError
from masakari.events import Event

LEAST_ADVANCE = 0.05


def tell(job: Job, engine: Any, steps: Sequence[task.Task]) -> None:
    """Whatever the TaskFlow *engine* (untyped) does with its *steps* is told."""
    if not job.world.events.is_on:
        return
    by_name = {step.name: _Telling(job, step.name) for step in steps}
    for step in steps:
        if step.notifier.can_be_registered(task.EVENT_UPDATE_PROGRESS):
            step.notifier.register(task.EVENT_UPDATE_PROGRESS, by_name[step.name].progress)

    def changed(state: str, details: dict[str, Any]) -> None:
        by_name[details["task_name"]].changed(state, details)

    engine.atom_notifier.register(notifier.Notifier.ANY, changed)


class _Telling:
    """Of one task."""

    def __init__(self, job: Job, name: str) -> None:
        self._job = job
        self._name = name
        self._has_begun = False
        self._told = 0.0
        self._message = ""

    def changed(self, state: str, details: dict[str, Any]) -> None:
        """It has come to that *state*."""
        self._begin()
        if state == states.SUCCESS:
            self._send("end", 1.0)
        elif state == states.FAILURE:
            self._failed(details["result"].exception)

    def progress(self, _event: str, details: dict[str, Any]) -> None:
        """It has got on; the end is told by itself."""
        self._begin()
        said = details.get("progress_details")
        if said:
            self._message = said[-1]["message"]
        progress = details.get("progress", 0.0)
        if self._told + LEAST_ADVANCE <= progress < 1.0:
            self._told = progress
            self._send("progress", progress)

    def _begin(self) -> None:
        # TaskFlow does not tell of a task that was running when the engine before us died
        if not self._has_begun:
            self._has_begun = True
            self._send("begin", 0.0)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, (LeaseLost, DatabaseUnavailable)):
            return  # it has not ended: another engine continues
        is_ours = isinstance(error, MasakariError)
        self._message = str(error) if is_ours else type(error).__name__
        self._send("error", self._told, error)

    def _send(self, phase: str, progress: float, fault: Exception | None = None) -> None:
        job, n = self._job, self._job.notification
        values = {
            "notification_uuid": job.uuid,
            "type": n.type,
            "attempt": n.attempt,
            "failover_segment_uuid": job.host.failover_segment.uuid,
            "failover_segment_name": job.host.failover_segment.name,
            "source_host_uuid": job.host.uuid,
            "source_host_name": job.host.name,
            "reserved_host_name": None if job.spare is None else job.spare.name,
            "instance_uuid": n.payload.get("instance_uuid"),
            "task": self._name,
            "progress": progress,
            "message": self._message[: events.MESSAGE_LENGTH],
            "request_id": n.request_id,
        }
        payload = events.TASK.payload(values, fault)
        type_, now = f"recovery.task.{phase}", job.world.clock.now()
        job.world.events.send(Event(type_, events.ENGINE, payload, events.by(n.request_id), now))
