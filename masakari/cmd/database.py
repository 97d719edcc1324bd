"""What the programs with a database do at start: wait for it."""

from oslo_log import log

from masakari import db
from masakari.clock import Clock
from masakari.cmd.systemd import Systemd
from masakari.errors import DatabaseUnavailable

LOG = log.getLogger(__name__)

PAUSE_S = 5.0
PATIENCE_S = 120.0
"""So long systemd waits for what the next try comes to."""


@db.session.reader
def _ask(tx: db.session.Transaction) -> None:
    tx.now()


def wait_for(database: db.session.Database, clock: Clock, systemd: Systemd) -> None:
    """Return when the database has answered; until then it is asked again and again."""
    while not is_answering(database):
        systemd.waiting("waiting for the database, which does not answer", PATIENCE_S)
        LOG.warning("asking the database again in %g s", PAUSE_S)
        clock.sleep(PAUSE_S)


def is_answering(database: db.session.Database) -> bool:
    """Whether the database answers now; otherwise a log line tells what it says."""
    try:
        _ask(database)
    except DatabaseUnavailable as e:
        LOG.warning("the database does not answer: %s", e.details.get("detail", e))
        return False
    return True
