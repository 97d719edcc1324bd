"""Reserved hosts in use, waiting notifications, chapters of an attempt, recoveries of single VMs.

OpenStack's code runs on this schema, so a rollback leaves it as it is and only sets the version
back.  What is there already is therefore not made again.

Revision: b7e2c9d41f06
Revises: 5c0d1a7be291
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "b7e2c9d41f06"
down_revision = "5c0d1a7be291"
branch_labels = None
depends_on = None

PRECISE_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def columns() -> dict[str, list[sa.Column]]:
    return {
        "hosts": [
            sa.Column("reserved_for", sa.String(36)),
            sa.Column("reserved_undo", sa.Text),
        ],
        "notifications": [
            sa.Column("not_before", PRECISE_TIME),
            sa.Column("request_id", sa.String(255)),
            sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        ],
        "vmoves": [
            sa.Column("chapter", sa.Integer, nullable=False, server_default=sa.text("1")),
        ],
    }


INDEXES = {
    "hosts": {"hosts_reserved_for_idx": ["reserved_for"]},
    "vm_recoveries": {"vm_recoveries_instance_idx": ["instance_uuid", "started_at"]},
}


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table("vm_recoveries"):
        create_vm_recoveries()
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


def create_vm_recoveries() -> None:
    op.create_table(
        "vm_recoveries",
        sa.Column("id", sa.Integer, primary_key=True, nullable=False),
        sa.Column("created_at", sa.DateTime),
        sa.Column("updated_at", sa.DateTime),
        sa.Column("instance_uuid", sa.String(36), nullable=False),
        sa.Column("notification_uuid", sa.String(36), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("started_at", PRECISE_TIME, nullable=False),
        sa.Column("power_on_at", PRECISE_TIME),
        sa.Column("ended_at", PRECISE_TIME),
        sa.Column("outcome", sa.String(16)),
        sa.UniqueConstraint(
            "notification_uuid", "attempt", "action", name="uniq_vm_recovery0notification0attempt"
        ),
        mysql_engine="InnoDB",
        mysql_charset="utf8",
    )
