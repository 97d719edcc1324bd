"""Queries that are asked often find their rows by an index (SQLite tells how it would look)."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from masakari import db
from masakari.db.models import Notification, VMove
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.tests.unit.db import rows

Call = Callable[[Database, Notification, VMove], object]

SCAN = re.compile(r"SCAN (?!CONSTANT ROW|\(subquery)")
"""Of a table; what SQLAlchemy makes of an empty IN is none."""

OFTEN: dict[str, Call] = {
    "report": lambda d, n, m: rows.report(d, payload={"event": "x"}),
    "claim": lambda d, n, m: db.leases.claim(d, n.notification_uuid, owner="engine-b", lease_s=9),
    "renew": lambda d, n, m: db.leases.renew(d, n.notification_uuid, owner="engine-a", lease_s=9),
    "settle": lambda d, n, m: db.leases.settle(
        d, n.notification_uuid, owner="engine-a", status="finished", message="m"
    ),
    "due": lambda d, n, m: db.leases.due(d),
    "expire": lambda d, n, m: db.leases.expire(d, age_s=9),
    "notifications": lambda d, n, m: db.notifications.page(d, Page(limit=9)),
    "notifications of a host": lambda d, n, m: db.notifications.page(
        d, Page(limit=9), source_host_uuid=n.source_host_uuid
    ),
    "notifications in a status": lambda d, n, m: db.notifications.page(
        d, Page(limit=9), status="new"
    ),
    "notifications of a type": lambda d, n, m: db.notifications.page(
        d, Page(limit=9), type="COMPUTE_HOST"
    ),
    "notifications since": lambda d, n, m: db.notifications.page(
        d, Page(limit=9), generated_since=rows.T0
    ),
    "host by name": lambda d, n, m: db.hosts.get_by_name(d, "compute1"),
    "host": lambda d, n, m: db.hosts.find(d, n.source_host_uuid),
    "hosts": lambda d, n, m: db.hosts.page(d, n.failover_segment_uuid, Page(limit=9)),
    "maintenance": lambda d, n, m: db.hosts.begin_maintenance(d, n.source_host_uuid, by="x"),
    "process maintenance": lambda d, n, m: db.hosts.end_process_maintenance(d, n.source_host_uuid),
    "reserved hosts": lambda d, n, m: db.hosts.reserved_hosts(d, n.failover_segment_uuid, by="x"),
    "take reserved": lambda d, n, m: db.hosts.take_reserved(d, n.source_host_uuid, by="x"),
    "give back reserved": lambda d, n, m: db.hosts.give_back_reserved(
        d, n.source_host_uuid, by="x"
    ),
    "take over reserved": lambda d, n, m: db.hosts.take_over_reserved(
        d, n.source_host_uuid, of="x", by="y"
    ),
    "forgotten reserved": lambda d, n, m: db.hosts.forgotten_reserved(d),
    "next due": lambda d, n, m: db.leases.next_due(d),
    "host failure": lambda d, n, m: db.notifications.host_failure_pending(d, n.source_host_uuid),
    "processes": lambda d, n, m: db.notifications.newest_process_events(d, n.source_host_uuid),
    "started": lambda d, n, m: db.notifications.started_after(d, n),
    "hasten": lambda d, n, m: db.leases.hasten(d, n),
    "arrived": lambda d, n, m: db.vmoves.arrived_from(
        d, n.source_host_uuid, m.instance_uuid, since=rows.T0
    ),
    "begin VM recovery": lambda d, n, m: db.vm_recoveries.begin(
        d,
        instance_uuid=m.instance_uuid,
        notification_uuid=n.notification_uuid,
        attempt=1,
        action="restart",
        host="compute1",
    ),
    "end VM recovery": lambda d, n, m: db.vm_recoveries.end(
        d, notification_uuid=n.notification_uuid, attempt=1, action="restart", outcome="o"
    ),
    "VM history": lambda d, n, m: db.vm_recoveries.history(d, m.instance_uuid, since=rows.T0),
    "VM power on": lambda d, n, m: db.vm_recoveries.last_power_on(d, m.instance_uuid),
    "VM recoveries": lambda d, n, m: db.vm_recoveries.of_notification(d, n.notification_uuid),
    "segment": lambda d, n, m: db.segments.update(
        d, rows.segment(d, "rack9").uuid, {"name": "rack8"}
    ),
    "prepare": lambda d, n, m: db.vmoves.prepare(d, n.notification_uuid, 1, 1, [rows.move(9)]),
    "attempt": lambda d, n, m: db.vmoves.of_attempt(d, n.notification_uuid, 1),
    "previous": lambda d, n, m: db.vmoves.previous(d, n.notification_uuid, 2, 2),
    "start": lambda d, n, m: db.vmoves.start(d, m.uuid, lock=True),
    "will_lock": lambda d, n, m: db.vmoves.will_lock(d, m.uuid),
    "finish": lambda d, n, m: db.vmoves.finish(d, m.uuid, status="failed", locked=False),
    "unlocked": lambda d, n, m: db.vmoves.unlocked(d, m.uuid),
    "still locked": lambda d, n, m: db.vmoves.still_locked(d),
    "vmoves": lambda d, n, m: db.vmoves.page(d, n.notification_uuid, Page(limit=9)),
}


@pytest.mark.parametrize("call", OFTEN.values(), ids=OFTEN)
def test_query_reads_no_whole_table(database: Database, call: Call) -> None:
    rows.host(database)
    n = rows.in_status(database, "running")
    (move,) = db.vmoves.prepare(database, n.notification_uuid, 1, 1, [rows.move()])
    asked: list[tuple[str, Any]] = []
    sa.event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cu, statement, parameters, *_: asked.append((statement, parameters)),
    )

    call(database, n, move)

    plans = [
        row[3]
        for statement, parameters in list(asked)
        if statement.startswith(("SELECT", "UPDATE"))
        for row in _explain(database, statement, parameters)
    ]
    assert plans
    assert [plan for plan in plans if SCAN.match(plan) and "USING" not in plan] == []


IN_ORDER: dict[str, tuple[Page, dict[str, Any]]] = {
    "all": (Page(limit=9), {}),
    "ascending": (Page(limit=9, sort_dirs=("asc",)), {}),
    "by id": (Page(limit=9, sort_keys=("id",)), {}),
    "by time": (Page(limit=9, sort_keys=("generated_time",)), {}),
    "of a host": (Page(limit=9), {"source_host_uuid": "h"}),
    "of a type": (Page(limit=9), {"type": "VM"}),
}


@pytest.mark.parametrize(("page", "filters"), IN_ORDER.values(), ids=IN_ORDER)
def test_page_of_notifications_is_read_in_its_order(
    database: Database, page: Page, filters: dict[str, Any]
) -> None:
    asked: list[tuple[str, Any]] = []
    sa.event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cu, statement, parameters, *_: asked.append((statement, parameters)),
    )

    db.notifications.page(database, page, **filters)

    selects = [asking for asking in asked if asking[0].startswith("SELECT")]
    plans = [row[3] for asking in selects for row in _explain(database, *asking)]
    assert plans
    assert [plan for plan in plans if "TEMP B-TREE" in plan] == []


def _explain(database: Database, statement: str, parameters: Any) -> list[Any]:
    with database.reading() as tx:
        found = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return list(found)
