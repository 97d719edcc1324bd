"""The database: functions over plain rows, one transaction each.

    from masakari import db
    segment = db.segments.create(database, name="rack1", ...)

`database` is a `db.session.Database`, made once per process by `db.session.connect`.
"""

from masakari.db import (
    hosts,
    leases,
    migration,
    models,
    notifications,
    progress,
    purge,
    query,
    segments,
    session,
    standing,
    vm_recoveries,
    vmoves,
)

__all__ = [
    "hosts",
    "leases",
    "migration",
    "models",
    "notifications",
    "progress",
    "purge",
    "query",
    "segments",
    "session",
    "standing",
    "vm_recoveries",
    "vmoves",
]
