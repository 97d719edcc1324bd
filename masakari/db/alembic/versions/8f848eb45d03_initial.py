"""Segments, hosts and notifications, as OpenStack's Masakari made them.

MySQL keeps what of a revision was done when it breaks off, so what is there is not made again.

Revision: 8f848eb45d03
"""

import sqlalchemy as sa
from alembic import op

revision = "8f848eb45d03"
down_revision = None
branch_labels = None
depends_on = None

MYSQL = {"mysql_engine": "InnoDB", "mysql_charset": "utf8"}


def times_and_id() -> tuple[sa.Column, ...]:
    return (
        sa.Column("created_at", sa.DateTime),
        sa.Column("updated_at", sa.DateTime),
        sa.Column("deleted_at", sa.DateTime),
        sa.Column("deleted", sa.Integer),
        sa.Column("id", sa.Integer, primary_key=True, nullable=False),
    )


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    for table, create in CREATE.items():
        if not inspector.has_table(table):
            create()


def create_segments() -> None:
    op.create_table(
        "failover_segments",
        *times_and_id(),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("service_type", sa.String(255), nullable=False),
        sa.Column("enabled", sa.Boolean),
        sa.Column("description", sa.Text),
        sa.Column(
            "recovery_method",
            sa.Enum(
                "auto", "reserved_host", "auto_priority", "rh_priority", name="recovery_methods"
            ),
            nullable=False,
        ),
        sa.UniqueConstraint("name", "deleted", name="uniq_segment0name0deleted"),
        sa.UniqueConstraint("uuid", name="uniq_segments0uuid"),
        sa.Index("segments_service_type_idx", "service_type"),
        **MYSQL,
    )


def create_hosts() -> None:
    op.create_table(
        "hosts",
        *times_and_id(),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("reserved", sa.Boolean),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("control_attributes", sa.Text, nullable=False),
        sa.Column("on_maintenance", sa.Boolean),
        sa.Column(
            "failover_segment_id",
            sa.String(36),
            sa.ForeignKey("failover_segments.uuid"),
            nullable=False,
        ),
        sa.UniqueConstraint("name", "deleted", name="uniq_host0name0deleted"),
        sa.UniqueConstraint("uuid", name="uniq_host0uuid"),
        sa.Index("hosts_type_idx", "type"),
        **MYSQL,
    )


def create_notifications() -> None:
    op.create_table(
        "notifications",
        *times_and_id(),
        sa.Column("notification_uuid", sa.String(36), nullable=False),
        sa.Column("generated_time", sa.DateTime, nullable=False),
        sa.Column("source_host_uuid", sa.String(36), nullable=False),
        sa.Column("type", sa.String(36), nullable=False),
        sa.Column("payload", sa.Text),
        sa.Column(
            "status",
            sa.Enum(
                "new",
                "running",
                "error",
                "failed",
                "ignored",
                "finished",
                name="notification_status",
            ),
            nullable=False,
        ),
        sa.UniqueConstraint("notification_uuid", name="uniq_notification0uuid"),
        **MYSQL,
    )


CREATE = {
    "failover_segments": create_segments,
    "hosts": create_hosts,
    "notifications": create_notifications,
}
