"""Steps of a recovery: TaskFlow tasks that say what they do."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from oslo_log import log
from taskflow import task

from masakari.engine.world import Job
from masakari.errors import DatabaseUnavailable, LeaseLost, MasakariError

LOG = log.getLogger(__name__)

MOST_DETAILS = 40
"""Progress entries kept per step: TaskFlow rewrites them all with each one (64 KiB on MySQL)."""
DETAIL_LENGTH = 500
"""Longest message of a progress entry, in characters."""
TASKFLOW = frozenset(inspect.signature(task.Task).parameters)
"""What a task of TaskFlow can be told."""


class Step(task.Task):
    """A step of a story.  It looks before it acts: to resume it is to run it again.

    Live objects come by `join`; what `execute` takes and returns is stored, so it is JSON.  The
    name of the class is the name that the API shows.
    """

    job: Job
    """what the step is part of, from `join` on"""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """What `execute` raises is the last entry of its progress."""
        super().__init_subclass__(**kwargs)
        if "execute" in cls.__dict__:
            cls.execute = _with_its_failure(cls.execute)

    def __init__(self, **kwargs: Any) -> None:
        """Have said nothing.  Of *kwargs* only those of taskflow.task.Task count."""
        known = {name: value for name, value in kwargs.items() if name in TASKFLOW}
        super().__init__(**{"name": type(self).__name__, **known})
        self._details: list[dict[str, str]] = []
        self._progress = 0.0

    def join(self, job: Job) -> None:
        """Be part of that job."""
        self.job = job

    def remember(self, details: list[dict[str, str]]) -> None:
        """An engine that died had said this already."""
        self._details = list(details)
        self._progress = max((float(d["progress"]) for d in details), default=0.0)

    def say(self, message: str, progress: float) -> None:
        """Log *message* and store it as progress (0 to 1, never going back) of this step."""
        LOG.info("notification %s: %s", self.job.uuid, message)
        self._store(message, progress)

    def fail(self, error: Exception) -> None:
        """Store how it ended; who settles the notification logs it."""
        said = str(error) if isinstance(error, MasakariError) else type(error).__name__
        if not self._details or self._details[-1]["message"] != said[:DETAIL_LENGTH]:
            self._store(said, 1.0)

    def _store(self, message: str, progress: float) -> None:
        self._progress = max(self._progress, min(progress, 1.0))
        self._details.append(
            {
                "timestamp": self.job.world.clock.now().isoformat(" ", "microseconds"),
                "progress": str(self._progress),
                "message": message[:DETAIL_LENGTH],
                "request_id": self.job.notification.request_id or "",
            }
        )
        if len(self._details) > MOST_DETAILS:
            del self._details[MOST_DETAILS // 2]  # how it began and how it goes are kept
        # update_progress passes no details on: the listener takes what is beside the progress
        self.notifier.notify(
            task.EVENT_UPDATE_PROGRESS,
            {"progress": self._progress, "progress_details": list(self._details)},
        )


def _with_its_failure(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    def told(self: Step, *args: Any, **kwargs: Any) -> Any:
        try:
            return execute(self, *args, **kwargs)
        except (LeaseLost, DatabaseUnavailable):
            raise  # it has not ended: another engine continues
        except Exception as e:
            self.fail(e)
            raise

    return told


class Noop(Step):
    """Nothing: for flows of which a part is to be empty."""

    def execute(self) -> None:
        """Return."""
