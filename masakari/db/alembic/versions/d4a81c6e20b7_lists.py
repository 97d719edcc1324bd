"""Indexes for lists of notifications: of a host, of a type, generated since a time.

OpenStack's code runs on this schema, so a rollback leaves it as it is and only sets the version
back.  What is there already is therefore not made again.

Revision: d4a81c6e20b7
Revises: b7e2c9d41f06
"""

import sqlalchemy as sa
from alembic import op

revision = "d4a81c6e20b7"
down_revision = "b7e2c9d41f06"
branch_labels = None
depends_on = None

TABLE = "notifications"
INDEXES = {
    "notifications_host_created_idx": ["source_host_uuid", "created_at", "id"],
    "notifications_type_created_idx": ["type", "created_at", "id"],
    "notifications_generated_idx": ["generated_time", "created_at", "id"],
}


def upgrade() -> None:
    present = {i["name"] for i in sa.inspect(op.get_bind()).get_indexes(TABLE)}
    for name, columns in INDEXES.items():
        if name not in present:
            op.create_index(name, TABLE, columns)
