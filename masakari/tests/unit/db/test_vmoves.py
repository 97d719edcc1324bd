import dataclasses
import datetime

import pytest

from masakari import db, errors
from masakari.db.models import Notification
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.states import VMoveStatus
from masakari.tests.unit.db import rows

ALL = Page(limit=1000)
NOBODY = "00000000-0000-4000-8000-000000000099"


@pytest.fixture
def n(database: Database) -> Notification:
    rows.host(database)
    return rows.in_status(database, "running")


def prepare(
    database: Database, n: Notification, attempt: int, *numbers: int, chapter: int = 1
) -> list[str]:
    moves = db.vmoves.prepare(
        database, n.notification_uuid, attempt, chapter, [rows.move(number) for number in numbers]
    )
    return [m.uuid for m in moves]


def get(database: Database, n: Notification, uuid: str) -> db.models.VMove:
    return db.vmoves.get(database, n.notification_uuid, uuid)


# ---- prepare


def test_prepare_stores_what_nova_had(database: Database, n: Notification) -> None:
    new = rows.move(7, vm_state="paused", task_state="rebooting", power_state=3)

    (move,) = db.vmoves.prepare(database, n.notification_uuid, 1, 1, [new])

    assert move == get(database, n, move.uuid)
    assert (move.instance_uuid, move.instance_name) == (new.instance_uuid, "vm7")
    assert (move.source_host, move.dest_host) == ("compute1", None)
    assert (move.vm_state, move.task_state, move.power_state) == ("paused", "rebooting", 3)
    assert (move.type, move.status, move.attempt, move.rank) == ("evacuation", "pending", 1, 7)
    assert (move.start_time, move.end_time, move.message, move.locked) == (None, None, None, False)


def test_prepare_name_beyond_mysqls_utf8_is_stored_as_far_as_it_goes(
    database: Database, n: Notification
) -> None:
    new = dataclasses.replace(rows.move(1), instance_name="web \N{ROCKET} é")

    (move,) = db.vmoves.prepare(database, n.notification_uuid, 1, 1, [new])

    assert move.instance_name == "web \N{REPLACEMENT CHARACTER} é"


def test_prepare_returns_all_moves_by_rank(database: Database, n: Notification) -> None:
    prepare(database, n, 1, 3, 1, 2)

    of_attempt = db.vmoves.of_attempt(database, n.notification_uuid, 1)

    assert [m.rank for m in of_attempt] == [1, 2, 3]
    assert [m.uuid for m in of_attempt] == prepare(database, n, 1)


def test_prepare_again_leaves_what_is_there(database: Database, n: Notification) -> None:
    first, second = prepare(database, n, 1, 1, 2)
    db.vmoves.start(database, first, lock=True)

    uuids = prepare(database, n, 1, 1, 2, 3)

    assert uuids[:2] == [first, second]
    assert len(uuids) == 3
    assert get(database, n, first).status == "ongoing"


def test_prepare_next_attempt_has_rows_of_its_own(database: Database, n: Notification) -> None:
    first = prepare(database, n, 1, 1, 2)
    second = prepare(database, n, 2, 2)

    assert set(first).isdisjoint(second)
    assert [m.uuid for m in db.vmoves.of_attempt(database, n.notification_uuid, 2)] == second


def test_prepare_move_that_is_left_alone(database: Database, n: Notification) -> None:
    new = rows.move(1, status=VMoveStatus.IGNORED, message="in error state")

    (move,) = db.vmoves.prepare(database, n.notification_uuid, 1, 1, [new])

    assert (move.status, move.message) == ("ignored", "in error state")


def test_prepare_nothing_is_nothing(database: Database, n: Notification) -> None:
    assert prepare(database, n, 1) == []


def test_previous_latest_attempt_first_then_by_rank(database: Database, n: Notification) -> None:
    prepare(database, n, 1, 2, 1)
    prepare(database, n, 2, 3, 1)
    prepare(database, n, 3, 1)

    before = db.vmoves.previous(database, n.notification_uuid, 3, 1)

    assert [(m.attempt, m.rank) for m in before] == [(2, 1), (2, 3), (1, 1), (1, 2)]


# ---- chapters


def test_prepare_next_chapter_has_rows_of_its_own(database: Database, n: Notification) -> None:
    first = prepare(database, n, 1, 1, 2)

    second = prepare(database, n, 1, 2, chapter=2)

    assert set(first).isdisjoint(second)
    for chapter, uuids in ((1, first), (2, second)):
        moves = db.vmoves.of_chapter(database, n.notification_uuid, 1, chapter)
        assert [(m.uuid, m.chapter) for m in moves] == [(uuid, chapter) for uuid in uuids]
    assert prepare(database, n, 1, 2, chapter=2) == second
    assert db.vmoves.of_chapter(database, n.notification_uuid, 2, 1) == []


def test_of_attempt_is_the_latest_chapter_of_each_vm_by_rank(
    database: Database, n: Notification
) -> None:
    _, second, third = prepare(database, n, 1, 1, 2, 3)
    (first_again, fourth) = prepare(database, n, 1, 1, 4, chapter=2)
    (fourth_again,) = prepare(database, n, 1, 4, chapter=3)
    prepare(database, n, 2, 1, 2)

    found = [m.uuid for m in db.vmoves.of_attempt(database, n.notification_uuid, 1)]

    assert found == [first_again, second, third, fourth_again]
    assert fourth not in found


def test_previous_of_a_chapter_has_the_earlier_ones_of_its_attempt(
    database: Database, n: Notification
) -> None:
    prepare(database, n, 1, 2, 1)
    prepare(database, n, 1, 1, chapter=2)
    prepare(database, n, 2, 2, 1)
    prepare(database, n, 2, 1, chapter=2)
    prepare(database, n, 2, 1, chapter=3)

    def before(attempt: int, chapter: int) -> list[tuple[int, int, int]]:
        moves = db.vmoves.previous(database, n.notification_uuid, attempt, chapter)
        return [(m.attempt, m.chapter, m.rank) for m in moves]

    assert before(1, 1) == []
    assert before(2, 1) == [(1, 2, 1), (1, 1, 1), (1, 1, 2)]
    assert before(2, 3) == [(2, 2, 1), (2, 1, 1), (2, 1, 2), *before(2, 1)]


def test_abandon_and_page_know_all_chapters(database: Database, n: Notification) -> None:
    prepare(database, n, 1, 1)
    prepare(database, n, 1, 1, chapter=2)

    assert db.vmoves.abandon(database, n.notification_uuid, message="it came back") == 2
    moves = db.vmoves.page(database, n.notification_uuid, ALL)
    assert [m["status"] for m in moves] == ["ignored", "ignored"]


# ---- start, finish, abandon


def test_start_sets_time_and_mark(database: Database, n: Notification) -> None:
    locked, unlocked = prepare(database, n, 1, 1, 2)

    assert db.vmoves.start(database, locked, lock=True)
    assert db.vmoves.start(database, unlocked, lock=False)

    assert (get(database, n, locked).status, get(database, n, locked).locked) == ("ongoing", True)
    assert get(database, n, locked).start_time is not None
    assert get(database, n, unlocked).locked is False


def test_will_lock_marks_and_leaves_the_move_pending(database: Database, n: Notification) -> None:
    (uuid,) = prepare(database, n, 1, 1)

    assert db.vmoves.will_lock(database, uuid)

    move = get(database, n, uuid)
    assert (move.status, move.start_time, move.locked) == ("pending", None, True)


def test_will_lock_ended_move_is_left_as_it_is(database: Database, n: Notification) -> None:
    (uuid,) = prepare(database, n, 1, 1)
    db.vmoves.finish(database, uuid, status="succeeded", locked=False)

    assert not db.vmoves.will_lock(database, uuid)
    assert not get(database, n, uuid).locked


def test_start_again_keeps_time_and_mark(database: Database, n: Notification) -> None:
    (uuid,) = prepare(database, n, 1, 1)
    db.vmoves.start(database, uuid, lock=True)
    before = get(database, n, uuid)

    assert db.vmoves.start(database, uuid, lock=False)

    after = get(database, n, uuid)
    assert (after.start_time, after.locked) == (before.start_time, True)


@pytest.mark.parametrize("status", list(VMoveStatus)[2:])
def test_finish_is_final(database: Database, n: Notification, status: VMoveStatus) -> None:
    (uuid,) = prepare(database, n, 1, 1)
    db.vmoves.start(database, uuid, lock=True)

    assert db.vmoves.finish(
        database, uuid, status=status, dest_host="compute2", message="so", locked=False
    )

    move = get(database, n, uuid)
    assert (move.status, move.dest_host, move.message) == (status, "compute2", "so")
    assert move.end_time is not None
    assert move.locked is False
    assert not db.vmoves.finish(database, uuid, status=VMoveStatus.FAILED, locked=True)
    assert not db.vmoves.start(database, uuid, lock=True)
    assert get(database, n, uuid) == move


def test_finish_move_that_never_began(database: Database, n: Notification) -> None:
    (uuid,) = prepare(database, n, 1, 1)

    assert db.vmoves.finish(database, uuid, status="ignored", message="gone", locked=False)

    assert get(database, n, uuid).start_time is None


def test_start_or_finish_unknown_is_false(database: Database) -> None:
    assert not db.vmoves.start(database, NOBODY, lock=True)
    assert not db.vmoves.finish(database, NOBODY, status="failed", locked=False)


def test_finish_sixteen_at_once_one_changes_it(database: Database, n: Notification) -> None:
    (uuid,) = prepare(database, n, 1, 1)

    outcomes = rows.at_once(
        lambda number: db.vmoves.finish(
            database, uuid, status="failed", message=f"{number}", locked=False
        )
    )

    assert sorted(outcomes) == [False] * 15 + [True]
    assert get(database, n, uuid).message == str(outcomes.index(True))


def test_abandon_ignores_what_has_not_begun(database: Database, n: Notification) -> None:
    begun, ended, waiting = prepare(database, n, 1, 1, 2, 3)
    (waiting_too,) = prepare(database, n, 2, 3)
    db.vmoves.start(database, begun, lock=False)
    db.vmoves.finish(database, ended, status="succeeded", locked=False)

    assert db.vmoves.abandon(database, n.notification_uuid, message="it came back") == 2

    statuses = [get(database, n, uuid).status for uuid in (begun, ended, waiting, waiting_too)]
    assert statuses == ["ongoing", "succeeded", "ignored", "ignored"]
    assert get(database, n, waiting).message == "it came back"
    assert get(database, n, waiting).end_time is not None


# ---- locks that are left


@pytest.mark.parametrize("status", ["finished", "ignored", "failed", "error"])
def test_still_locked_moves_of_settled_notifications(
    database: Database, n: Notification, status: str
) -> None:
    first, second = prepare(database, n, 1, 1, 2)
    db.vmoves.start(database, first, lock=True)
    db.vmoves.start(database, second, lock=False)
    assert db.vmoves.still_locked(database) == []

    db.leases.settle(database, n.notification_uuid, owner="engine-a", status=status, message="m")

    assert [m.uuid for m in db.vmoves.still_locked(database)] == [first]
    db.vmoves.unlocked(database, first)
    assert db.vmoves.still_locked(database) == []


def test_still_locked_after_finish_only_if_told(database: Database, n: Notification) -> None:
    first, second = prepare(database, n, 1, 1, 2)
    for uuid, locked in ((first, True), (second, False)):
        db.vmoves.start(database, uuid, lock=True)
        db.vmoves.finish(database, uuid, status="failed", locked=locked)
    db.leases.settle(database, n.notification_uuid, owner="engine-a", status="failed", message="m")

    assert [m.uuid for m in db.vmoves.still_locked(database, limit=5)] == [first]
    assert db.vmoves.still_locked(database, limit=0) == []


# ---- arrivals

VM_1 = rows.move(1).instance_uuid
HOUR = datetime.timedelta(hours=1)


def arrive(
    database: Database,
    n: Notification,
    dest: str,
    *,
    status: str = "succeeded",
    attempt: int = 1,
    chapter: int = 1,
) -> None:
    """The VM 1 has come to its end so."""
    (uuid,) = prepare(database, n, attempt, 1, chapter=chapter)
    db.vmoves.finish(database, uuid, status=status, dest_host=dest, locked=False)


def arrived(
    database: Database,
    n: Notification,
    vm: str = VM_1,
    since: datetime.datetime = rows.T0,
) -> str | None:
    return db.vmoves.arrived_from(database, n.source_host_uuid, vm, since=since)


def test_arrived_from_is_where_the_latest_move_has_brought_the_vm(
    database: Database, n: Notification
) -> None:
    assert arrived(database, n) is None
    arrive(database, n, "compute2")
    assert arrived(database, n) == "compute2"
    later = rows.report(database, at=rows.T0 + HOUR)

    arrive(database, later, "compute3")
    arrive(database, later, "compute4", chapter=2)
    assert arrived(database, n) == "compute4"
    arrive(database, n, "compute5", attempt=2)
    arrive(database, later, "compute6", attempt=2, status="failed")
    assert arrived(database, n) == "compute5"
    assert arrived(database, n, rows.move(2).instance_uuid) is None


@pytest.mark.parametrize("status", ["pending", "ongoing", "ignored", "failed"])
def test_arrived_from_what_did_not_arrive_is_none(
    database: Database, n: Notification, status: str
) -> None:
    arrive(database, n, "compute2", status=status)

    assert arrived(database, n) is None


def test_arrived_from_what_was_reported_since(database: Database, n: Notification) -> None:
    arrive(database, n, "compute2")

    assert arrived(database, n, since=rows.T0 - HOUR) == "compute2"
    assert arrived(database, n, since=rows.T0 + HOUR) is None


@pytest.mark.parametrize("type_", ["VM", "PROCESS"])
def test_arrived_from_is_of_recoveries_of_the_host(
    database: Database, n: Notification, type_: str
) -> None:
    arrive(database, rows.report(database, type=type_), "compute2")
    assert arrived(database, n) is None

    arrive(database, n, "compute3")
    other = rows.host(database, "other", of=rows.segment(database, "rack2"))
    found = db.vmoves.arrived_from(database, other.uuid, VM_1, since=rows.T0)
    assert (found, arrived(database, n)) == (None, "compute3")


# ---- page, get


def test_page_vmoves_filters_and_sorts(database: Database, n: Notification) -> None:
    first, second = prepare(database, n, 1, 1, 2)
    db.vmoves.start(database, second, lock=False)
    uuid = n.notification_uuid

    def found(**wanted: str) -> list[str]:
        page = Page(limit=9, sort_keys=("instance_name",), sort_dirs=("asc",))
        return [m["uuid"] for m in db.vmoves.page(database, uuid, page, **wanted)]

    assert found() == [first, second]
    assert found(status="pending") == [first]
    assert found(status="nonsense") == []
    assert found(type="evacuation") == [first, second]
    assert found(type="migration") == []


def test_page_vmoves_only_of_the_notification(database: Database, n: Notification) -> None:
    prepare(database, n, 1, 1)
    other = rows.report(database, payload={"event": "STARTED"})

    assert db.vmoves.page(database, other.notification_uuid, ALL) == []


def test_vmoves_of_unknown_notification_raise(database: Database) -> None:
    with pytest.raises(errors.NotificationNotFound):
        db.vmoves.page(database, NOBODY, ALL)
    with pytest.raises(errors.NotificationNotFound):
        db.vmoves.get(database, NOBODY, NOBODY)


def test_vmoves_of_a_vm_notification_are_invalid(database: Database) -> None:
    rows.host(database)
    n = rows.report(database, type="VM")

    with pytest.raises(errors.Invalid, match="COMPUTE_HOST"):
        db.vmoves.page(database, n.notification_uuid, ALL)
    with pytest.raises(errors.Invalid, match="COMPUTE_HOST"):
        db.vmoves.get(database, n.notification_uuid, NOBODY)


def test_get_vmove_of_another_notification_raises(database: Database, n: Notification) -> None:
    (uuid,) = prepare(database, n, 1, 1)
    other = rows.report(database, payload={"event": "STARTED"})

    with pytest.raises(errors.VMoveNotFound):
        db.vmoves.get(database, other.notification_uuid, uuid)
    with pytest.raises(errors.VMoveNotFound):
        db.vmoves.get(database, n.notification_uuid, NOBODY)
