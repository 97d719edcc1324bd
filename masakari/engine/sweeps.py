"""What is found by looking instead of being told: the database is the truth, messages are hints."""

import contextlib
import dataclasses
from collections.abc import Callable

from oslo_log import log
from oslo_utils import uuidutils

from masakari import alarms, db, metrics
from masakari.clock import Event
from masakari.db.models import Host
from masakari.engine import announcements, reserved
from masakari.engine.alarms import raise_, raise_now
from masakari.engine.world import World
from masakari.errors import (
    CloudNotFound,
    CloudRefused,
    CloudUnavailable,
    MasakariError,
    NotificationExpired,
    NotificationNotFound,
)
from masakari.states import OPEN_STATUSES, NotificationStatus, NotificationType, Reason

LOG = log.getLogger(__name__)

LOOP = "sweep"
"""Where loops say that they get on: the one that looks for work."""


def unfinished(world: World, recover: Callable[[str], None]) -> None:
    """Hand out what can be claimed: new, left by a dead engine, or to be tried again."""
    for uuid in db.leases.due(world.database):
        recover(uuid)


def survey(world: World) -> None:
    """What is unfinished is counted."""
    backlog = db.notifications.backlog(world.database)
    for type_ in NotificationType:
        for status in OPEN_STATUSES:
            number = backlog.numbers.get((type_, status), 0)
            world.meter.set(metrics.UNFINISHED, number, type_, status)
    world.meter.set(metrics.OLDEST, backlog.oldest_age_s)


def expired(world: World) -> None:
    """What is too old to be acted upon is failed, and an operator is told."""
    age_s = world.conf.notifications_expired_interval
    while uuids := db.leases.expire(world.database, age_s=age_s):
        for uuid in uuids:
            world.pulse.beat(LOOP)
            fault = NotificationExpired(age_s=age_s)
            announcements.expired(world, uuid, fault)
            _count_expired(world, uuid)
            LOG.error("%s notification %s: failed: %s", alarms.GIVEN_UP.code, uuid, fault)
            raise_now(world, alarms.GIVEN_UP, uuid, f"notification {uuid}: failed ({fault})")


def _count_expired(world: World, uuid: str) -> None:
    with contextlib.suppress(MasakariError):
        n = db.notifications.get(world.database, uuid)
        world.meter.count(metrics.TRIES, n.type, NotificationStatus.FAILED, Reason.EXPIRED)


def forgotten_locks(world: World, stop: Event) -> None:
    """VMs that a recovery had locked, and could not unlock at its end, are unlocked."""
    for move in db.vmoves.still_locked(world.database):
        if stop.is_set():
            return
        try:
            world.cloud.unlock(move.instance_uuid)
            what = "unlocked"
        except CloudNotFound:
            what = "deleted meanwhile"
        except CloudUnavailable as e:
            LOG.debug("VMs stay locked until the next sweep: %s", e)
            return
        except MasakariError as e:
            raise_(
                world,
                alarms.LOCKED,
                move.instance_uuid,
                f"VM {move.instance_uuid} ({move.instance_name}) stays locked: {e}",
            )
            continue
        db.vmoves.unlocked(world.database, move.uuid)
        LOG.info("VM %s (%s): %s", move.instance_name, move.instance_uuid, what)


def forgotten_reserved_hosts(world: World, stop: Event) -> None:
    """Reserved hosts that a recovery had taken, and neither used nor given back, are given back."""
    for found in db.hosts.forgotten_reserved(world.database):
        if stop.is_set():
            return
        before, ours = str(found.reserved_for), uuidutils.generate_uuid()
        if not db.hosts.take_over_reserved(world.database, found.uuid, of=before, by=ours):
            continue
        try:
            _end(world, dataclasses.replace(found, reserved_for=ours), before)
        except CloudRefused as e:
            said = f"reserved host {found.name} cannot be given back, tried again: {e}"
            raise_(world, alarms.KEPT, found.name, said)
            continue  # a while later, by whoever finds it then
        except CloudUnavailable as e:
            LOG.warning("reserved host %s is given back later: %s", found.name, e)
            db.hosts.take_over_reserved(world.database, found.uuid, of=ours, by=before)
            return
        db.hosts.take_over_reserved(world.database, found.uuid, of=ours, by=before)


def _end(world: World, host: Host, notification_uuid: str) -> None:
    """The reserved host is used if VMs are there, given back if none will be."""
    try:
        n = db.notifications.get(world.database, notification_uuid)
    except NotificationNotFound:
        n = None
    source = None if n is None else db.hosts.find(world.database, n.source_host_uuid)
    if n is None or source is None:
        has_vms, is_awaited = bool(world.cloud.servers_on(host.name)), False
    else:
        has_vms = reserved.has_vms(world, host.name, n)
        is_awaited = reserved.is_awaited(world, host.name, source.name)
    if has_vms:
        is_used = db.hosts.use_reserved(world.database, host.uuid, by=str(host.reserved_for))
        request_id = None if n is None else n.request_id
        announcements.if_changed(world, is_used, host.uuid, request_id)
        LOG.info("host %s is reserved no more: it has VMs", host.name)
    elif not is_awaited:
        reserved.give_back(world, host)
