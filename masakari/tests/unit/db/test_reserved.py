"""Reserved hosts: taken by one recovery, then used or given back."""

import datetime

import pytest
import sqlalchemy as sa

from masakari import db
from masakari.db import models
from masakari.db.models import Host, Segment
from masakari.db.session import Database
from masakari.tests.unit.db import rows

UNDO = {"service": "disabled", "aggregates": [3, 7]}


@pytest.fixture
def s(database: Database) -> Segment:
    return rows.segment(database)


@pytest.fixture
def h(database: Database, s: Segment) -> Host:
    """A reserved host."""
    return rows.host(database, "spare1", of=s, reserved=True)


def now(database: Database, h: Host) -> Host:
    found = db.hosts.find(database, h.uuid)
    assert found is not None
    return found


def take(database: Database, h: Host, by: str = "n1") -> bool:
    return db.hosts.take_reserved(database, h.uuid, by=by)


def taken_and_prepared(database: Database, h: Host, by: str = "n1") -> None:
    assert take(database, h, by)
    assert db.hosts.will_undo_reserved(database, h.uuid, by=by, undo=UNDO)


# ---- which there are


def names(database: Database, s: Segment, by: str = "n1") -> list[str]:
    return [h.name for h in db.hosts.reserved_hosts(database, s.uuid, by=by)]


def test_reserved_hosts_newest_registered_first(database: Database, s: Segment) -> None:
    for number in range(3):
        rows.host(database, f"spare{number}", of=s, reserved=True)
    assert names(database, s) == ["spare2", "spare1", "spare0"]

    with database.writing() as tx:
        tx.connection.execute(
            sa.update(models.hosts)
            .where(models.hosts.c.name == "spare0")
            .values(created_at=datetime.datetime(2999, 1, 1))
        )

    assert names(database, s) == ["spare0", "spare2", "spare1"]


def test_reserved_hosts_only_usable_ones(database: Database, s: Segment) -> None:
    rows.host(database, "ordinary", of=s)
    rows.host(database, "repaired", of=s, reserved=True, on_maintenance=True)
    rows.host(database, "elsewhere", of=rows.segment(database, "rack2"), reserved=True)
    gone = rows.host(database, "gone", of=s, reserved=True)
    db.hosts.delete(database, s.uuid, gone.uuid)
    take(database, rows.host(database, "others", of=s, reserved=True), by="n2")
    rows.host(database, "good", of=s, reserved=True)

    assert names(database, s) == ["good"]


def test_reserved_hosts_ours_come_first_used_or_not(database: Database, s: Segment) -> None:
    used, unused, _ = (
        rows.host(database, name, of=s, reserved=True) for name in ("used", "unused", "free")
    )
    for h in (used, unused):
        take(database, h)
    db.hosts.use_reserved(database, used.uuid, by="n1")

    assert names(database, s) == ["unused", "used", "free"]
    assert names(database, s, by="n2") == ["free"]


def test_reserved_hosts_ours_that_died_is_left_out(database: Database, s: Segment) -> None:
    h = rows.host(database, "spare1", of=s, reserved=True)
    take(database, h)
    db.hosts.begin_maintenance(database, h.uuid, by="n2")

    assert names(database, s) == []


# ---- taken


def test_take_reserved_is_ours_for_good(database: Database, h: Host) -> None:
    assert take(database, h, "n1")

    assert (now(database, h).reserved, now(database, h).reserved_for) == (True, "n1")
    assert take(database, h, "n1")
    assert not take(database, h, "n2")
    assert now(database, h).reserved_for == "n1"


def test_take_reserved_used_one_is_ours_still(database: Database, h: Host) -> None:
    take(database, h)
    db.hosts.use_reserved(database, h.uuid, by="n1")

    assert take(database, h, "n1")
    assert not take(database, h, "n2")


@pytest.mark.parametrize("what", ["ordinary", "maintenance", "deleted", "ours on maintenance"])
def test_take_reserved_unusable_one_is_false(database: Database, h: Host, what: str) -> None:
    if what == "ordinary":
        db.hosts.update(database, h.failover_segment_id, h.uuid, {"reserved": False})
    elif what == "maintenance":
        db.hosts.update(database, h.failover_segment_id, h.uuid, {"on_maintenance": True})
    elif what == "deleted":
        db.hosts.delete(database, h.failover_segment_id, h.uuid)
    else:
        take(database, h)
        db.hosts.begin_maintenance(database, h.uuid, by="n2")

    before = now(database, h)
    assert not take(database, h)
    assert now(database, h) == before


def test_take_reserved_sixteen_at_once_one_wins(database: Database, h: Host) -> None:
    outcomes = rows.at_once(lambda number: take(database, h, f"n{number}"))

    assert sorted(outcomes) == [False] * 15 + [True]
    assert now(database, h).reserved_for == f"n{outcomes.index(True)}"


def test_take_reserved_while_it_dies_is_not_both(database: Database, h: Host) -> None:
    """Either it is on maintenance before it is taken, or it was taken before it died."""

    def one(number: int) -> bool:
        if number:
            return take(database, h, "n1")
        return db.hosts.begin_maintenance(database, h.uuid, by="n2")

    died, *taken = rows.at_once(one, times=8)

    assert died is True
    assert now(database, h).on_maintenance
    assert (now(database, h).reserved_for == "n1") is any(taken)


# ---- used, given back


def test_will_undo_is_stored_for_the_one_that_has_it(database: Database, h: Host) -> None:
    assert not db.hosts.will_undo_reserved(database, h.uuid, by="n1", undo=UNDO)
    taken_and_prepared(database, h, "n1")
    assert not db.hosts.will_undo_reserved(database, h.uuid, by="n2", undo={})

    assert now(database, h).reserved_undo == UNDO


def test_use_reserved_is_an_ordinary_host_then(database: Database, h: Host) -> None:
    taken_and_prepared(database, h, "n1")
    assert not db.hosts.use_reserved(database, h.uuid, by="n2")

    assert db.hosts.use_reserved(database, h.uuid, by="n1")

    used = now(database, h)
    assert (used.reserved, used.reserved_for, used.reserved_undo) == (False, "n1", None)
    assert not db.hosts.use_reserved(database, h.uuid, by="n1")


def test_give_back_reserved_is_free_again(database: Database, h: Host) -> None:
    taken_and_prepared(database, h, "n1")
    assert not db.hosts.give_back_reserved(database, h.uuid, by="n2")

    assert db.hosts.give_back_reserved(database, h.uuid, by="n1")

    free = now(database, h)
    assert (free.reserved, free.reserved_for, free.reserved_undo) == (True, None, None)
    assert not db.hosts.give_back_reserved(database, h.uuid, by="n1")
    assert take(database, h, "n2")


def test_give_back_reserved_used_one_stays_used(database: Database, h: Host) -> None:
    take(database, h)
    db.hosts.use_reserved(database, h.uuid, by="n1")

    assert not db.hosts.give_back_reserved(database, h.uuid, by="n1")
    assert (now(database, h).reserved, now(database, h).reserved_for) == (False, "n1")


def test_use_and_give_back_at_once_only_one_happens(database: Database, h: Host) -> None:
    taken_and_prepared(database, h, "n1")
    functions = (db.hosts.use_reserved, db.hosts.give_back_reserved)

    outcomes = rows.at_once(lambda number: functions[number % 2](database, h.uuid, by="n1"))

    assert sorted(outcomes) == [False] * 15 + [True]
    was_used = outcomes.index(True) % 2 == 0
    assert now(database, h).reserved is not was_used
    assert (now(database, h).reserved_for == "n1") is was_used


@pytest.mark.parametrize("value", [True, False])
def test_update_host_reserved_by_hand_is_nobodys(database: Database, h: Host, value: bool) -> None:
    taken_and_prepared(database, h)
    if value:
        db.hosts.use_reserved(database, h.uuid, by="n1")

    changed = db.hosts.update(database, h.failover_segment_id, h.uuid, {"reserved": value})

    assert (changed.reserved, changed.reserved_for, changed.reserved_undo) == (value, None, None)


def test_update_host_other_field_keeps_who_has_taken_it(database: Database, h: Host) -> None:
    taken_and_prepared(database, h)

    changed = db.hosts.update(database, h.failover_segment_id, h.uuid, {"type": "xen"})

    assert (changed.reserved, changed.reserved_for, changed.reserved_undo) == (True, "n1", UNDO)


# ---- reserved no more, because it is dead


def test_end_reservation_once(database: Database, h: Host) -> None:
    db.hosts.begin_maintenance(database, h.uuid, by="n1")

    assert db.hosts.end_reservation(database, h.uuid)

    dead = now(database, h)
    assert (dead.reserved, dead.on_maintenance, dead.maintenance_by) == (False, True, "n1")
    assert not db.hosts.end_reservation(database, h.uuid)


@pytest.mark.parametrize("what", ["ordinary", "deleted"])
def test_end_reservation_of_what_is_not_reserved_is_false(
    database: Database, h: Host, what: str
) -> None:
    if what == "ordinary":
        db.hosts.update(database, h.failover_segment_id, h.uuid, {"reserved": False})
    else:
        db.hosts.delete(database, h.failover_segment_id, h.uuid)
    before = now(database, h)

    assert not db.hosts.end_reservation(database, h.uuid)
    assert now(database, h) == before


def test_end_reservation_of_one_that_was_taken_is_not_given_back(
    database: Database, h: Host, s: Segment
) -> None:
    rows.host(database, "compute1", of=s)
    recovery = rows.in_status(database, "failed").notification_uuid
    taken_and_prepared(database, h, recovery)
    db.hosts.begin_maintenance(database, h.uuid, by="n2")
    assert len(db.hosts.forgotten_reserved(database)) == 1

    db.hosts.end_reservation(database, h.uuid)

    assert db.hosts.forgotten_reserved(database) == []
    assert not db.hosts.give_back_reserved(database, h.uuid, by=recovery)
    assert not db.hosts.use_reserved(database, h.uuid, by=recovery)


# ---- forgotten


@pytest.mark.parametrize(
    ("status", "is_forgotten"),
    [
        ("new", False),
        ("running", False),
        ("error", False),
        ("finished", True),
        ("ignored", True),
        ("failed", True),
    ],
)
def test_forgotten_reserved_when_the_recovery_is_not_open(
    database: Database, s: Segment, h: Host, status: str, is_forgotten: bool
) -> None:
    rows.host(database, "compute1", of=s)
    rows.host(database, "spare2", of=s, reserved=True)
    n = rows.in_status(database, status)
    taken_and_prepared(database, h, n.notification_uuid)

    found = db.hosts.forgotten_reserved(database)

    assert [(f.name, f.reserved_undo) for f in found] == [("spare1", UNDO)] * is_forgotten
    if is_forgotten:
        assert db.hosts.give_back_reserved(database, h.uuid, by=n.notification_uuid)
        assert db.hosts.forgotten_reserved(database) == []


def test_forgotten_reserved_used_or_deleted_is_none(database: Database, s: Segment) -> None:
    rows.host(database, "compute1", of=s)
    recovery = rows.in_status(database, "finished").notification_uuid
    used, gone = (rows.host(database, name, of=s, reserved=True) for name in ("used", "gone"))
    for h in (used, gone):
        take(database, h, recovery)
    assert len(db.hosts.forgotten_reserved(database, limit=9)) == 2
    assert len(db.hosts.forgotten_reserved(database, limit=1)) == 1
    db.hosts.use_reserved(database, used.uuid, by=recovery)
    db.hosts.delete(database, s.uuid, gone.uuid)

    assert db.hosts.forgotten_reserved(database) == []


def test_forgotten_reserved_of_a_recovery_that_is_deleted(
    database: Database, s: Segment, h: Host
) -> None:
    rows.host(database, "compute1", of=s)
    n = rows.in_status(database, "running")
    take(database, h, n.notification_uuid)
    with database.writing() as tx:
        tx.connection.execute(sa.update(models.notifications).values(deleted=n.id))

    assert [f.name for f in db.hosts.forgotten_reserved(database)] == ["spare1"]


# ---- who gives back what was forgotten


@pytest.fixture
def recovery(database: Database, s: Segment, h: Host) -> str:
    """Uuid of a recovery that has prepared the reserved host, and failed."""
    rows.host(database, "compute1", of=s)
    uuid = rows.in_status(database, "failed").notification_uuid
    taken_and_prepared(database, h, uuid)
    return uuid


def take_over(database: Database, h: Host, of: str, by: str = "sweep1") -> bool:
    return db.hosts.take_over_reserved(database, h.uuid, of=of, by=by)


def changed_ago(database: Database, h: Host, seconds: float) -> None:
    """The host was last changed then."""
    at = database.clock.now() - datetime.timedelta(seconds=seconds)
    with database.writing() as tx:
        tx.connection.execute(
            sa.update(models.hosts).where(models.hosts.c.uuid == h.uuid).values(updated_at=at)
        )


def test_take_over_reserved_is_theirs_alone_to_give_back(
    database: Database, h: Host, recovery: str
) -> None:
    assert take_over(database, h, recovery, "sweep1")

    assert not take_over(database, h, recovery, "sweep2")
    assert not db.hosts.give_back_reserved(database, h.uuid, by=recovery)
    assert not take(database, h, "n2")
    assert now(database, h).reserved_undo == UNDO
    assert db.hosts.give_back_reserved(database, h.uuid, by="sweep1")
    assert take(database, h, "n2")


def test_take_over_reserved_sixteen_at_once_one_wins(
    database: Database, h: Host, recovery: str
) -> None:
    outcomes = rows.at_once(lambda number: take_over(database, h, recovery, f"sweep{number}"))

    assert sorted(outcomes) == [False] * 15 + [True]
    assert now(database, h).reserved_for == f"sweep{outcomes.index(True)}"


def test_take_over_and_give_back_at_once_only_one_happens(
    database: Database, h: Host, recovery: str
) -> None:
    def one(number: int) -> bool:
        if number % 2:
            return take_over(database, h, recovery)
        return db.hosts.give_back_reserved(database, h.uuid, by=recovery)

    outcomes = rows.at_once(one)

    assert sorted(outcomes) == [False] * 15 + [True]
    was_taken_over = outcomes.index(True) % 2 == 1
    assert now(database, h).reserved_for == ("sweep1" if was_taken_over else None)


@pytest.mark.parametrize("what", ["used", "given back", "another's", "operator's", "deleted"])
def test_take_over_reserved_of_what_is_not_left_is_false(
    database: Database, h: Host, recovery: str, what: str
) -> None:
    of = recovery
    if what == "used":
        db.hosts.use_reserved(database, h.uuid, by=recovery)
    elif what == "given back":
        db.hosts.give_back_reserved(database, h.uuid, by=recovery)
    elif what == "another's":
        of = "n2"
    elif what == "operator's":
        db.hosts.update(database, h.failover_segment_id, h.uuid, {"reserved": True})
    else:
        db.hosts.delete(database, h.failover_segment_id, h.uuid)
    before = now(database, h)

    assert not take_over(database, h, of)
    assert now(database, h) == before


def test_forgotten_reserved_while_somebody_gives_it_back_is_none(
    database: Database, h: Host, recovery: str
) -> None:
    assert len(db.hosts.forgotten_reserved(database)) == 1
    take_over(database, h, recovery)
    assert db.hosts.forgotten_reserved(database) == []

    changed_ago(database, h, db.hosts.GIVING_BACK_S - 60)
    assert db.hosts.forgotten_reserved(database) == []

    changed_ago(database, h, db.hosts.GIVING_BACK_S + 60)  # whoever did it died
    (found,) = db.hosts.forgotten_reserved(database)
    assert (found.name, found.reserved_for, found.reserved_undo) == ("spare1", "sweep1", UNDO)
    assert take_over(database, found, "sweep1", "sweep2")
    assert db.hosts.forgotten_reserved(database) == []


def test_forgotten_reserved_that_could_not_be_given_back_is_found_at_once(
    database: Database, h: Host, recovery: str
) -> None:
    take_over(database, h, recovery)

    assert take_over(database, h, "sweep1", recovery)

    assert [f.reserved_for for f in db.hosts.forgotten_reserved(database)] == [recovery]
