"""Alarms of the engine: raised when their cause is there, cleared when it is gone.

What is raised stands in the database, so that of several engines one tells of each alarm.  Most
causes are seen in the database by every engine; what only one engine meets (its credentials, its
clock) has its host in the subject, and nobody else clears it unless that engine is gone.
"""

import datetime
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from oslo_log import log

from masakari import alarms, db, metrics
from masakari.alarms import Alarm, Cause
from masakari.db.alarms import RaisedAlarm, Unsettled
from masakari.engine.world import World
from masakari.errors import CloudError, MasakariError

LOG = log.getLogger(__name__)

Found = Mapping[str, str]
"""{subject: what is wrong there}"""

FORGOTTEN_S = 3600.0
"""What an engine has met and not confirmed for so long is cleared by the others: it is gone."""


def raise_(
    world: World, alarm: Alarm, subject: str, message: str, *, is_logged: bool = False
) -> None:
    """The alarm is raised, and told if it was not before; *is_logged*: the log has it already."""
    row = db.alarms.confirm(world.database, alarm.code, subject, message)
    if row is None:
        return
    if not is_logged:
        LOG.error("%s %s", alarm.code, message)
    if world.events.is_on:
        world.events.send(alarms.event(alarm, "raise", row, world.clock.now()))


def raise_now(world: World, alarm: Alarm, subject: str, message: str) -> None:
    """As `raise_`, of what the log has just been told; without a database the next look does it."""
    try:
        raise_(world, alarm, subject, message, is_logged=True)
    except MasakariError as e:
        LOG.warning("%s is not raised yet: %s", alarm.code, e)


class Lookout:
    """Looks for causes; for one thread."""

    def __init__(self, world: World) -> None:
        """Hosts are compared for the first time when their interval has passed."""
        self._world = world
        self._compare_at = world.clock.monotonic() + world.conf.alarms.hosts_interval
        self._before: Sequence[RaisedAlarm] = ()
        self._looks: Mapping[Alarm, Callable[[], Found | None]] = {
            alarms.WAITING: self._waiting,
            alarms.FAILING: self._failing,
            alarms.GIVEN_UP: self._given_up,
            alarms.LOCKED: self._locked,
            alarms.KEPT: self._kept,
            alarms.REFUSED: self._refused,
            alarms.CLOCK: self._clock,
        }

    def look(self) -> None:
        """Alarms are raised and cleared as their causes are now."""
        world = self._world
        # first: what another thread raises from here on is not taken for gone
        before = self._before = db.alarms.raised(world.database)
        for alarm, find in self._looks.items():
            self._reconcile(alarm, find(), before)
        if world.conf.alarms.hosts_interval and world.clock.monotonic() >= self._compare_at:
            self._compare_at = world.clock.monotonic() + world.conf.alarms.hosts_interval
            self._compare(before)
        left = db.alarms.raised(world.database)
        for alarm in alarms.ALARMS:
            if alarm.cause is not Cause.MONITOR:
                number = sum(row.code == alarm.code for row in left)
                world.meter.set(metrics.ALARM, number, alarm.code)

    def _reconcile(self, alarm: Alarm, found: Found | None, before: Sequence[RaisedAlarm]) -> None:
        """None: it is not known whether there are causes."""
        for subject, message in (found or {}).items():
            raise_(self._world, alarm, subject, message)
        for row in before:
            if row.code == alarm.code and row.subject not in (found or {}):
                is_ours = found is not None and self._is_ours(alarm, row)
                if is_ours or self._is_forgotten(alarm, row):
                    self._clear(alarm, row)

    def _is_ours(self, alarm: Alarm, row: RaisedAlarm) -> bool:
        return alarm.cause is not Cause.PROCESS or row.subject.endswith(self._here)

    def _is_forgotten(self, alarm: Alarm, row: RaisedAlarm) -> bool:
        age = self._world.clock.now() - row.seen_at
        return alarm.cause is Cause.PROCESS and age > datetime.timedelta(seconds=FORGOTTEN_S)

    def _clear(self, alarm: Alarm, row: RaisedAlarm) -> None:
        world = self._world
        if not db.alarms.clear(world.database, row.code, row.subject):
            return
        # that a notification has ended has a line of its own
        level = logging.DEBUG if alarm.cause is Cause.DATABASE else logging.INFO
        LOG.log(level, "%s is over: %s", row.code, row.message)
        if world.events.is_on:
            world.events.send(alarms.event(alarm, "clear", row, world.clock.now()))

    @property
    def _here(self) -> str:
        return f" at {self._world.conf.DEFAULT.host}"

    # ---- causes

    def _waiting(self) -> Found:
        age_s = self._world.conf.alarms.waiting_age
        return {
            n.uuid: f"notification {n.uuid}: not ended {age_s} s after it was accepted "
            f"({_what(n)}; {n.status}: {n.message or 'it says nothing yet'})"
            for n in db.alarms.waiting(self._world.database, age_s)
        }

    def _failing(self) -> Found:
        return {
            n.uuid: f"notification {n.uuid}: tried in vain ({_what(n)}; {n.message})"
            for n in db.alarms.failing(self._world.database)
        }

    def _given_up(self) -> Found:
        age_s = self._world.conf.alarms.given_up_age
        return {
            n.uuid: f"notification {n.uuid}: failed ({_what(n)}; {n.message})"
            for n in db.alarms.given_up(self._world.database, age_s)
        }

    def _locked(self) -> Found:
        """Raised by the sweep that tries to unlock them."""
        return self._still(
            alarms.LOCKED,
            lambda: [m.instance_uuid for m in db.vmoves.still_locked(self._world.database)],
        )

    def _kept(self) -> Found:
        """Raised by the sweep that tries to give them back."""
        return self._still(alarms.KEPT, lambda: db.alarms.taken_hosts(self._world.database))

    def _still(self, alarm: Alarm, find: Callable[[], Sequence[str]]) -> Found:
        """Those of the raised ones whose subject *find* still finds; it is asked if there are."""
        told = {row.subject: row.message for row in self._before if row.code == alarm.code}
        found = set(find()) if told else set()
        return {subject: message for subject, message in told.items() if subject in found}

    def _refused(self) -> Found | None:
        known = self._world.contacts.known()
        asked = {who: known[who] for who in ("Keystone", "Nova") if who in known}
        if not asked:
            return None
        return {
            f"{who}{self._here}": f"{who}, asked{self._here}: {contact.problem}"
            for who, contact in asked.items()
            if contact.is_refused
        }

    def _clock(self) -> Found:
        ahead_s = db.alarms.clock_ahead_s(self._world.database)
        self._world.meter.set(metrics.CLOCK_AHEAD, ahead_s)
        if abs(ahead_s) <= self._world.conf.alarms.clock_difference:
            return {}
        how = "ahead of" if ahead_s > 0 else "behind"
        return {
            f"clock{self._here}": f"the clock{self._here} is {abs(ahead_s):.1f} s {how} the "
            "database's"
        }

    def _compare(self, before: Sequence[RaisedAlarm]) -> None:
        """Nova's hosts and those in segments are the same, or somebody is told."""
        world = self._world
        registered = set(db.alarms.registered_hosts(world.database))
        if not registered:
            return  # nobody has begun to use it
        try:
            known = {service.host for service in world.cloud.compute_services()}
        except CloudError as e:
            LOG.debug("hosts are not compared: %s", e)
            return
        missing = sorted(known - registered) if world.conf.alarms.hosts_in_no_segment else ()
        self._reconcile(alarms.NO_SEGMENT, dict(self._unprotected(missing)), before)
        unknown = {
            host: f"host {host} is in a segment, and Nova knows no compute service of that name"
            for host in sorted(registered - known)
        }
        self._reconcile(alarms.NO_SERVICE, unknown, before)

    def _unprotected(self, hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
        for host in hosts:
            if self._world.exclusions.host(host) is None:
                yield host, f"host {host} is in no segment: its VMs would not be recovered"


def _what(n: Unsettled) -> str:
    return f"{n.type} of host {n.host}, tries: {n.attempt}"
