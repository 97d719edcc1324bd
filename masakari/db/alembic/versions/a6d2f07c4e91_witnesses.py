"""Who reported a failure first, and who saw it, too.

OpenStack's code runs on this schema, so a rollback leaves it as it is and only sets the version
back.  What is there already is therefore not made again.

Revision: a6d2f07c4e91
Revises: e3f60b2c97d8
"""

import sqlalchemy as sa
from alembic import op

revision = "a6d2f07c4e91"
down_revision = "e3f60b2c97d8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    present = {column["name"] for column in inspector.get_columns("notifications")}
    if "reported_by" not in present:
        op.add_column("notifications", sa.Column("reported_by", sa.String(255)))
    if inspector.has_table("witnesses"):
        return
    op.create_table(
        "witnesses",
        sa.Column("id", sa.Integer, primary_key=True, nullable=False),
        sa.Column("created_at", sa.DateTime),
        sa.Column("notification_uuid", sa.String(36), nullable=False),
        sa.Column("reported_by", sa.String(255), nullable=False),
        sa.Column("generated_time", sa.DateTime, nullable=False),
        sa.Column("payload", sa.Text),
        sa.UniqueConstraint(
            "notification_uuid", "reported_by", name="uniq_witness0notification0reported_by"
        ),
        mysql_engine="InnoDB",
        mysql_charset="utf8",
    )
