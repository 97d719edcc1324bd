"""Upgrades of databases that OpenStack's Masakari made, with rows in them."""

import datetime
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from oslo_config import cfg

from masakari import db, errors
from masakari.clock import SystemClock
from masakari.db import migration, models, progress, session
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.tests.unit.db import rows

INITIAL, VMOVES, MESSAGE = "8f848eb45d03", "8bdf5929c5a6", "13adff5efb9a"
LEASES, CHAPTERS, NEWEST = "5c0d1a7be291", "b7e2c9d41f06", "a6d2f07c4e91"
SEGMENT, HOST, NOTIFICATION, STRAY, VMOVE = (
    f"00000000-0000-4000-8000-00000000000{n}" for n in range(5)
)
NOW = "2026-01-01 00:00:00"

ROWS_OF_OPENSTACK = {
    INITIAL: (
        "INSERT INTO failover_segments (created_at, deleted, uuid, name, service_type, enabled,"
        f" recovery_method) VALUES ('{NOW}', 0, '{SEGMENT}', 'rack1', 'COMPUTE', NULL, 'auto')",
        "INSERT INTO hosts (created_at, deleted, uuid, name, reserved, type, control_attributes,"
        f" on_maintenance, failover_segment_id) VALUES ('{NOW}', 0, '{HOST}', 'compute1', NULL,"
        f" 'kvm', 'ssh', NULL, '{SEGMENT}')",
        "INSERT INTO notifications (created_at, deleted, notification_uuid, generated_time,"
        f" source_host_uuid, type, payload, status) VALUES ('{NOW}', 0, '{NOTIFICATION}', '{NOW}',"
        f" '{HOST}', 'COMPUTE_HOST', '{{\"event\": \"STOPPED\"}}', 'running')",
        "INSERT INTO notifications (created_at, deleted, notification_uuid, generated_time,"
        f" source_host_uuid, type, payload, status) VALUES ('{NOW}', 0, '{STRAY}', '{NOW}',"
        f" '{STRAY}', 'VM', NULL, 'finished')",
    ),
    VMOVES: (
        "INSERT INTO vmoves (created_at, deleted, uuid, notification_uuid, instance_uuid,"
        f" instance_name, source_host, type, status) VALUES ('{NOW}', 0, '{VMOVE}',"
        f" '{NOTIFICATION}', '{VMOVE}', 'vm1', 'compute1', 'evacuation', 'pending')",
    ),
    MESSAGE: ("UPDATE notifications SET message = 'kept' WHERE status = 'finished'",),
}
CHAIN = (INITIAL, VMOVES, MESSAGE)


@pytest.fixture
def empty_conf(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Options with an empty database."""
    return conf


@pytest.fixture
def database(empty_conf: cfg.ConfigOpts) -> Iterator[Database]:
    """The empty database of `empty_conf`."""
    found = session.connect(empty_conf, SystemClock())
    yield found
    found.dispose()


def execute(database: Database, *statements: str) -> None:
    with database.writing() as tx:
        for statement in statements:
            tx.connection.exec_driver_sql(statement)


def openstacks(database: Database, revision: str) -> None:
    """The database is as OpenStack's Masakari left it at *revision*."""
    for step in CHAIN[: CHAIN.index(revision) + 1]:
        migration.upgrade(database, step)
        execute(database, *ROWS_OF_OPENSTACK[step])


def difference(database: Database) -> list[object]:
    """What alembic would change to make the tables those of the models."""

    def is_ours(name: str, kind: str, _parents: object) -> bool:
        return kind != "table" or name in models.metadata.tables

    with database.reading() as tx:
        context = MigrationContext.configure(
            tx.connection, opts={"compare_type": True, "include_name": is_ours}
        )
        return list(compare_metadata(context, models.metadata))


def test_sync_empty_database_has_the_tables_of_the_models(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    assert migration.version(empty_conf) is None

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST
    assert difference(database) == []
    rows.host(database)
    assert rows.report(database).status == "new"


def test_sync_makes_the_tables_of_taskflow(empty_conf: cfg.ConfigOpts, database: Database) -> None:
    migration.sync(empty_conf)

    with database.reading() as tx:
        tables = set(sa.inspect(tx.connection).get_table_names())
    assert {"logbooks", "flowdetails", "atomdetails"} <= tables
    assert "masakari_alembic_version" in tables


@pytest.mark.parametrize("revision", CHAIN)
def test_sync_database_of_openstack_has_the_tables_of_the_models(
    empty_conf: cfg.ConfigOpts, database: Database, revision: str
) -> None:
    openstacks(database, revision)
    assert migration.version(empty_conf) == revision

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST
    assert difference(database) == []


@pytest.mark.parametrize("revision", CHAIN)
def test_sync_database_of_openstack_keeps_its_rows(
    empty_conf: cfg.ConfigOpts, database: Database, revision: str
) -> None:
    openstacks(database, revision)

    migration.sync(empty_conf)

    host = db.hosts.get_by_name(database, "compute1")
    assert (host.reserved, host.on_maintenance, host.maintenance_by) == (False, False, None)
    assert (host.failover_segment.name, host.failover_segment.enabled) == ("rack1", True)
    found = {n.notification_uuid: n for n in db.notifications.every(database)}
    assert set(found) == {NOTIFICATION, STRAY}
    n = found[NOTIFICATION]
    assert (n.status, n.payload, n.attempt) == ("running", {"event": "STOPPED"}, 0)
    assert n.generated_time == datetime.datetime(2026, 1, 1)
    assert found[STRAY].payload == {}
    assert found[STRAY].message == ("kept" if revision == MESSAGE else None)
    moves = db.vmoves.of_attempt(database, NOTIFICATION, 1)
    assert [(m.uuid, m.attempt, m.locked) for m in moves] == (
        [] if revision == INITIAL else [(VMOVE, 1, False)]
    )


@pytest.mark.parametrize("revision", CHAIN)
def test_sync_database_of_openstack_fills_in_segments(
    empty_conf: cfg.ConfigOpts, database: Database, revision: str
) -> None:
    openstacks(database, revision)

    migration.sync(empty_conf)

    assert db.notifications.get(database, NOTIFICATION).failover_segment_uuid == SEGMENT
    assert db.notifications.get(database, STRAY).failover_segment_uuid is None


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ("status = 'running'", NOTIFICATION),
        ("status = 'error'", NOTIFICATION),
        ("type = 'PROCESS'", NOTIFICATION),
        ("status = 'new'", None),
        ("status = 'finished'", None),
        ("deleted = id", None),
        ("type = 'VM'", None),
        ('payload = \'{"event": "STARTED"}\'', None),
    ],
)
def test_sync_database_of_openstack_maintenance_is_that_of_the_open_recovery(
    empty_conf: cfg.ConfigOpts, database: Database, change: str, by: str | None
) -> None:
    openstacks(database, MESSAGE)
    execute(
        database,
        "UPDATE hosts SET on_maintenance = true",
        f"UPDATE notifications SET {change} WHERE notification_uuid = '{NOTIFICATION}'",
    )

    migration.sync(empty_conf)

    assert db.hosts.get_by_name(database, "compute1").maintenance_by == by


def test_sync_database_of_openstack_its_running_recovery_is_taken_over(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    openstacks(database, MESSAGE)
    migration.sync(empty_conf)

    assert db.leases.due(database) == [NOTIFICATION]
    claimed = db.leases.claim(database, NOTIFICATION, owner="a", lease_s=9)
    assert claimed is not None
    assert [m.uuid for m in db.vmoves.previous(database, NOTIFICATION, claimed.attempt, 1)] == [
        VMOVE
    ]


def test_openstack_works_on_our_schema_after_a_rollback(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    migration.sync(empty_conf)

    for step in CHAIN:
        execute(database, *ROWS_OF_OPENSTACK[step])

    assert len(db.notifications.page(database, Page(limit=9))) == 2


def test_sync_after_a_rollback_goes_on(empty_conf: cfg.ConfigOpts, database: Database) -> None:
    """The rollback leaves our columns and only sets the version back."""
    openstacks(database, MESSAGE)
    migration.sync(empty_conf)
    execute(database, f"UPDATE masakari_alembic_version SET version_num = '{MESSAGE}'")

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST
    assert difference(database) == []


def test_sync_database_of_our_first_release_keeps_its_rows(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    openstacks(database, MESSAGE)
    migration.upgrade(database, LEASES)
    execute(
        database,
        f"UPDATE hosts SET on_maintenance = true, maintenance_by = '{NOTIFICATION}'",
        'UPDATE notifications SET attempt = 3, proof = \'{"kind": "nova_down"}\'',
        "UPDATE vmoves SET attempt = 3, locked = true",
    )

    migration.sync(empty_conf)

    assert difference(database) == []
    host = db.hosts.get_by_name(database, "compute1")
    assert (host.maintenance_by, host.reserved_for, host.reserved_undo) == (
        NOTIFICATION,
        None,
        None,
    )
    n = db.notifications.get(database, NOTIFICATION)
    assert (n.attempt, n.proof, n.not_before, n.request_id) == (
        3,
        {"kind": "nova_down"},
        None,
        None,
    )
    (move,) = db.vmoves.of_attempt(database, NOTIFICATION, 3)
    assert (move.chapter, move.locked) == (1, True)


@pytest.mark.parametrize("version", [MESSAGE, LEASES])
def test_sync_that_was_interrupted_goes_on(
    empty_conf: cfg.ConfigOpts, database: Database, version: str
) -> None:
    """MySQL keeps what of a revision was done when it breaks off."""
    migration.sync(empty_conf)
    name = "vm_recoveries_instance_idx"
    mysql = database.engine.dialect.name == "mysql"
    execute(
        database,
        f"DROP INDEX {name} ON vm_recoveries" if mysql else f"DROP INDEX {name}",
        "ALTER TABLE notifications DROP COLUMN request_id",
        "ALTER TABLE vmoves DROP COLUMN chapter",
        f"UPDATE masakari_alembic_version SET version_num = '{version}'",
    )

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST
    assert difference(database) == []


def test_sync_that_was_interrupted_between_indexes_goes_on(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    migration.sync(empty_conf)
    name = "notifications_type_created_idx"
    mysql = database.engine.dialect.name == "mysql"
    execute(
        database,
        f"DROP INDEX {name} ON notifications" if mysql else f"DROP INDEX {name}",
        f"UPDATE masakari_alembic_version SET version_num = '{CHAPTERS}'",
    )

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST
    assert difference(database) == []


def test_sync_to_a_revision_stops_there(empty_conf: cfg.ConfigOpts, database: Database) -> None:
    migration.sync(empty_conf, VMOVES)

    assert migration.version(empty_conf) == VMOVES


def test_sync_to_an_earlier_revision_changes_nothing(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    migration.sync(empty_conf)

    migration.sync(empty_conf, VMOVES)

    assert migration.version(empty_conf) == NEWEST


def test_sync_twice_changes_nothing(empty_conf: cfg.ConfigOpts, database: Database) -> None:
    migration.sync(empty_conf)
    rows.host(database)

    migration.sync(empty_conf)

    assert db.hosts.get_by_name(database, "compute1").name == "compute1"


@pytest.mark.parametrize("revision", ["nonsense", "7", "+9"])
def test_sync_to_an_unknown_revision_raises(empty_conf: cfg.ConfigOpts, revision: str) -> None:
    with pytest.raises(errors.Invalid, match="no database revision"):
        migration.sync(empty_conf, revision)


def test_sync_database_of_a_later_release_raises(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    migration.sync(empty_conf)
    execute(database, "UPDATE masakari_alembic_version SET version_num = 'f00f00f00f00'")

    with pytest.raises(errors.Invalid, match="f00f00f00f00"):
        migration.sync(empty_conf)


# ---- releases before alembic


def legacy(database: Database, number: int, revision: str) -> None:
    """As sqlalchemy-migrate left it: the tables of *revision*, and its own version *number*."""
    openstacks(database, revision)
    execute(
        database,
        "DROP TABLE masakari_alembic_version",
        "CREATE TABLE migrate_version (repository_id VARCHAR(250) PRIMARY KEY,"
        " repository_path TEXT, version INTEGER)",
        f"INSERT INTO migrate_version VALUES ('masakari', '/x', {number})",
    )


@pytest.mark.parametrize(("number", "revision"), [(7, INITIAL), (8, VMOVES)])
def test_sync_legacy_version_is_adopted(
    empty_conf: cfg.ConfigOpts, database: Database, number: int, revision: str
) -> None:
    legacy(database, number, revision)

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST
    assert difference(database) == []


@pytest.mark.parametrize(("number", "words"), [(6, "upgrade it with that release"), (9, "FORCE_")])
def test_sync_legacy_version_unknown_is_refused(
    empty_conf: cfg.ConfigOpts,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: str,
) -> None:
    monkeypatch.delenv("FORCE_MASAKARI_DB_SYNC", raising=False)
    legacy(database, number, VMOVES)

    with pytest.raises(errors.Invalid, match=words):
        migration.sync(empty_conf)

    assert migration.version(empty_conf) is None


def test_sync_legacy_version_later_is_adopted_when_forced(
    empty_conf: cfg.ConfigOpts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_MASAKARI_DB_SYNC", "1")
    legacy(database, 9, VMOVES)

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST


def test_sync_migrate_version_beside_alembics_is_ignored(
    empty_conf: cfg.ConfigOpts, database: Database
) -> None:
    openstacks(database, MESSAGE)
    execute(
        database,
        "CREATE TABLE migrate_version (version INTEGER)",
        "INSERT INTO migrate_version VALUES (3)",
    )

    migration.sync(empty_conf)

    assert migration.version(empty_conf) == NEWEST


def test_sync_two_at_once_both_succeed(empty_conf: cfg.ConfigOpts, database: Database) -> None:
    outcomes = rows.at_once(lambda _: migration.sync(empty_conf), times=2)

    assert outcomes == [None, None]
    assert difference(database) == []


def test_sync_taskflow_in_a_database_of_its_own(
    empty_conf: cfg.ConfigOpts, database: Database, tmp_path: object
) -> None:
    empty_conf.set_override("connection", f"sqlite:///{tmp_path}/flows.sqlite", group="taskflow")

    migration.sync(empty_conf)

    with database.reading() as tx:
        assert not sa.inspect(tx.connection).has_table("logbooks")
    backend = progress.connect(empty_conf)
    assert sa.inspect(backend.engine).has_table("logbooks")
    backend.close()
