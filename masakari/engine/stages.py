"""How long the stages of recoveries take, told when each of them ends; see metrics.Stage."""

import datetime

from masakari import metrics
from masakari.db.models import Notification
from masakari.engine.world import World
from masakari.metrics import Stage


def claimed(world: World, n: Notification) -> None:
    """An engine has taken the notification; only the first time tells how fast we are."""
    if n.attempt > 1 or n.created_at is None:
        return
    _observe(world, Stage.ACCEPTED, n.created_at - n.generated_time)
    _observe(world, Stage.CLAIMED, world.clock.now() - n.created_at)


def service_down(world: World, claimed_at: float) -> None:
    """Nova reports the compute service of the failed host down."""
    world.meter.observe(metrics.STAGES, world.clock.monotonic() - claimed_at, Stage.SERVICE_DOWN)


def evacuate_accepted(world: World, since: float) -> None:
    """Nova has accepted to evacuate a VM, to which we turned at that monotonic time."""
    world.meter.observe(metrics.STAGES, world.clock.monotonic() - since, Stage.EVACUATE_ACCEPTED)


def vm_active(world: World, since: float) -> None:
    """The VM is on its new host, its evacuation was accepted at that monotonic time."""
    world.meter.observe(metrics.STAGES, world.clock.monotonic() - since, Stage.VM_ACTIVE)


def _observe(world: World, stage: Stage, took: datetime.timedelta) -> None:
    world.meter.observe(metrics.STAGES, took.total_seconds(), stage)
