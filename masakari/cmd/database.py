"""What the programs with a database do at start: wait for it."""

from masakari import db
from masakari.clock import Clock
from masakari.cmd.systemd import Systemd
from masakari.errors import DatabaseUnavailable

PAUSE_S = 5.0
PATIENCE_S = 120.0
"""So long systemd waits for what the next try comes to."""


@db.session.reader
def _ask(tx: db.session.Transaction) -> None:
    tx.now()


def wait_for(database: db.session.Database, clock: Clock, systemd: Systemd) -> None:
    """Return when the database has answered; until then it is asked again and again."""
    while (problem := _problem(database)) is not None:
        systemd.waiting(f"waiting for the database: {problem}", PATIENCE_S)
        clock.sleep(PAUSE_S)


def is_answering(database: db.session.Database) -> bool:
    """Whether the database answers now; otherwise the log has been told what it says."""
    return _problem(database) is None


def _problem(database: db.session.Database) -> str | None:
    """What the database, its driver or the system said instead of an answer."""
    try:
        _ask(database)
    except DatabaseUnavailable as e:
        return str(e.details.get("detail", e))
    return None
