"""Alarms that are raised.

OpenStack's code runs on this schema, so a rollback leaves it as it is and only sets the version
back.  What is there already is therefore not made again.

Revision: f19c3b7a5e42
Revises: d4a81c6e20b7
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "f19c3b7a5e42"
down_revision = "d4a81c6e20b7"
branch_labels = None
depends_on = None

PRECISE_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("alarms"):
        return
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer, primary_key=True, nullable=False),
        sa.Column("code", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("raised_at", PRECISE_TIME, nullable=False),
        sa.Column("seen_at", PRECISE_TIME, nullable=False),
        sa.UniqueConstraint("code", "subject", name="uniq_alarm0code0subject"),
        mysql_engine="InnoDB",
        mysql_charset="utf8",
    )
