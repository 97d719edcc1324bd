import datetime

import pytest

from masakari import db
from masakari.db.models import Notification, VmRecovery
from masakari.db.session import Database
from masakari.states import VmAction
from masakari.tests.unit.db import rows

VM_A, VM_B = (f"00000000-0000-4000-8000-00000000abc{n}" for n in range(2))
LONG_AGO = datetime.datetime(2020, 1, 1)


@pytest.fixture
def n(database: Database) -> Notification:
    rows.host(database)
    return rows.report(database, type="VM", payload={"instance_uuid": VM_A})


def begin(
    database: Database,
    n: Notification,
    *,
    attempt: int = 1,
    action: str = VmAction.RESTART,
    vm: str = VM_A,
    host: str = "compute1",
) -> VmRecovery:
    return db.vm_recoveries.begin(
        database,
        instance_uuid=vm,
        notification_uuid=n.notification_uuid,
        attempt=attempt,
        action=action,
        host=host,
    )


def end(database: Database, n: Notification, attempt: int = 1, outcome: str = "succeeded") -> bool:
    return db.vm_recoveries.end(
        database,
        notification_uuid=n.notification_uuid,
        attempt=attempt,
        action=VmAction.RESTART,
        outcome=outcome,
    )


def history(database: Database, vm: str = VM_A) -> list[VmRecovery]:
    return db.vm_recoveries.history(database, vm, since=LONG_AGO)


def test_begin_stores_what_is_done(database: Database, n: Notification) -> None:
    begun = begin(database, n)

    assert [begun] == db.vm_recoveries.of_notification(database, n.notification_uuid)
    assert (begun.instance_uuid, begun.notification_uuid) == (VM_A, n.notification_uuid)
    assert (begun.attempt, begun.action, begun.host) == (1, "restart", "compute1")
    assert (begun.ended_at, begun.outcome) == (None, None)
    assert begun.created_at == begun.started_at.replace(microsecond=0)


def test_begin_again_is_the_same_even_if_it_has_ended(database: Database, n: Notification) -> None:
    first = begin(database, n)
    assert begin(database, n, host="compute9") == first
    end(database, n)

    again = begin(database, n)

    assert (again.id, again.outcome) == (first.id, "succeeded")
    assert len(history(database)) == 1


def test_begin_another_attempt_or_action_is_another_one(
    database: Database, n: Notification
) -> None:
    begin(database, n)
    begin(database, n, attempt=2)
    begin(database, n, attempt=2, action=VmAction.RELOCATE)

    assert [(r.attempt, r.action) for r in history(database)] == [
        (1, "restart"),
        (2, "restart"),
        (2, "relocate"),
    ]


def test_begin_sixteen_at_once_is_one(database: Database, n: Notification) -> None:
    outcomes = rows.at_once(lambda number: begin(database, n, host=f"compute{number}"))

    assert outcomes == [outcomes[0]] * 16
    assert history(database) == [outcomes[0]]


def test_end_stores_time_and_outcome_once(database: Database, n: Notification) -> None:
    begin(database, n)

    assert end(database, n, outcome="failed")
    assert not end(database, n, outcome="succeeded")

    (ended,) = history(database)
    assert ended.outcome == "failed"
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.started_at


def test_end_of_what_was_not_begun_is_false(database: Database, n: Notification) -> None:
    begin(database, n)

    assert not end(database, n, attempt=2)
    assert history(database)[0].outcome is None


def test_history_of_one_vm_in_the_order_of_time(database: Database, n: Notification) -> None:
    mine = [begin(database, n, attempt=attempt) for attempt in (1, 2, 3)]
    begin(database, n, attempt=4, vm=VM_B)

    assert history(database) == mine
    found = db.vm_recoveries.history(database, VM_A, since=mine[1].started_at)
    assert found == mine[1:]
    after = mine[2].started_at + datetime.timedelta(microseconds=1)
    assert db.vm_recoveries.history(database, VM_A, since=after) == []


def test_history_of_a_vm_however_its_uuid_is_written(database: Database, n: Notification) -> None:
    begin(database, n, attempt=1, vm=VM_A.upper())
    begin(database, n, attempt=2, vm=f"urn:uuid:{VM_A}")
    db.vm_recoveries.power_on(database, notification_uuid=n.notification_uuid, attempt=2)

    assert [r.instance_uuid for r in history(database)] == [VM_A, VM_A]
    assert history(database, VM_A.replace("-", "")) == history(database)
    assert db.vm_recoveries.last_power_on(database, VM_A.upper())


def test_power_on_is_stored_with_what_has_not_ended(database: Database, n: Notification) -> None:
    begun = begin(database, n)
    end(database, n)
    begin(database, n, action=VmAction.RELOCATE)
    begin(database, n, attempt=2)

    db.vm_recoveries.power_on(database, notification_uuid=n.notification_uuid, attempt=1)

    restart, relocate, next_restart = history(database)
    assert (restart.power_on_at, next_restart.power_on_at) == (None, None)
    assert relocate.power_on_at is not None
    assert relocate.power_on_at >= begun.started_at


def test_last_power_on_for_whichever_notification_of_the_vm(
    database: Database, n: Notification
) -> None:
    others = [
        rows.report(database, type="VM", payload={"instance_uuid": VM_A, "event": event})
        for event in ("one", "two")
    ]

    def last() -> datetime.datetime | None:
        return db.vm_recoveries.last_power_on(database, VM_A)

    for m in (n, *others):
        begin(database, m)
    begin(database, others[0], attempt=2, vm=VM_B)
    assert last() is None
    for m, attempt in ((others[0], 1), (others[1], 1), (n, 1), (others[0], 2)):
        db.vm_recoveries.power_on(database, notification_uuid=m.notification_uuid, attempt=attempt)

    assert last() == max(r.power_on_at for r in history(database) if r.power_on_at)


def test_of_notification_is_of_no_other(database: Database, n: Notification) -> None:
    other = rows.report(database, type="VM", payload={"instance_uuid": VM_B})
    begin(database, n)
    theirs = begin(database, other, vm=VM_B)

    assert db.vm_recoveries.of_notification(database, other.notification_uuid) == [theirs]
