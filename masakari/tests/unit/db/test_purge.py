"""What `masakari-manage db purge` takes, and what it leaves."""

import dataclasses
import datetime
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from taskflow.persistence import models as taskflow_models

from masakari import db
from masakari.db import models, progress, purge, steps
from masakari.db.models import Notification
from masakari.db.progress import Backend
from masakari.db.session import Database
from masakari.tests.unit.db import rows

NOW = datetime.datetime(2026, 6, 1)
OLD = datetime.datetime(2026, 1, 1)
RUN = purge.Purge(before=datetime.datetime(2026, 5, 1), forgotten_before=NOW)


@pytest.fixture
def store(migrated_conf: cfg.ConfigOpts) -> Iterator[Backend]:
    found = progress.connect(migrated_conf)
    yield found
    found.close()


def execute(database: Database, *statements: sa.Executable) -> None:
    with database.writing() as tx:
        for statement in statements:
            tx.connection.execute(statement)


def aged(database: Database, n: Notification, **values: object) -> None:
    """The notification, its vmoves and what was done to VMs for it were written long ago."""
    is_its = {
        t: t.c.notification_uuid == n.notification_uuid
        for t in (models.notifications, models.vmoves, models.vm_recoveries)
    }
    execute(
        database,
        *(sa.update(t).where(w).values(created_at=OLD, updated_at=OLD) for t, w in is_its.items()),
        sa.update(models.vm_recoveries)
        .where(is_its[models.vm_recoveries])
        .values(started_at=OLD, ended_at=OLD),
    )
    if values:
        execute(
            database,
            sa.update(models.notifications).where(is_its[models.notifications]).values(**values),
        )


def ended(
    database: Database, store: Backend, status: str = "finished", moves: int = 2
) -> Notification:
    """A notification of long ago with vmoves, a witness, a VM's recovery and a book."""
    n = rows.report(database, window_s=-1)
    execute(
        database,
        sa.update(models.notifications)
        .where(models.notifications.c.id == n.id)
        .values(status="running", attempt=1, owner="engine-a"),
    )
    db.vmoves.prepare(
        database, n.notification_uuid, 1, 1, [rows.move(number) for number in range(moves)]
    )
    execute(
        database,
        sa.insert(models.witnesses).values(
            created_at=OLD,
            notification_uuid=n.notification_uuid,
            reported_by="b",
            generated_time=OLD,
        ),
    )
    db.vm_recoveries.begin(
        database,
        instance_uuid=rows.move().instance_uuid,
        notification_uuid=n.notification_uuid,
        attempt=1,
        action="restart",
        host="compute1",
    )
    if status not in ("running",):
        db.leases.settle(
            database, n.notification_uuid, owner="engine-a", status=status, message="so"
        )
    book = taskflow_models.LogBook("instance:evacuate", uuid=n.notification_uuid)
    flow = taskflow_models.FlowDetail("f", f"f{n.notification_uuid[1:]}")
    flow.add(taskflow_models.TaskDetail("t", f"a{n.notification_uuid[1:]}"))
    book.add(flow)
    store.get_connection().save_logbook(book)
    with store.engine.begin() as connection:
        connection.execute(sa.update(steps.TABLES.logbooks).values(created_at=OLD))
        connection.execute(sa.update(steps.TABLES.logbooks).values(updated_at=OLD))
    aged(database, n)
    return n


def run(database: Database, store: Backend, **changes: object) -> dict[str, int]:
    """What goes of each table."""
    counts = purge.purge(database, store, dataclasses.replace(RUN, counts={}, **changes))
    return {table: count for table, count in counts.items() if count}


def counted(database: Database, store: Backend) -> dict[str, int]:
    """What is there in each table."""
    found = {}
    for tables, engine in (
        (models.metadata.sorted_tables, database.engine),
        (steps.TABLES, store.engine),
    ):
        with engine.connect() as connection:
            for table in tables:
                query = sa.select(sa.func.count()).select_from(table)
                found[table.name] = connection.execute(query).scalar_one()
    return found


ONE = {
    "notifications": 1,
    "vmoves": 2,
    "witnesses": 1,
    "vm_recoveries": 1,
    "logbooks": 1,
    "flowdetails": 1,
    "atomdetails": 1,
}


@pytest.mark.parametrize("status", ["finished", "failed", "ignored"])
def test_purge_what_ended_long_ago_goes_whole(
    database: Database, store: Backend, status: str
) -> None:
    rows.host(database)
    ended(database, store, status)

    assert run(database, store, is_dry=True) == ONE
    assert run(database, store) == ONE
    left = {table: n for table, n in counted(database, store).items() if n}
    assert left == {"failover_segments": 1, "hosts": 1}
    assert run(database, store) == {}


@pytest.mark.parametrize("status", ["running", "error"])
def test_purge_what_is_unfinished_stays_whole(
    database: Database, store: Backend, status: str
) -> None:
    rows.host(database)
    ended(database, store, status)

    assert run(database, store, is_dry=True) == {}
    assert run(database, store) == {}
    assert counted(database, store)["atomdetails"] == 1


@pytest.mark.parametrize("updated_at", [NOW, None], ids=["young", "unknown age"])
def test_purge_what_ended_lately_or_nobody_knows_when_stays(
    database: Database, store: Backend, updated_at: datetime.datetime | None
) -> None:
    rows.host(database)
    aged(database, ended(database, store), updated_at=updated_at)

    for is_dry in (True, False):
        gone = run(database, store, is_dry=is_dry)
        assert set(gone) <= {"vm_recoveries"}
    assert counted(database, store)["vmoves"] == 2
    assert counted(database, store)["logbooks"] == 1


@pytest.mark.parametrize("column", ["reserved_for", "maintenance_by"])
def test_purge_what_a_host_refers_to_stays(database: Database, store: Backend, column: str) -> None:
    rows.host(database)
    n = ended(database, store)
    execute(database, sa.update(models.hosts).values({column: n.notification_uuid}))

    assert "notifications" not in run(database, store)
    assert counted(database, store)["vmoves"] == 2


def test_purge_what_has_locked_a_vm_stays(database: Database, store: Backend) -> None:
    rows.host(database)
    ended(database, store)
    execute(database, sa.update(models.vmoves).values(locked=True))

    assert "notifications" not in run(database, store)


def test_purge_deleted_host_and_segment_go_with_the_last_of_their_notifications(
    database: Database, store: Backend
) -> None:
    host = rows.host(database)
    n = ended(database, store)
    old, young = ({"deleted_at": when, "deleted": 1} for when in (OLD, NOW))
    tables = (models.hosts, models.segments)
    execute(database, *(sa.update(t).values(**old) for t in tables))
    aged(database, n, updated_at=NOW)

    assert set(run(database, store)) <= {"vm_recoveries"}

    aged(database, n)
    execute(database, sa.update(models.hosts).values(**young))
    assert "failover_segments" not in run(database, store, is_dry=True)
    execute(database, sa.update(models.hosts).values(**old))
    for is_dry in (True, False):
        gone = run(database, store, is_dry=is_dry)
        assert (gone["hosts"], gone["failover_segments"]) == (1, 1)
    assert db.hosts.find(database, host.uuid) is None
    assert set(counted(database, store).values()) == {0}


def test_purge_live_host_and_segment_stay(database: Database, store: Backend) -> None:
    rows.host(database)
    for table in (models.hosts, models.segments):
        execute(database, sa.update(table).values(created_at=OLD, updated_at=OLD))

    assert run(database, store) == {}


def test_purge_vmoves_and_books_without_a_notification_go(
    database: Database, store: Backend
) -> None:
    """OpenStack's purge left them, and so does one that was killed between two batches."""
    rows.host(database)
    ended(database, store)
    execute(database, sa.delete(models.notifications))

    gone = {table: count for table, count in ONE.items() if table != "notifications"}
    assert run(database, store, is_dry=True) == gone
    assert run(database, store) == gone
    assert counted(database, store)["vmoves"] == 0
    assert counted(database, store)["logbooks"] == 0


def test_purge_memory_of_crash_loops_stays_within_its_window(
    database: Database, store: Backend
) -> None:
    rows.host(database)
    ended(database, store)

    run(database, store, forgotten_before=OLD)

    assert counted(database, store)["vm_recoveries"] == 1


def test_purge_max_rows_divides_no_notification(database: Database, store: Backend) -> None:
    rows.host(database)
    for _ in range(3):
        ended(database, store)

    assert run(database, store, max_rows=9) == {
        "notifications": 2,
        "vmoves": 4,
        "witnesses": 2,
        "vm_recoveries": 1,
    }
    assert counted(database, store)["vmoves"] == 2
    total = sum(run(database, store).values())
    assert total == 3 * sum(ONE.values()) - 9


def test_purge_works_in_batches(
    database: Database, store: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH_ROWS", 4)
    rows.host(database)
    for moves in (1, 1, 9, 0):
        ended(database, store, moves=moves)
    kept = ended(database, store, "error")

    gone = run(database, store)

    assert (gone["notifications"], gone["vmoves"], gone["logbooks"]) == (4, 11, 4)
    assert db.notifications.get(database, kept.notification_uuid).status == "error"
    assert len(db.vmoves.of_attempt(database, kept.notification_uuid, 1)) == 2


def test_purge_books_in_a_database_of_their_own(
    database: Database, migrated_conf: cfg.ConfigOpts, tmp_path: object
) -> None:
    rows.host(database)
    migrated_conf.set_override("connection", f"sqlite:///{tmp_path}/f.sqlite", group="taskflow")
    db.migration.sync(migrated_conf)
    store = progress.connect(migrated_conf)
    ended(database, store)

    assert run(database, store) == ONE
    assert counted(database, store)["atomdetails"] == 0
    store.close()
