"""The right to act: an engine acts for a notification only while it holds the lease on it.

The lease is a row's `owner` and `lease_until`, on the database's clock (db/leases.py).  This
module keeps those of one engine alive and tells every thread that is about to act whether it may.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from oslo_log import log

from masakari import db, metrics
from masakari.clock import Clock
from masakari.db.session import Database
from masakari.errors import DatabaseUnavailable, LeaseLost
from masakari.metrics import UNMETERED, Meter
from masakari.pulse import Pulse

LOG = log.getLogger(__name__)

MARGIN = 1 / 3
"""Share of the lease before its end in which nothing new is begun: what was begun before has that
long to show in Nova, where the next engine looks for it."""
LOOP = "leases"
"""The renewer's name where loops say that they get on."""
STALLED_S = 120.0
"""A renewer that has asked the database for so long hangs."""


class Lease:
    """The right to act for one notification; safe to ask from every thread."""

    def __init__(self, clock: Clock, uuid: str, valid_until: float) -> None:
        """Hold it until the monotonic time *valid_until*."""
        self.uuid = uuid
        self._clock = clock
        self._valid_until = valid_until
        self._lost = False

    def check(self) -> None:
        """Return if this engine may still act.  Raises LeaseLost."""
        if self._lost or self._clock.monotonic() >= self._valid_until:
            self._lost = True  # for good: another engine may have begun meanwhile
            raise LeaseLost(notification=self.uuid)

    def renewed(self, valid_until: float) -> None:
        """The database has granted it until then."""
        self._valid_until = valid_until

    def lose(self) -> None:
        """Nothing is begun any more."""
        self._lost = True

    @property
    def is_lost(self) -> bool:
        """`check` would raise."""
        return self._lost


class Leases:
    """The leases of one engine, renewed by one thread.  Owns `_held`, under one lock."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        pulse: Pulse,
        *,
        owner: str,
        lease_s: float,
        meter: Meter = UNMETERED,
    ) -> None:
        """Hold nothing yet."""
        self._database = database
        self._clock = clock
        self._pulse = pulse
        self._meter = meter
        self.owner = owner
        self.lease_s = lease_s
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._stop = clock.event()

    @contextmanager
    def hold(self, uuid: str, asked_at: float) -> Iterator[Lease]:
        """Keep the lease that a claim granted, which was asked for at monotonic *asked_at*."""
        lease = Lease(self._clock, uuid, self._valid_until(asked_at))
        with self._lock:
            self._held[uuid] = lease
            if self._stop.is_set():
                lease.lose()
            self._meter.set(metrics.LEASES_HELD, len(self._held))
        try:
            yield lease
        finally:
            with self._lock:
                self._held.pop(uuid, None)
                self._meter.set(metrics.LEASES_HELD, len(self._held))

    def held(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._held)

    def run(self) -> None:
        """Renew what is held each quarter of the lease, until `stop`."""
        self._pulse.expect(LOOP, self.lease_s / 4 + STALLED_S)
        while not self._stop.wait(self.lease_s / 4):
            try:
                self.renew()
            except Exception:  # without this thread every lease ends
                LOG.exception("leases: unexpected error")
            self._pulse.beat(LOOP)
        self._pulse.rest(LOOP)

    def renew(self) -> None:
        """Every held lease is renewed or known to be lost or left to end."""
        with self._lock:
            held = list(self._held.values())
        for lease in held:
            self._pulse.beat(LOOP)
            asked_at = self._clock.monotonic()
            try:
                granted = db.leases.renew(
                    self._database, lease.uuid, owner=self.owner, lease_s=self.lease_s
                )
            except DatabaseUnavailable as e:
                LOG.debug("notification %s: lease not renewed: %s", lease.uuid, e)
                continue
            if granted:
                lease.renewed(self._valid_until(asked_at))
            else:
                lease.lose()

    def stop(self) -> None:
        """Nothing new is begun under any lease of this engine."""
        with self._lock:
            self._stop.set()
            for lease in self._held.values():
                lease.lose()

    def _valid_until(self, asked_at: float) -> float:
        return asked_at + self.lease_s * (1 - MARGIN)
