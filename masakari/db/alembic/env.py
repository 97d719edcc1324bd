"""How alembic runs our revisions: on the connection that `masakari.db.migration` hands over."""

from alembic import context

from masakari.db import models
from masakari.db.migration import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=models.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
