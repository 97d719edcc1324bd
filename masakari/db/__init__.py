"""The database: functions over plain rows, one transaction each.

    from masakari import db
    segment = db.segments.create(database, name="rack1", ...)

`database` is a `db.session.Database`, made once per process by `db.session.connect`.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from masakari.db import (
    alarms,
    brake,
    drivers,
    hosts,
    leases,
    models,
    notifications,
    query,
    reports,
    segments,
    session,
    steps,
    vm_recoveries,
    vmoves,
    witnesses,
)

if TYPE_CHECKING:
    from masakari.db import migration, progress, purge, recoveries, rights, standing

__all__ = [
    "alarms",
    "brake",
    "drivers",
    "hosts",
    "leases",
    "migration",
    "models",
    "notifications",
    "progress",
    "purge",
    "query",
    "recoveries",
    "reports",
    "rights",
    "segments",
    "session",
    "standing",
    "steps",
    "vm_recoveries",
    "vmoves",
    "witnesses",
]

WHEN_USED = {"migration", "progress", "purge", "recoveries", "rights", "standing"}
"""Alembic, which they need, takes 10 MiB: not in each process that serves requests."""


def __getattr__(name: str) -> ModuleType:
    """Import one of WHEN_USED."""
    if name in WHEN_USED:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
