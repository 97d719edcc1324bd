"""The recovery stories: which steps, in which order.

The names of logbooks and flows are OpenStack's; clients see the names of the steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from masakari.engine import host
from masakari.engine.step import Step
from masakari.engine.world import Job


@dataclass(frozen=True)
class Story:
    """Steps in order, and the names under which TaskFlow keeps them."""

    book: str
    flow: str
    steps: Sequence[Step]


def story(job: Job) -> Story:
    """What is done about the notification."""
    return host_story(job)


def host_story(job: Job) -> Story:
    """A compute host died: Nova's scheduler chooses where its VMs go."""
    steps = [
        host.DisableComputeServiceTask(job),
        host.PrepareHAEnabledInstancesTask(job),
        host.EvacuateInstancesTask(job),
    ]
    return Story("instance:evacuate", "instance_evacuate_engine", steps)
