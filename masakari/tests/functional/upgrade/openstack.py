"""A database as OpenStack's Masakari has it: its tables, its statements, and rows of every kind.

Nothing here comes from our own models and migrations.
"""

import datetime
import json

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, DateTime, Enum, Index, Integer, String, Text
from taskflow.persistence.backends.sqlalchemy import migration as taskflow_migration

INITIAL, VMOVES, MESSAGE = REVISIONS = ("8f848eb45d03", "8bdf5929c5a6", "13adff5efb9a")
LEGACY = {7: INITIAL, 8: VMOVES}
TASKFLOW = "3162c0f3f8e4"
"""All that TaskFlow keeps is TEXT there."""
STATUSES = ("new", "running", "error", "failed", "ignored", "finished")
HOST_STOPPED = {"event": "STOPPED", "cluster_status": "OFFLINE", "host_status": "NORMAL"}


def tables(revision):
    """Those of *revision*."""
    metadata = sa.MetaData()
    level = REVISIONS.index(revision)
    sa.Table(
        "failover_segments",
        metadata,
        *_common(),
        Column("uuid", String(36), nullable=False),
        Column("name", String(255), nullable=False),
        Column("service_type", String(255), nullable=False),
        Column("enabled", Boolean),
        Column("description", Text),
        Column(
            "recovery_method",
            Enum("auto", "reserved_host", "auto_priority", "rh_priority", name="recovery_methods"),
            nullable=False,
        ),
        sa.UniqueConstraint("name", "deleted", name="uniq_segment0name0deleted"),
        sa.UniqueConstraint("uuid", name="uniq_segments0uuid"),
        Index("segments_service_type_idx", "service_type"),
    )
    sa.Table(
        "hosts",
        metadata,
        *_common(),
        Column("uuid", String(36), nullable=False),
        Column("name", String(255), nullable=False),
        Column("reserved", Boolean),
        Column("type", String(255), nullable=False),
        Column("control_attributes", Text, nullable=False),
        Column("on_maintenance", Boolean),
        Column(
            "failover_segment_id",
            String(36),
            sa.ForeignKey("failover_segments.uuid"),
            nullable=False,
        ),
        sa.UniqueConstraint("name", "deleted", name="uniq_host0name0deleted"),
        sa.UniqueConstraint("uuid", name="uniq_host0uuid"),
        Index("hosts_type_idx", "type"),
    )
    added = [Column("failover_segment_uuid", String(36)), Column("message", Text)]
    sa.Table(
        "notifications",
        metadata,
        *_common(),
        Column("notification_uuid", String(36), nullable=False),
        Column("generated_time", DateTime, nullable=False),
        Column("source_host_uuid", String(36), nullable=False),
        Column("type", String(36), nullable=False),
        Column("payload", Text),
        Column("status", Enum(*STATUSES, name="notification_status"), nullable=False),
        *(added if level >= REVISIONS.index(MESSAGE) else []),
        sa.UniqueConstraint("notification_uuid", name="uniq_notification0uuid"),
    )
    if level >= REVISIONS.index(VMOVES):
        sa.Table(
            "vmoves",
            metadata,
            *_common(),
            Column("uuid", String(36), nullable=False),
            Column("notification_uuid", String(36), nullable=False),
            Column("instance_uuid", String(36), nullable=False),
            Column("instance_name", String(255), nullable=False),
            Column("source_host", String(255)),
            Column("dest_host", String(255)),
            Column("start_time", DateTime),
            Column("end_time", DateTime),
            Column("type", String(36)),
            Column("status", String(255)),
            Column("message", Text),
            sa.UniqueConstraint("uuid", name="uniq_vmove0uuid"),
        )
    return metadata


def _common():
    return (
        Column("created_at", DateTime),
        Column("updated_at", DateTime),
        Column("deleted_at", DateTime),
        Column("deleted", Integer),
        Column("id", Integer, primary_key=True, nullable=False, autoincrement=True),
    )


def create(engine, revision, legacy=None):
    """The tables of *revision*, TaskFlow's beside them; *legacy*: as sqlalchemy-migrate left it."""
    tables(revision).create_all(engine)
    with engine.begin() as connection:
        taskflow_migration.db_sync(connection, TASKFLOW)
    if legacy is None:
        statements = (
            "CREATE TABLE masakari_alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
            f"INSERT INTO masakari_alembic_version VALUES ('{revision}')",
        )
    else:
        statements = (
            "CREATE TABLE migrate_version (repository_id VARCHAR(250) NOT NULL PRIMARY KEY,"
            " repository_path TEXT, version INTEGER)",
            f"INSERT INTO migrate_version VALUES ('masakari', '/x', {legacy})",
        )
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def uuid(number):
    return f"00000000-0000-4000-8000-{number:012d}"


RACK, OLD_RACK, COMPUTE1, COMPUTE2, COMPUTE3, OLD_COMPUTE3 = (uuid(n) for n in range(6))
RUNNING, ERROR, NEW, EXPIRED, GONE, FINISHED, FAILED, IGNORED = (uuid(n) for n in range(20, 28))
NOTIFICATIONS = (RUNNING, ERROR, NEW, EXPIRED, GONE, FINISHED, FAILED, IGNORED)
MOVES = tuple(uuid(n) for n in range(40, 46))


def fill(engine, revision, now, servers):
    """Rows of every kind, inserted with the columns of *revision* only; *now* is the time.

    *servers* are uuids: three of VMs on compute1, one of a stopped one on compute2.
    """
    metadata = tables(revision)
    now = now.replace(microsecond=0)
    table = metadata.tables
    then = now - datetime.timedelta(days=40)
    dead = {"created_at": then, "updated_at": then, "deleted_at": then}
    alive = {"created_at": then, "updated_at": None, "deleted_at": None, "deleted": 0}
    minutes = datetime.timedelta(minutes=1)
    segment = {"service_type": "COMPUTE", "recovery_method": "auto", "description": None}
    host = {"type": "COMPUTE", "control_attributes": "SSH", "failover_segment_id": RACK}
    with engine.begin() as c:

        def insert(into, /, **values):
            c.execute(sa.insert(table[into]).values(**values))

        insert("failover_segments", id=1, uuid=OLD_RACK, name="rack", enabled=False, **segment,
               **dead, deleted=1)  # fmt: skip
        insert("failover_segments", id=2, uuid=RACK, name="rack", enabled=None, **segment, **alive)
        old = {"reserved": True, "on_maintenance": True}
        insert("hosts", id=1, uuid=OLD_COMPUTE3, name="compute3", **old, **host, **dead, deleted=1)
        none = {"reserved": None, "on_maintenance": None}
        for n, host_uuid in enumerate((COMPUTE1, COMPUTE2, COMPUTE3), 1):
            flags = {"reserved": False, "on_maintenance": True} if n == 1 else none
            insert("hosts", id=n + 1, uuid=host_uuid, name=f"compute{n}", **flags, **host, **alive)

        def notify(number, status, type_, source, payload, *, age, segment=None, updated=now):
            generated = now - age
            more = {"failover_segment_uuid": segment, "message": None}
            insert(
                "notifications",
                id=NOTIFICATIONS.index(number) + 1,
                notification_uuid=number,
                status=status,
                type=type_,
                source_host_uuid=source,
                generated_time=generated,
                payload=None if payload is None else json.dumps(payload),
                created_at=generated,
                updated_at=updated,
                deleted=0,
                **(more if revision == MESSAGE else {}),
            )

        vm = {"event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}
        vm |= {"instance_uuid": servers[3]}
        process = {"event": "STOPPED", "process_name": "sshd"}
        notify(RUNNING, "running", "COMPUTE_HOST", COMPUTE1, HOST_STOPPED, age=9 * minutes)
        notify(ERROR, "error", "PROCESS", COMPUTE3, process, age=30 * minutes, segment=RACK)
        notify(NEW, "new", "VM", COMPUTE2, vm, age=60 * minutes, segment=RACK, updated=None)
        notify(EXPIRED, "running", "COMPUTE_HOST", COMPUTE2, HOST_STOPPED, age=4000 * minutes)
        notify(GONE, "running", "COMPUTE_HOST", OLD_COMPUTE3, HOST_STOPPED, age=5 * minutes)
        notify(FINISHED, "finished", "COMPUTE_HOST", COMPUTE3, HOST_STOPPED, age=now - then)
        notify(FAILED, "failed", "PROCESS", COMPUTE3, process, age=now - then, segment=RACK)
        notify(IGNORED, "ignored", "VM", uuid(99), None, age=now - then)
        if revision != INITIAL:
            _move_vms(insert, now, servers)
        _write_book(c, now)
        if c.dialect.name == "postgresql":
            for name in ("failover_segments", "hosts", "notifications"):
                sequence = f"pg_get_serial_sequence('{name}', 'id')"
                c.exec_driver_sql(f"SELECT setval({sequence}, max(id)) FROM {name}")


def _move_vms(insert, now, servers):
    """One of each status for what runs, and two of a recovery that was finished."""
    ways = [
        (RUNNING, "pending", servers[0], None),
        (RUNNING, "ongoing", servers[1], None),
        (RUNNING, "failed", servers[2], None),
        (RUNNING, "ignored", uuid(98), None),
        (FINISHED, "succeeded", uuid(97), "compute2"),
        (FINISHED, None, uuid(96), None),
    ]
    for move, (notification, status, instance, dest) in zip(MOVES, ways, strict=True):
        insert(
            "vmoves",
            uuid=move,
            notification_uuid=notification,
            instance_uuid=instance,
            instance_name="vm",
            source_host="compute1",
            dest_host=dest,
            start_time=now if status != "pending" else None,
            end_time=now if dest else None,
            type="evacuation",
            status=status,
            message="so" if status == "failed" else None,
            created_at=now,
            deleted=0,
        )


def _write_book(connection, now):
    """The book of what runs: its flow was in its second step."""
    said = [{"timestamp": str(now), "progress": "0.0", "message": "Disabling"}]
    meta = {"progress": 1.0, "progress_details": {"details": {"progress_details": said}}}
    store = sa.MetaData()
    for name in ("logbooks", "flowdetails", "atomdetails"):
        sa.Table(name, store, autoload_with=connection)
    book = {"uuid": RUNNING, "created_at": now, "name": "instance:evacuate"}
    flow = {"uuid": uuid(50), "parent_uuid": RUNNING, "created_at": now, "state": "RUNNING"}
    atom = {"parent_uuid": uuid(50), "atom_type": "TASK_DETAIL", "intention": "EXECUTE"}
    connection.execute(sa.insert(store.tables["logbooks"]).values(**book, meta="{}"))
    connection.execute(
        sa.insert(store.tables["flowdetails"]).values(
            **flow, name="instance_evacuate_engine", meta="{}"
        )
    )
    for n, (name, state) in enumerate(
        (("DisableComputeServiceTask", "SUCCESS"), ("EvacuateInstancesTask", "RUNNING"))
    ):
        connection.execute(
            sa.insert(store.tables["atomdetails"]).values(
                **atom,
                uuid=uuid(51 + n),
                created_at=now,
                name=name,
                state=state,
                meta=json.dumps(meta),
            )
        )


def work(engine, now):
    """What the old programs do with their tables: each statement names the old columns only."""
    table = tables(MESSAGE).tables
    notifications, hosts, vmoves = (table[t] for t in ("notifications", "hosts", "vmoves"))
    with engine.begin() as c:
        for name in table:
            assert c.execute(sa.select(table[name])).all()
        c.execute(sa.update(hosts).where(hosts.c.name == "compute2").values(on_maintenance=True))
        for n, status in enumerate(STATUSES):
            c.execute(
                sa.insert(notifications).values(
                    notification_uuid=uuid(60 + n),
                    status=status,
                    type="VM",
                    payload="{}",
                    source_host_uuid=COMPUTE2,
                    generated_time=now,
                    created_at=now,
                    deleted=0,
                    failover_segment_uuid=RACK,
                )
            )
        c.execute(
            sa.update(notifications)
            .where(notifications.c.notification_uuid == uuid(60))
            .values(status="running", message="m")
        )
        c.execute(
            sa.insert(vmoves).values(
                uuid=uuid(70),
                notification_uuid=uuid(60),
                instance_uuid=uuid(1),
                instance_name="vm",
                status="pending",
                type="evacuation",
                created_at=now,
                deleted=0,
            )
        )
        c.execute(sa.update(vmoves).where(vmoves.c.uuid == uuid(70)).values(status="ongoing"))
        c.execute(sa.update(notifications).values(deleted=notifications.c.id, deleted_at=now))
