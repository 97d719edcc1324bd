"""Segments that are only observed; notifications that operators have cancelled or retried.

OpenStack's code runs on this schema, so a rollback leaves it as it is and only sets the version
back.  What is there already is therefore not made again.

Revision: e3f60b2c97d8
Revises: f19c3b7a5e42
"""

import sqlalchemy as sa
from alembic import op

revision = "e3f60b2c97d8"
down_revision = "f19c3b7a5e42"
branch_labels = None
depends_on = None


def columns() -> dict[str, list[sa.Column]]:
    return {
        "failover_segments": [
            sa.Column("observe_only", sa.Boolean, nullable=False, server_default=sa.false()),
        ],
        "notifications": [
            sa.Column("cancelled_at", sa.DateTime),
            sa.Column("retried_at", sa.DateTime),
        ],
    }


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    for table, wanted in columns().items():
        present = {c["name"] for c in inspector.get_columns(table)}
        for column in wanted:
            if column.name not in present:
                # not in a batch: on SQLite that makes the table anew, and hosts refer to segments
                op.add_column(table, column)
