"""The loop of the instance monitor: hear, compare, tell."""

import dataclasses
import logging
import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from masakari import alarms, metrics
from masakari import clock as clock_
from masakari import contacts as contacts_
from masakari import pulse as pulse_
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import memory as memory_
from masakari.monitors import silence
from masakari.monitors.instances import facts as facts_
from masakari.monitors.instances.facts import Facts, Kind
from masakari.monitors.instances.guests import Guests
from masakari.monitors.instances.hypervisor import Away, Gone, Hypervisor, Listing
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Event, Failure, Judge
from masakari.monitors.instances.link import FIRST_PAUSE_S, Link
from masakari.monitors.instances.words import AGENT_ERROR
from masakari.monitors.teller import Report, Teller
from masakari.states import NotificationType

LOG = logging.getLogger(__name__)

LOOP = "instances"
"""Its name where loops say that they get on."""
STALLED_S = 120.0
PAUSE_S = 5.0
"""The longest time without a look at what is due."""
BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says."""

    hostname: str
    reconcile_s: float
    reconnect_max_s: float
    nova_only: bool
    tells_events: bool
    """False: only what guests' agents say"""
    default_kind: Kind
    flavor_kinds: Mapping[str, Kind]
    """{name of a flavor: kind}"""
    metadata_key: str
    agent_path: re.Pattern[str]
    silent_s: float
    """after so long a silence of libvirt MSK-411 is raised"""


class InstanceMonitor:
    """Hears of all domains of one libvirt; its state belongs to the thread that runs it."""

    def __init__(
        self,
        settings: Settings,
        hypervisors: Sequence[Hypervisor],
        *,
        inbox: Inbox,
        judge: Judge,
        guests: Guests | None,
        teller: Teller,
        memory: memory_.Memory,
        clock: clock_.Clock,
        wake: clock_.Event,
        pulse: pulse_.Pulse,
        contacts: contacts_.Contacts,
        meter: Meter = UNMETERED,
    ) -> None:
        """The first of *hypervisors* hears events into *inbox*; the agents need the others.

        All are kept connected; domains are watched also while it is the first alone.
        """
        self._settings = settings
        self._first = hypervisors[0]
        self._inbox = inbox
        self._judge = judge
        self._guests = guests
        self._teller = teller
        self._memory = memory
        self._clock = clock
        self._wake = wake
        self._pulse = pulse
        self._contacts = contacts
        self._meter = meter
        self._silence = silence.Silence(
            alarms.LIBVIRT, clock, after_s=settings.silent_s, meter=meter
        )
        self._domains = self._link("libvirt", hypervisors[:1])
        self._agents = self._link("libvirt, to write to it,", hypervisors[1:])
        self._facts: dict[str, Facts] = {}
        self._persistent: dict[str, bool] = {}
        self._left_alone: set[str] = set()
        """domains of which it was told that they are not Nova's"""
        self._refused: set[str] = set()
        """domains of which it was told that libvirt tells nothing of them"""
        self._ask_at: dict[str, float] = {}
        """{uuid: when facts are asked for anew, monotonic}; those that there are hold until then"""
        self._next_comparison = clock.monotonic()
        self._is_compared = False
        """since it was connected"""
        self._boot = _boot_id()
        self._recall()

    def run(self, stop: clock_.Event) -> None:
        """Go on until *stop* is set; setting *wake* as well ends it at once."""
        self._pulse.expect(LOOP, PAUSE_S + STALLED_S)
        while not stop.is_set():
            self._wake.clear()
            try:
                self.cycle()
                self._meter.count(metrics.ROUNDS, "blind" if self._is_troubled() else "ok")
            except Exception:
                self._meter.count(metrics.ROUNDS, "failed")
                LOG.exception("this round of the monitor failed; it goes on with the next one")
                stop.wait(FIRST_PAUSE_S)
            self._silence.look()
            self._pulse.beat(LOOP)
            if not stop.is_set():
                self._wake.wait(self._pause())
        self._pulse.rest(LOOP)
        self._domains.disconnect()
        self._agents.disconnect()

    def cycle(self) -> None:
        """Be connected, take what was heard, compare if it is time, tell."""
        self._connect()
        # before what they have told is taken: who is known as reported has been told of
        guests = {} if self._guests is None else self._guests.remember()
        events, lost = self._inbox.take()
        if lost:
            LOG.warning("%d events of libvirt had no room; all domains are compared", lost)
            self._next_comparison = self._clock.monotonic()
        self._tell([failure for event in events for failure in self._hear(event)])
        if self._domains.is_connected and self._clock.monotonic() >= self._next_comparison:
            self._compare()
        self._tell(self._judge.due(self._clock.monotonic()))
        self._remember(guests)

    # ---- the connection

    def _link(self, name: str, hypervisors: Sequence[Hypervisor]) -> Link:
        return Link(
            name,
            hypervisors,
            self._clock,
            longest_pause_s=self._settings.reconnect_max_s,
            missed=self._missed,
        )

    def _connect(self) -> None:
        is_new = self._domains.connect()
        if is_new:
            self._is_compared = False
            self._next_comparison = self._clock.monotonic()
        if self._agents.connect() or is_new:
            self._answered()

    def _missed(self, why: str) -> None:
        self._contacts.failed(contacts_.LIBVIRT, why)
        self._silence.missed(why)

    def _answered(self) -> None:
        if not self._is_troubled():
            self._contacts.answered(contacts_.LIBVIRT)

    def _is_troubled(self) -> bool:
        return bool(self._domains.trouble or self._agents.trouble)

    # ---- what is heard and compared

    def _hear(self, event: Event) -> Sequence[Failure]:
        LOG.debug("%s (%s): %s %s", event.uuid, event.name, *event.words)
        self._meter.count(metrics.EVENTS, event.words[0])
        if self._guests is not None and _begins_anew(event):
            self._guests.begin(event.uuid)
        if _changes_facts(event):
            self._ask_at[event.uuid] = -math.inf
            self._next_comparison = min(
                self._next_comparison, self._clock.monotonic() + FIRST_PAUSE_S
            )
        return self._judge.hear(event)

    def _compare(self) -> None:
        try:
            listing = self._first.domains()
        except Away as e:
            self._give_up(e)
            return
        self._next_comparison = self._clock.monotonic() + self._settings.reconcile_s
        try:
            self._learn(listing)
            self._answered()
        except Away as e:  # what the listing shows holds all the same
            self._give_up(e)
        if not self._agents.trouble:
            self._silence.answered()
        domains = [
            dataclasses.replace(domain, is_persistent=self._persistent.get(domain.uuid, True))
            for domain in listing.domains
        ]
        self._tell(self._judge.compare(domains, listing.began, listing.at))
        if not self._is_compared:
            LOG.info("all domains are compared with what was known: %d", len(domains))
            self._is_compared = True
        self._meter.set(metrics.DOMAINS, sum(domain.is_active for domain in domains), "active")
        self._meter.set(metrics.DOMAINS, sum(not d.is_active for d in domains), "inactive")
        if self._guests is not None:
            self._watch(listing)

    def _give_up(self, error: Away) -> None:
        """Whoever has not answered is connected to anew."""
        self._domains.disconnect()
        self._domains.lost(str(error))

    def _learn(self, listing: Listing) -> None:
        """Of each domain it is known whose it is, and how it is to be watched.  Raises Away.

        Those of which libvirt has not told, or not in time, are last, and asked for as seldom as
        all are compared.
        """
        uuids = {domain.uuid for domain in listing.domains}
        for known in (self._facts, self._persistent, self._ask_at):
            for uuid in known.keys() - uuids:
                del known[uuid]
        self._left_alone &= uuids
        self._refused &= uuids
        due = {uuid: self._due_at(uuid) for uuid in uuids}
        for domain in sorted(listing.domains, key=lambda domain: due[domain.uuid]):
            if due[domain.uuid] <= self._clock.monotonic():
                self._look_at(domain.uuid, domain.name)

    def _due_at(self, uuid: str) -> float:
        """When its facts are asked for."""
        return self._ask_at.get(uuid, math.inf if uuid in self._facts else -math.inf)

    def _look_at(self, uuid: str, name: str) -> None:
        """Learn what libvirt tells of it.  Raises Away: it is late, or there is no connection."""
        try:
            self._persistent[uuid] = self._first.is_persistent(uuid)
            found = facts_.parse(
                self._first.xml(uuid), self._settings.metadata_key, self._settings.agent_path
            )
        except Gone:
            return
        except Away as e:
            if e.is_late or self._first.is_connected:
                self._ask_at[uuid] = self._clock.monotonic() + self._settings.reconcile_s
            if e.is_late or not self._first.is_connected:
                raise
            self._tell_refused(uuid, name, e)
            return
        except ValueError as e:
            LOG.warning("%s (%s): %s; it is taken for one of Nova's", uuid, name, e)
            found = Facts(is_nova=True, has_agent=False, kind=None)
        self._facts[uuid] = found
        self._ask_at.pop(uuid, None)
        self._refused.discard(uuid)
        if found.kind and found.kind not in set(Kind):
            LOG.warning("%s (%s): %s is no kind of heartbeat", uuid, name, found.kind)
        if self._settings.nova_only and not found.is_nova and uuid not in self._left_alone:
            self._left_alone.add(uuid)
            LOG.info("%s (%s): Nova has not made it; it is left alone", uuid, name)

    def _tell_refused(self, uuid: str, name: str, error: Away) -> None:
        if uuid not in self._refused:
            self._refused.add(uuid)
            LOG.warning(
                "%s (%s): libvirt does not say whose it is and whether it has an agent (%s); it is "
                "asked again with each comparison",
                *(uuid, name, error),
            )

    def _watch(self, listing: Listing) -> None:
        assert self._guests is not None  # noqa: S101  the caller has looked
        guests = {}
        for domain in listing.domains:
            found = self._facts.get(domain.uuid)
            if found is None or not found.has_agent or not domain.is_active:
                continue
            if self._settings.nova_only and not found.is_nova:
                continue
            kind = facts_.kind_of(found, self._settings.flavor_kinds, self._settings.default_kind)
            if kind is not Kind.OFF:
                guests[domain.uuid] = (kind, domain.run)
        self._guests.watch(guests, [domain.uuid for domain in listing.domains])

    # ---- what is told

    def _tell(self, failures: Iterable[Failure]) -> None:
        """They wait on disk, all with one write."""
        told = [
            failure
            for failure in failures
            if (failure.words == AGENT_ERROR or self._settings.tells_events)
            and not self._is_foreign(failure)
        ]
        for failure in told:
            uuid, (event, detail) = failure.uuid, failure.words
            LOG.warning("%s (%s): %s %s (%s)", uuid, failure.name, event, detail, failure.how)
            self._meter.count(metrics.FAILURES, event)
        self._teller.tell(*map(self._report, told))

    def _report(self, failure: Failure) -> Report:
        event, detail = failure.words
        return Report(
            subject=failure.uuid,
            type=NotificationType.VM,
            hostname=self._settings.hostname,
            payload={
                "event": event,
                "instance_uuid": failure.uuid,
                "vir_domain_event": detail,
            },
            generated_time=failure.at,
        )

    def _is_foreign(self, failure: Failure) -> bool:
        """What cannot be told is taken for Nova's: the engine asks Nova."""
        if not self._settings.nova_only:
            return False
        if self._due_at(failure.uuid) <= self._clock.monotonic():
            try:
                self._look_at(failure.uuid, failure.name)
            except Away as e:
                if e.is_late:  # of many failures not each is to wait so long
                    self._give_up(e)
        found = self._facts.get(failure.uuid)
        if found is None or found.is_nova:
            return False
        LOG.info("%s (%s): %s %s; it is none of Nova's", failure.uuid, failure.name, *failure.words)
        return True

    # ---- the rest

    def _remember(self, guests: Mapping[str, Sequence[int | str]]) -> None:
        known = {"boot": self._boot, "domains": self._judge.remember(), "guests": guests}
        self._teller.remember(self._memory, known)

    def _recall(self) -> None:
        known = self._memory.recall()
        try:
            domains = known.get("domains", {})
            same_boot = known.get("boot") == self._boot
            self._judge.recall(domains, same_boot=same_boot)
            if self._guests is not None and same_boot:
                self._guests.recall(known.get("guests", {}))
        except (TypeError, ValueError, KeyError, AttributeError) as e:
            LOG.error("what was known of domains cannot be used: %r", e)

    def _pause(self) -> float:
        now = self._clock.monotonic()
        due = self._judge.next_due()
        moments = [now + PAUSE_S]
        moments.append(
            self._next_comparison if self._domains.is_connected else self._domains.next_try
        )
        if not self._agents.is_connected:
            moments.append(self._agents.next_try)
        if due is not None:
            moments.append(due)
        return max(0.0, min(moments) - now)


def _begins_anew(event: Event) -> bool:
    kind, detail = event.words
    return kind == "REBOOT" or (kind == "LIFECYCLE" and detail.startswith(("STARTED", "RESUMED")))


def _changes_facts(event: Event) -> bool:
    kind, detail = event.words
    return kind == "LIFECYCLE" and detail.startswith(("STARTED", "DEFINED"))


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
