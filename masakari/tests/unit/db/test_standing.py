"""What is asked of a database before an upgrade, and by who shows its state."""

import datetime

from oslo_config import cfg

from masakari import db
from masakari.clock import SystemClock
from masakari.db.session import Database
from masakari.tests.unit.db import rows


def test_tables_of_this_release_are_no_problem(
    migrated_conf: cfg.ConfigOpts, database: Database
) -> None:
    found = db.standing.revision(migrated_conf, SystemClock())

    assert found.current == found.newest
    assert found.is_known
    assert db.standing.problem(database) is None
    assert db.standing.missing_of_taskflow(migrated_conf, SystemClock()) == []


def test_owners_are_told_once_and_in_order(database: Database) -> None:
    segment = rows.segment(database)
    for number, owner in enumerate(("engine-b", "engine-a", "engine-b")):
        rows.host(database, f"compute{number}", of=segment)
        n = rows.report(database, f"compute{number}")
        rows.claim(database, n.notification_uuid, owner)

    assert db.standing.owners(database) == ["engine-a", "engine-b"]


def test_time_is_the_databases(database: Database) -> None:
    first = db.standing.time(database)

    assert isinstance(first, datetime.datetime)
    assert first.tzinfo is None
    assert first <= db.standing.time(database)
