"""The base class of third-party tasks, at the import path that they know."""

from typing import Any

from masakari.engine.step import Step

__all__ = ["MasakariTask"]


class MasakariTask(Step):
    """A task of a custom recovery flow; doc/source/admin/custom-flows.rst shows one.

    The constructor's keywords are *context* (an admin's RequestContext) and *novaclient* (the
    verbs of masakari.cloud.Cloud); those of taskflow.task.Task may follow.  `execute` takes what
    it names of what its flow provides: host_name, instance_uuid, process_name, notification_uuid,
    reserved_host, reserved_host_list.
    """

    def __init__(self, context: Any, novaclient: Any, **kwargs: Any) -> None:
        """Have said nothing."""
        super().__init__(**kwargs)
        self.context = context
        self.novaclient = novaclient

    def update_details(self, progress_data: str, progress: float = 0.0) -> None:
        """Store a message with the progress, from 0 to 1, that was made."""
        self.say(progress_data, progress)
