"""The steps of recoveries, as TaskFlow has stored them and the API shows them.

TaskFlow's backend, in `progress`, imports Alembic; who only reads needs no backend.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from oslo_config import cfg
from taskflow.persistence.backends.sqlalchemy import tables

from masakari.clock import Clock
from masakari.db import drivers, retry, session
from masakari.errors import ConfigInvalid
from masakari.outage import Outage

TABLES = tables.fetch(sa.MetaData())
"""TaskFlow's own logbooks, flowdetails and atomdetails."""


class Store(Protocol):
    """The database with these tables: a `session.Database` or a `progress.Backend`."""

    @property
    def engine(self) -> sa.Engine:
        """Its connections."""

    @property
    def clock(self) -> Clock:
        """What to wait by."""

    @property
    def outage(self) -> Outage:
        """What the log says of it."""


def engine(conf: cfg.ConfigOpts, clock: Clock, *, answer_timeout_s: int | None) -> sa.Engine:
    """Of `[taskflow] connection`, or else of `[database] connection`.  Raises ConfigInvalid."""
    group = "taskflow" if conf.taskflow.connection else "database"
    url = session.parse_url(conf, group=group)
    if drivers.is_in_memory(url):
        raise ConfigInvalid(
            group=group,
            option="connection",
            problem="progress cannot be kept in memory: name a file, e.g. sqlite:////tmp/m.sqlite.",
        )
    return session.make_engine(conf, url, clock, answer_timeout_s=answer_timeout_s)


def connect(
    conf: cfg.ConfigOpts, clock: Clock, beside: session.Database | None = None
) -> session.Database:
    """To read; a connection is made when it is first used.  Raises ConfigInvalid.

    Of an outage the log tells once, if it is *beside* all the rest.
    """
    made = engine(conf, clock, answer_timeout_s=drivers.ANSWER_TIMEOUT_S)
    store = session.Database(made, clock)
    store.outage = outage(conf, clock, beside)
    return store


def outage(conf: cfg.ConfigOpts, clock: Clock, beside: session.Database | None) -> Outage:
    """Of the store: that of *beside*, unless it is a database of its own."""
    if beside is not None and not conf.taskflow.connection:
        return beside.outage
    return Outage("the database of [taskflow] connection", clock, session.MEANWHILE)


def recovery_workflow_details(store: Store, notification_uuid: str) -> list[dict[str, Any]]:
    """The steps of all attempts that have progress, in the order in which they ran.

    Each is {name, state, progress (0 to 1), progress_details}; the details are
    {timestamp, progress, message}, all text, oldest first, with the request_id where the step
    stored it.  Raises DatabaseUnavailable.
    """
    return [_step(row) for row in _rows(store, notification_uuid)]


def chapters(store: Store, notification_uuid: str) -> list[dict[str, Any]]:
    """The chapters of all attempts that have progress, in the order in which they ran.

    Each is {attempt, chapter (from 1), name, steps}; the steps are as in
    `recovery_workflow_details`.  What OpenStack's engine has stored has no attempt, chapter and
    name: they are None.  Raises DatabaseUnavailable.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in _rows(store, notification_uuid):
        meta = row["flow_meta"] or {}
        told = {key: meta.get(key) for key in ("attempt", "chapter", "name")}
        chapter = found.setdefault(row["flow"], {**told, "steps": []})
        chapter["steps"].append(_step(row))
    return list(found.values())


def _step(row: sa.RowMapping) -> dict[str, Any]:
    return {
        "name": row["name"],
        "state": row["state"],
        "progress": float(row["meta"]["progress"]),
        "progress_details": _said(row["meta"]),
    }


def _rows(store: Store, notification_uuid: str) -> list[sa.RowMapping]:
    """The atoms that have said something, in the order in which they ran."""
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
        engine = store.engine.execution_options(**{drivers.WRITES: False})
        with engine.connect() as connection:
            found: Sequence[sa.RowMapping] = connection.execute(query).mappings().all()
        return found

    rows = [row for row in retry.calling(store.clock, read, store.outage) if _said(row["meta"])]
    begun: dict[str, str] = {}
    for row in rows:
        first = _said(row["meta"])[0]["timestamp"]
        begun[row["flow"]] = min(begun.get(row["flow"], first), first)

    def order(row: sa.RowMapping) -> tuple[datetime.datetime, str, str, int, str]:
        steps = (row["flow_meta"] or {}).get("steps", [])
        place = steps.index(row["name"]) if row["name"] in steps else len(steps)
        first = _said(row["meta"])[0]["timestamp"]
        return row["begun"] or datetime.datetime.min, begun[row["flow"]], row["flow"], place, first

    return sorted(rows, key=order)


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
