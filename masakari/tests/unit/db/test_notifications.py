import datetime

import pytest
import sqlalchemy as sa

from masakari import db, errors
from masakari.db import models
from masakari.db.models import Notification
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.rows import STARTED, STOPPED, T0, claim, process, settle

ALL = Page(limit=1000)
NOBODY = "00000000-0000-4000-8000-000000000001"
LATER = T0 + datetime.timedelta(hours=1)


# ---- get, page


def test_get_notification_unknown_raises(database: Database) -> None:
    with pytest.raises(errors.NotificationNotFound):
        db.notifications.get(database, NOBODY)


def test_page_notifications_filters(database: Database) -> None:
    s = rows.segment(database)
    h1, h2 = (rows.host(database, name, of=s) for name in ("compute1", "compute2"))
    n1 = rows.report(database, "compute1", at=T0)
    n2 = rows.report(database, "compute2", at=LATER, type="PROCESS")
    assert claim(database, n2.notification_uuid)

    def found(**wanted: object) -> set[str]:
        return {n["notification_uuid"] for n in db.notifications.page(database, ALL, **wanted)}

    assert found() == {n1.notification_uuid, n2.notification_uuid}
    assert found(status="new") == {n1.notification_uuid}
    assert found(status="running") == {n2.notification_uuid}
    assert found(status="nonsense") == set()
    assert found(type="PROCESS") == {n2.notification_uuid}
    assert found(source_host_uuid=h1.uuid) == {n1.notification_uuid}
    assert found(source_host_uuid=h2.uuid, status="new") == set()
    assert found(generated_since=LATER) == {n2.notification_uuid}
    assert found(generated_since=T0) == {n1.notification_uuid, n2.notification_uuid}


def test_page_notifications_marker_by_uuid(database: Database) -> None:
    rows.host(database)
    first, second = (rows.report(database, payload={"event": e}) for e in ("one", "two"))

    page = Page(limit=5, marker=second.notification_uuid)

    (found,) = db.notifications.page(database, page)
    assert found["notification_uuid"] == first.notification_uuid


# ---- claim, renew, settle


def test_claim_new_row_is_ours(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)

    mine = claim(database, n.notification_uuid, "engine-a")

    assert mine is not None
    assert (mine.status, mine.owner, mine.attempt) == ("running", "engine-a", 1)
    with database.reading() as tx:
        left = mine.lease_until - tx.now()
    assert datetime.timedelta(seconds=590) < left <= datetime.timedelta(seconds=600)


def test_claim_row_taken_by_other_engine_returns_none(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    claim(database, n.notification_uuid, "engine-a")

    assert claim(database, n.notification_uuid, "engine-b") is None
    assert claim(database, n.notification_uuid, "engine-a") is None


def test_claim_sixteen_at_once_one_wins(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)

    outcomes = rows.at_once(lambda number: claim(database, n.notification_uuid, f"e{number}"))

    winners = [o for o in outcomes if o is not None]
    assert len(winners) == 1
    assert winners == [db.notifications.get(database, n.notification_uuid)]


def test_claim_sixteen_of_one_host_at_once_one_wins(database: Database) -> None:
    rows.host(database)
    uuids = [rows.report(database, payload={"event": f"{n}"}).notification_uuid for n in range(16)]

    outcomes = rows.at_once(lambda number: claim(database, uuids[number], f"e{number}"))

    assert [o for o in outcomes if isinstance(o, Exception)] == []
    assert sum(o is not None for o in outcomes) == 1


def test_claim_while_another_of_the_host_is_running_returns_none(database: Database) -> None:
    rows.host(database)
    first, second = (rows.report(database, payload={"event": e}) for e in ("one", "two"))
    claim(database, first.notification_uuid)

    assert claim(database, second.notification_uuid) is None

    settle(database, first.notification_uuid)
    assert claim(database, second.notification_uuid) is not None


def test_claim_while_another_host_is_recovered_is_ours(database: Database) -> None:
    s = rows.segment(database)
    for name in ("compute1", "compute2"):
        rows.host(database, name, of=s)
    claim(database, rows.report(database, "compute1").notification_uuid)

    assert claim(database, rows.report(database, "compute2").notification_uuid) is not None


def test_claim_host_deleted_is_ours(database: Database) -> None:
    h = rows.host(database)
    n = rows.report(database)
    with database.writing() as tx:
        tx.connection.execute(sa.update(models.hosts).values(deleted=h.id))

    assert claim(database, n.notification_uuid) is not None


def test_claim_after_error_is_the_next_attempt(database: Database) -> None:
    rows.host(database)
    n = rows.in_status(database, "error")

    again = claim(database, n.notification_uuid, "engine-b")

    assert again is not None
    assert (again.status, again.owner, again.attempt) == ("running", "engine-b", 2)


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_claim_settled_row_returns_none(database: Database, status: str) -> None:
    rows.host(database)
    n = rows.in_status(database, status)

    assert claim(database, n.notification_uuid) is None


def test_claim_unknown_raises(database: Database) -> None:
    with pytest.raises(errors.NotificationNotFound):
        claim(database, NOBODY)


@pytest.mark.parametrize("status", ["running", "error"])
def test_claim_row_that_openstack_tried_is_the_second_attempt(
    database: Database, status: str
) -> None:
    rows.host(database)
    n = rows.report(database)
    with database.writing() as tx:
        tx.connection.execute(sa.update(models.notifications).values(status=status))

    mine = claim(database, n.notification_uuid)

    assert mine is not None
    assert (mine.owner, mine.attempt) == ("engine-a", 2)


def test_renew_lengthens_only_the_owners_lease(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    mine = claim(database, n.notification_uuid, "engine-a")

    assert db.leases.renew(database, n.notification_uuid, owner="engine-a", lease_s=900)
    assert not db.leases.renew(database, n.notification_uuid, owner="engine-b", lease_s=9)

    renewed = db.notifications.get(database, n.notification_uuid)
    assert renewed.lease_until > mine.lease_until + datetime.timedelta(seconds=290)


def test_renew_with_nothing_ends_the_lease(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    claim(database, n.notification_uuid, "engine-a")

    assert db.leases.renew(database, n.notification_uuid, owner="engine-a", lease_s=0)

    assert not db.leases.renew(database, n.notification_uuid, owner="engine-a", lease_s=9)
    mine = claim(database, n.notification_uuid, "engine-b")
    assert mine is not None
    assert (mine.owner, mine.attempt) == ("engine-b", 1)


@pytest.mark.parametrize("status", ["new", "error", "finished"])
def test_renew_row_that_is_not_running_is_false(database: Database, status: str) -> None:
    rows.host(database)
    n = rows.in_status(database, status)

    assert not db.leases.renew(database, n.notification_uuid, owner="engine-a", lease_s=9)


def test_record_proof_only_by_the_owner(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    claim(database, n.notification_uuid, "engine-a")
    proof = {"kind": "nova_down", "seen": {"state": "down"}}

    assert not db.leases.record_proof(database, n.notification_uuid, owner="engine-b", proof={})
    assert db.notifications.get(database, n.notification_uuid).proof is None

    assert db.leases.record_proof(database, n.notification_uuid, owner="engine-a", proof=proof)
    assert db.notifications.get(database, n.notification_uuid).proof == proof


@pytest.mark.parametrize("status", ["finished", "ignored", "error", "failed"])
def test_settle_stores_status_and_message_and_ends_the_lease(
    database: Database, status: str
) -> None:
    rows.host(database)
    n = rows.report(database)
    claim(database, n.notification_uuid)

    assert settle(database, n.notification_uuid, status)

    now = db.notifications.get(database, n.notification_uuid)
    assert (now.status, now.message) == (status, "so it is")
    assert (now.owner, now.lease_until, now.attempt) == (None, None, 1)


def test_settle_by_another_or_twice_is_false(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    claim(database, n.notification_uuid, "engine-a")

    assert not settle(database, n.notification_uuid, owner="engine-b")
    assert settle(database, n.notification_uuid, owner="engine-a")
    assert not settle(database, n.notification_uuid, "error", owner="engine-a")
    assert db.notifications.get(database, n.notification_uuid).status == "finished"


# ---- due


def test_due_oldest_first_within_the_limit(database: Database) -> None:
    s = rows.segment(database)
    uuids = []
    for number in range(4):
        rows.host(database, f"compute{number}", of=s)
        uuids.append(rows.report(database, f"compute{number}").notification_uuid)

    assert db.leases.due(database) == uuids
    assert db.leases.due(database, limit=2) == uuids[:2]


def test_due_nothing_of_a_host_that_is_being_recovered(database: Database) -> None:
    rows.host(database)
    first, second = (rows.report(database, payload={"event": e}) for e in ("one", "two"))
    claim(database, first.notification_uuid)

    assert db.leases.due(database) == []

    settle(database, first.notification_uuid)
    assert db.leases.due(database) == [second.notification_uuid]


@pytest.mark.parametrize(("payload", "expected"), [(STARTED, True), (STOPPED, False)])
def test_started_after(database: Database, payload: dict[str, str], expected: bool) -> None:
    rows.host(database)
    before = rows.report(database, at=T0, payload=STARTED)
    n = rows.report(database, at=T0)

    assert db.notifications.started_after(database, before) is False
    assert db.notifications.started_after(database, n) is False

    rows.report(database, at=LATER, payload=payload)

    assert db.notifications.started_after(database, n) is expected


@pytest.mark.parametrize(
    ("type_", "payload", "expected"),
    [
        ("PROCESS", process(event="STARTED"), True),
        ("PROCESS", process("libvirtd", "STARTED"), False),
        ("PROCESS", process(), False),
        ("COMPUTE_HOST", STARTED, False),
    ],
)
def test_started_after_of_a_process_is_that_process(
    database: Database, type_: str, payload: dict[str, str], expected: bool
) -> None:
    rows.host(database)
    rows.report(database, type="PROCESS", payload=process(event="STARTED"))
    n = rows.report(database, type="PROCESS", payload=process())
    assert db.notifications.started_after(database, n) is False

    rows.report(database, at=LATER, type=type_, payload=payload)

    assert db.notifications.started_after(database, n) is expected


def test_started_after_of_a_host_is_no_process(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)

    rows.report(database, type="PROCESS", payload=process(event="STARTED"))

    assert db.notifications.started_after(database, n) is False


# ---- what else is known of a host


@pytest.mark.parametrize(
    ("status", "is_pending"),
    [
        ("new", True),
        ("running", True),
        ("error", True),
        ("finished", False),
        ("ignored", False),
        ("failed", False),
    ],
)
def test_host_failure_pending_while_it_is_open(
    database: Database, status: str, is_pending: bool
) -> None:
    h = rows.host(database)
    n = rows.in_status(database, status)

    pending = db.notifications.host_failure_pending(database, h.uuid)

    assert pending == (n.notification_uuid if is_pending else None)
    assert db.notifications.host_failure_pending(database, NOBODY) is None


@pytest.mark.parametrize(
    ("type_", "payload"),
    [
        ("COMPUTE_HOST", STARTED),
        ("COMPUTE_HOST", {"event": "STOPPED"}),
        ("COMPUTE_HOST", {"event": "STOPPED", "host_status": "UNKNOWN"}),
        ("PROCESS", {**STOPPED, "process_name": "nova-compute"}),
        ("VM", STOPPED),
    ],
)
def test_host_failure_pending_is_of_nothing_else(
    database: Database, type_: str, payload: dict[str, str]
) -> None:
    h = rows.host(database)
    rows.report(database, type=type_, payload=payload)
    assert db.notifications.host_failure_pending(database, h.uuid) is None

    oldest = rows.report(database)
    rows.report(database, at=LATER)

    pending = db.notifications.host_failure_pending(database, h.uuid)
    assert pending == oldest.notification_uuid


def test_newest_process_events_is_the_last_word_of_each(database: Database) -> None:
    s = rows.segment(database)
    h = rows.host(database, "compute1", of=s)
    rows.host(database, "compute2", of=s)
    assert db.notifications.newest_process_events(database, h.uuid) == {}

    def tell(name: str, event: str, hour: int, hostname: str = "compute1") -> Notification:
        at = T0 + datetime.timedelta(hours=hour)
        return rows.report(database, hostname, type="PROCESS", payload=process(name, event), at=at)

    tell("nova-compute", "STOPPED", 1)
    down = tell("libvirtd", "STOPPED", 2)
    tell("nova-compute", "STARTED", 5)
    up = tell("nova-compute", "STOPPED", 4)  # by the order of their arrival
    tell("libvirtd", "STARTED", 6, "compute2")
    rows.report(database)

    newest = db.notifications.newest_process_events(database, h.uuid)

    assert newest == {"nova-compute": up, "libvirtd": down}


def test_newest_process_events_looks_at_a_bounded_number(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    h = rows.host(database)
    found = [rows.report(database, type="PROCESS", payload=process(f"p{n}")) for n in range(5)]
    monkeypatch.setattr(db.notifications, "PROCESS_EVENTS", 3)

    newest = db.notifications.newest_process_events(database, h.uuid)

    assert newest == {f"p{n}": found[n] for n in (2, 3, 4)}
