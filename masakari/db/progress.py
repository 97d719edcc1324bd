"""TaskFlow's store of how far recoveries have come, and what the API shows of it."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from taskflow.persistence.backends import impl_sqlalchemy
from taskflow.persistence.backends.sqlalchemy import tables

from masakari.clock import Clock, SystemClock
from masakari.db import retry, session
from masakari.errors import ConfigInvalid, DatabaseUnavailable

P = ParamSpec("P")
R = TypeVar("R")

TABLES = tables.fetch(sa.MetaData())
"""TaskFlow's own logbooks, flowdetails and atomdetails."""


class StoreAway(BaseException):
    """The database does not answer; `__cause__` is the DatabaseUnavailable.

    Not an Exception: TaskFlow answers those with further writes and with tracebacks.
    """


class Backend(impl_sqlalchemy.SQLAlchemyBackend):
    """TaskFlow's SQLAlchemy backend on an engine of ours.

    TaskFlow describes its tables anew for each connection, which costs more than the work itself.
    Its connection object keeps no state of a conversation, so one serves every caller.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        """Store in the database of *engine*."""
        super().__init__({}, engine=engine)
        self.clock = clock
        self._connection = Connection(self, self._upgrade_lock)

    def get_connection(self) -> "Connection":
        """The connection; a database that is away shows when it is used."""
        return self._connection

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


def calling(clock: Clock, call: Callable[[], R]) -> R:
    """The result of *call*, run again after deadlocks and lost connections.  Raises StoreAway."""
    try:
        return retry.calling(clock, call)
    except DatabaseUnavailable as e:
        raise StoreAway from e


def _patient(
    method: Callable[Concatenate["Connection", P], R],
) -> Callable[Concatenate["Connection", P], R]:
    """The method, through `calling`."""

    def call(self: "Connection", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return calling(self.backend.clock, lambda: method(self, *args, **kwargs))

    return call


class Connection(impl_sqlalchemy.Connection):
    """TaskFlow's connection, as patient as our own transactions."""

    save_logbook = _patient(impl_sqlalchemy.Connection.save_logbook)
    get_logbook = _patient(impl_sqlalchemy.Connection.get_logbook)
    destroy_logbook = _patient(impl_sqlalchemy.Connection.destroy_logbook)
    get_flow_details = _patient(impl_sqlalchemy.Connection.get_flow_details)
    update_flow_details = _patient(impl_sqlalchemy.Connection.update_flow_details)
    get_atom_details = _patient(impl_sqlalchemy.Connection.get_atom_details)
    update_atom_details = _patient(impl_sqlalchemy.Connection.update_atom_details)


def connect(
    conf: cfg.ConfigOpts,
    clock: Clock | None = None,
    *,
    answer_timeout_s: int | None = session.ANSWER_TIMEOUT_S,
) -> Backend:
    """The store of `[taskflow] connection`, or else of `[database] connection`.

    Raises ConfigInvalid.
    """
    group = "taskflow" if conf.taskflow.connection else "database"
    url = session.parse_url(conf, group=group)
    if session.is_in_memory(url):
        raise ConfigInvalid(
            group=group,
            option="connection",
            problem="progress cannot be kept in memory: name a file, e.g. sqlite:////tmp/m.sqlite.",
        )
    clock = clock or SystemClock()
    engine = session.make_engine(conf, url, clock, answer_timeout_s=answer_timeout_s)
    # TaskFlow reads before it writes, in one transaction.
    return Backend(engine.execution_options(**{session.WRITES: True}), clock)


def recovery_workflow_details(backend: Backend, notification_uuid: str) -> list[dict[str, Any]]:
    """The steps of all attempts that have progress, in the order in which they ran.

    Each is {name, state, progress (0 to 1), progress_details}; the details are
    {timestamp, progress, message}, all text, oldest first, with the request_id where the step
    stored it.  Raises DatabaseUnavailable.
    """
    flows, atoms = TABLES.flowdetails, TABLES.atomdetails
    query = (
        sa.select(
            flows.c.uuid.label("flow"),
            flows.c.created_at.label("begun"),
            flows.c.meta.label("flow_meta"),
            atoms.c.name,
            atoms.c.state,
            atoms.c.meta,
        )
        .join(atoms, atoms.c.parent_uuid == flows.c.uuid)
        .where(flows.c.parent_uuid == notification_uuid)
    )

    def read() -> Sequence[sa.RowMapping]:
        engine = backend.engine.execution_options(**{session.WRITES: False})
        with engine.connect() as connection:
            found: Sequence[sa.RowMapping] = connection.execute(query).mappings().all()
        return found

    rows = [row for row in retry.calling(backend.clock, read) if _said(row["meta"])]
    begun: dict[str, str] = {}
    for row in rows:
        first = _said(row["meta"])[0]["timestamp"]
        begun[row["flow"]] = min(begun.get(row["flow"], first), first)

    def order(row: sa.RowMapping) -> tuple[datetime.datetime, str, str, int, str]:
        steps = (row["flow_meta"] or {}).get("steps", [])
        place = steps.index(row["name"]) if row["name"] in steps else len(steps)
        first = _said(row["meta"])[0]["timestamp"]
        return row["begun"] or datetime.datetime.min, begun[row["flow"]], row["flow"], place, first

    return [
        {
            "name": row["name"],
            "state": row["state"],
            "progress": float(row["meta"]["progress"]),
            "progress_details": _said(row["meta"]),
        }
        for row in sorted(rows, key=order)
    ]


def _said(meta: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """What a step has said (TaskFlow's layout of an atom's `meta`), or nothing."""
    if not meta or "progress" not in meta:
        return []
    details = (meta.get("progress_details") or {}).get("details") or {}
    entries = details.get("progress_details") or []
    return [_entry(e) for e in entries]


def _entry(stored: Mapping[str, Any]) -> dict[str, str]:
    entry = {key: str(stored.get(key, "")) for key in ("timestamp", "progress", "message")}
    if stored.get("request_id"):
        entry["request_id"] = str(stored["request_id"])
    return entry
