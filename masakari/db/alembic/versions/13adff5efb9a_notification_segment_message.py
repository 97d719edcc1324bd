"""Segment and message of notifications, as OpenStack's Masakari made them.

Revision: 13adff5efb9a
Revises: 8bdf5929c5a6
"""

import sqlalchemy as sa
from alembic import op

revision = "13adff5efb9a"
down_revision = "8bdf5929c5a6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # MySQL keeps what of a revision was done when it breaks off.
    present = {c["name"] for c in sa.inspect(op.get_bind()).get_columns("notifications")}
    wanted = (sa.Column("failover_segment_uuid", sa.String(36)), sa.Column("message", sa.Text))
    with op.batch_alter_table("notifications") as batch:
        for column in wanted:
            if column.name not in present:
                batch.add_column(column)
