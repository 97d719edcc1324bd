"""Everything that the engine may touch, in one frozen object that is passed down."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from oslo_config import cfg

from masakari import context
from masakari.clock import Clock
from masakari.cloud import Cloud
from masakari.contacts import Contacts
from masakari.db.models import Host, Notification
from masakari.db.session import Database
from masakari.db.sqltext import canonical_uuid
from masakari.engine.exclusions import Exclusions
from masakari.engine.leases import Lease
from masakari.events import SILENCE, Events
from masakari.locks import Locks
from masakari.metrics import UNMETERED, Meter
from masakari.pulse import Pulse

if TYPE_CHECKING:
    from masakari.engine.flows import Flows
    from masakari.engine.reserved import Spare

P = ParamSpec("P")
R = TypeVar("R")


@dataclasses.dataclass(frozen=True)
class World:
    """The surroundings of an engine."""

    conf: cfg.ConfigOpts
    database: Database
    progress: Any
    """TaskFlow's persistence backend (untyped library)"""
    cloud: Cloud
    clock: Clock
    pool: Callable[[int, str], Executor]
    """pool(threads, name): a new pool of threads, to be used in a `with` block"""
    owner: str
    """the name under which this engine holds leases; differs after each start"""
    locks: Locks
    exclusions: Exclusions
    """what is never touched"""
    flows: Flows
    """which steps a recovery takes"""
    pulse: Pulse
    """where the engine's loops say that they get on"""
    contacts: Contacts
    """with whom this process has spoken last"""
    meter: Meter = UNMETERED
    """where it is counted"""
    events: Events = SILENCE
    """where other services are told of it"""


@dataclasses.dataclass(frozen=True)
class Job:
    """One notification while this engine works on it."""

    world: World
    notification: Notification
    host: Host
    lease: Lease
    claimed_at: float
    """monotonic: what an engine before us sent, it sent earlier"""
    chapter: int = 1
    """counts the flows of this attempt"""
    spare: Spare | None = None
    """the reserved host that takes the VMs; None: Nova chooses where they go"""

    @property
    def uuid(self) -> str:
        """Of the notification."""
        return self.notification.notification_uuid

    def do(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Act for the request that has asked for the recovery, in a thread of its own."""
        with context.acting_for(self.notification.request_id):
            return act(*args, **kwargs)

    @property
    def vm(self) -> str:
        """Of the VM that the notification is about, in the form in which Nova writes it."""
        given = self.notification.payload["instance_uuid"]
        return canonical_uuid(given) or given
