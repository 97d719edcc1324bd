"""What is looked at in the moment in which an engine asks the simulated Nova for an evacuation."""

import inspect
from collections.abc import Callable, Container, Sequence

from masakari import db
from masakari.cloud import Cloud
from masakari.db.models import Notification
from masakari.db.session import Database
from masakari.errors import HostNameUnknown
from masakari.sim.clock import SimClock
from masakari.sim.cloud import Call, Fault, SimCloud
from masakari.states import NotificationStatus, NotificationType

CHANGES = frozenset(
    verb
    for verb, function in vars(Cloud).items()
    if inspect.isfunction(function) and "leave" in inspect.signature(function).parameters
)
"""The verbs that change something."""


class Audit:
    """Remembers what was not as it must be; reads through a database of its own."""

    def __init__(
        self,
        cloud: SimCloud,
        clock: SimClock,
        database: Database,
        engines: Container[str],
        notifications: Callable[[], Sequence[Notification]],
        *,
        only_observes: Callable[[], bool],
    ) -> None:
        self.unproven: list[str] = []
        """Evacuations for which no proof was stored when Nova was asked."""
        self.not_held: list[str] = []
        """Evacuations onto hosts that were not held for the recovery that asked."""
        self.not_only_observed: list[str] = []
        """Changes that engines asked for while they were only to observe."""
        self.peak_in_flight: dict[str, int] = {}
        """Evacuations at a time, by the host that they leave."""
        self._cloud = cloud
        self._clock = clock
        self._database = database
        self._engines = engines
        self._notifications = notifications
        self._only_observes = only_observes
        cloud.add_fault(Fault(times=None, hook=self._looked))
        cloud.add_fault(Fault("evacuate", times=None, hook=self._asked))
        cloud.add_fault(Fault("evacuate", when="after", times=None, hook=self._accepted))

    def _asked(self, call: Call) -> None:
        """Was the proof stored before?  How many are under way?"""
        if self._clock.group() not in self._engines or call.host is None:
            return
        if self._recovery_of(call.host) is None:
            self.unproven.append(f"{call.server_name} from {call.host}")
        else:
            self._cloud.ledger.proof(call.host, self._clock.now())
        flying = sum(
            move.source == call.host and move.status in ("accepted", "pre-migrating")
            for move in self._cloud.moves.values()
        )
        self.peak_in_flight[call.host] = max(self.peak_in_flight.get(call.host, 0), flying + 1)

    def _looked(self, call: Call) -> None:
        """Is it only a look, where nothing else is wanted?"""
        is_change = call.verb in CHANGES and self._clock.group() in self._engines
        if is_change and self._only_observes():
            self.not_only_observed.append(f"{call.verb} {call.server_name or call.host}")

    def _accepted(self, call: Call) -> None:
        """Is the host on which the VM is wanted held for this recovery?"""
        if self._clock.group() not in self._engines or call.host is None:
            return
        wanted = [m.dest for m in self._cloud.moves.values() if m.vm.id == call.server_id][-1]
        if wanted is None:
            return
        n = self._recovery_of(call.host)
        if n is None or self._held_for(wanted) != n.notification_uuid:
            self.not_held.append(f"{call.server_name} from {call.host} onto {wanted}")

    def _recovery_of(self, host: str) -> Notification | None:
        """The host failure that is being recovered, if there is proof of it."""
        for n in self._notifications():
            is_at_work = n.status == NotificationStatus.RUNNING
            is_about = n.proof is not None and n.proof["host"] == host
            if n.type == NotificationType.COMPUTE_HOST and is_at_work and is_about:
                return n
        return None

    def _held_for(self, host: str) -> str | None:
        try:
            return db.hosts.get_by_name(self._database, host).reserved_for
        except HostNameUnknown:
            return None
