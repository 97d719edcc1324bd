"""Everything that the engine may touch, in one frozen object that is passed down."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from oslo_config import cfg

from masakari.clock import Clock
from masakari.cloud import Cloud
from masakari.db.models import Host, Notification
from masakari.db.session import Database
from masakari.engine.leases import Lease


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


@dataclasses.dataclass(frozen=True)
class Job:
    """One notification while this engine works on it."""

    world: World
    notification: Notification
    host: Host
    lease: Lease
    claimed_at: float
    """monotonic: what an engine before us sent, it sent earlier"""
