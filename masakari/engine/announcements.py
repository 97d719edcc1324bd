"""Events about what the engine does: notifications begin and end, hosts change.

What is said of the end is said after it is in the database, and so are the changes of hosts.
"""

import dataclasses

from oslo_log import log

from masakari import db, events
from masakari.db.models import Notification
from masakari.engine.world import Job, World
from masakari.errors import MasakariError
from masakari.events import Event

LOG = log.getLogger(__name__)

FAULTY = ("error", "failed")
"""Statuses that are announced as an error."""


def begun(world: World, n: Notification) -> None:
    """This engine has begun a try, or goes on with that of an engine that is gone."""
    _notification(world, n, "start", None)


def ended(world: World, n: Notification, status: str, fault: Exception | None) -> None:
    """A try has ended so, and that is stored."""
    phase = "error" if status in FAULTY else "end"
    _notification(world, dataclasses.replace(n, status=status), phase, fault)


def expired(world: World, uuid: str, fault: Exception) -> None:
    """The notification was too old, and has failed."""
    if not world.events.is_on:
        return
    try:
        n = db.notifications.get(world.database, uuid)
    except MasakariError as e:
        LOG.warning("notification %s: that it has expired is not announced: %s", uuid, e)
        return
    ended(world, n, n.status, fault)


def host_changed(job: Job, is_changed: bool) -> bool:
    """*is_changed*; if so, it is announced that the failed host's maintenance or reservation is."""
    return if_changed(job.world, is_changed, job.host.uuid, job.notification.request_id)


def if_changed(world: World, is_changed: bool, host_uuid: str, request_id: str | None) -> bool:
    """As `host_changed`, for any host."""
    if not (is_changed and world.events.is_on):
        return is_changed
    try:
        host = db.hosts.find(world.database, host_uuid)
    except MasakariError as e:
        LOG.warning("host %s: its change is not announced: %s", host_uuid, e)
        return is_changed
    if host is not None:
        world.events.send(*events.host_updated(host, request_id, world.clock.now()))
    return is_changed


def _notification(world: World, n: Notification, phase: str, fault: Exception | None) -> None:
    if world.events.is_on:
        payload = events.NOTIFICATION.payload(events.values_of(n), fault)
        type_, now = f"notification.process.{phase}", world.clock.now()
        world.events.send(Event(type_, events.ENGINE, payload, events.by(n.request_id), now))
