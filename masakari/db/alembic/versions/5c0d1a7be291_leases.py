"""Leases, attempts, proof and locks; indexes for what is asked often; what is known filled in.

OpenStack's code runs on this schema, so a rollback leaves it as it is and only sets the version
back.  What is there already is therefore not made again.

Revision: 5c0d1a7be291
Revises: 13adff5efb9a
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "5c0d1a7be291"
down_revision = "13adff5efb9a"
branch_labels = None
depends_on = None


def columns() -> dict[str, list[sa.Column]]:
    precise_time = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    return {
        "hosts": [sa.Column("maintenance_by", sa.String(64))],
        "notifications": [
            sa.Column("owner", sa.String(255)),
            sa.Column("lease_until", precise_time),
            sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("0")),
            sa.Column("proof", sa.Text),
        ],
        "vmoves": [
            sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("1")),
            sa.Column("rank", sa.Integer, nullable=False, server_default=sa.text("0")),
            sa.Column("vm_state", sa.String(255)),
            sa.Column("task_state", sa.String(255)),
            sa.Column("power_state", sa.Integer),
            sa.Column("locked", sa.Boolean, nullable=False, server_default=sa.false()),
        ],
    }


INDEXES = {
    "hosts": {"hosts_failover_segment_id_idx": ["failover_segment_id", "deleted"]},
    "notifications": {
        "notifications_status_idx": ["status", "lease_until"],
        "notifications_source_idx": ["source_host_uuid", "type", "generated_time"],
        "notifications_created_at_idx": ["created_at", "id"],
    },
    "vmoves": {
        "vmoves_notification_idx": ["notification_uuid", "attempt", "status"],
        "vmoves_locked_idx": ["locked"],
    },
}


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    for table, wanted in columns().items():
        present = {c["name"] for c in inspector.get_columns(table)}
        with op.batch_alter_table(table) as batch:
            for column in wanted:
                if column.name not in present:
                    batch.add_column(column)
    for table, indexes in INDEXES.items():
        present = {i["name"] for i in inspector.get_indexes(table)}
        for name, names in indexes.items():
            if name not in present:
                op.create_index(name, table, names)
    fill_in_segments()
    fill_in_maintenance()


def fill_in_segments() -> None:
    """Notifications older than 13adff5efb9a get the segment that their host is in."""
    notifications = sa.table(
        "notifications", sa.column("source_host_uuid"), sa.column("failover_segment_uuid")
    )
    hosts = sa.table("hosts", sa.column("uuid"), sa.column("failover_segment_id"))
    segment = (
        sa.select(hosts.c.failover_segment_id)
        .where(hosts.c.uuid == notifications.c.source_host_uuid)
        .scalar_subquery()
    )
    op.execute(
        sa.update(notifications)
        .where(notifications.c.failover_segment_uuid.is_(None))
        .values(failover_segment_uuid=segment)
    )


def fill_in_maintenance() -> None:
    """Hosts that a recovery of OpenStack's engine has on maintenance, and no operator, say so.

    While a recovery is open its API lets nobody change the host.
    """
    notifications = sa.table(
        "notifications",
        *(sa.column(n) for n in ("id", "notification_uuid", "source_host_uuid", "type")),
        *(sa.column(n) for n in ("payload", "status", "deleted")),
    )
    hosts = sa.table(
        "hosts",
        sa.column("uuid"),
        sa.column("on_maintenance", sa.Boolean),
        sa.column("maintenance_by", sa.String),
    )
    n, is_undecided = notifications.c, hosts.c.maintenance_by.is_(None)
    tried = op.get_bind().execute(
        sa.select(n.notification_uuid, n.source_host_uuid, n.payload)
        .join(hosts, hosts.c.uuid == n.source_host_uuid)
        .where(
            n.deleted == 0,
            sa.cast(n.status, sa.String(36)).in_(("running", "error")),
            n.type.in_(("COMPUTE_HOST", "PROCESS")),
            hosts.c.on_maintenance == sa.true(),
            is_undecided,
        )
        .order_by(n.type, n.id)  # that of the host itself before that of its processes
    )
    for uuid, host, payload in tried.all():
        if '"STOPPED"' in (payload or ""):
            op.execute(
                sa.update(hosts)
                .where(hosts.c.uuid == host, is_undecided)
                .values(maintenance_by=uuid)
            )
