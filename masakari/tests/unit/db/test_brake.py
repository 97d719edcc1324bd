"""Cancelled and retried: what is open, what has begun, and what is begun in that moment."""

import datetime

import pytest

from masakari import db, errors
from masakari.db.models import Notification
from masakari.db.session import Database
from masakari.db.vmoves import NewMove
from masakari.tests.unit.db import rows

VMS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 9)]


def moves(database: Database, n: Notification, count: int = 2) -> list[str]:
    """Uuids of the moves of so many VMs, by rank."""
    wanted = [NewMove(vm, f"vm{rank}", "compute1", rank) for rank, vm in enumerate(VMS[:count])]
    found = db.vmoves.prepare(database, n.notification_uuid, 1, 1, wanted)
    return [move.uuid for move in found]


def statuses(database: Database, n: Notification) -> list[tuple[str | None, str | None]]:
    of_attempt = db.vmoves.of_attempt(database, n.notification_uuid, 1)
    return [(move.status, move.message) for move in of_attempt]


def settle(database: Database, n: Notification, status: str) -> bool:
    return db.leases.settle(
        database, n.notification_uuid, owner="engine-a", status=status, message="m"
    )


@pytest.fixture
def running(database: Database) -> Notification:
    rows.host(database)
    return rows.in_status(database, "running")


@pytest.mark.parametrize("status", ["new", "error"])
def test_cancel_what_waits_ends_it_at_once(database: Database, status: str) -> None:
    rows.host(database)
    n = rows.in_status(database, status)

    cancelled = db.brake.cancel(database, n.notification_uuid)

    assert cancelled.status == "failed"
    assert str(cancelled.message).startswith("cancelled-by-operator: ")
    assert cancelled.not_before is None
    assert db.leases.due(database) == []
    assert db.leases.claim(database, n.notification_uuid, owner="engine-a", lease_s=15) is None


def test_cancel_what_is_delayed_ends_it_at_once(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    later = database.clock.now() + datetime.timedelta(hours=1)
    db.leases.postpone(database, n.notification_uuid, until=later, message="delayed: m")

    assert db.brake.cancel(database, str(n.id)).status == "failed"
    assert db.leases.next_due(database) is None


def test_cancel_what_runs_ends_moves_that_have_not_begun(
    database: Database, running: Notification
) -> None:
    first, second = moves(database, running)
    assert db.vmoves.start(database, first, lock=False)

    cancelled = db.brake.cancel(database, running.notification_uuid)

    assert (cancelled.status, cancelled.owner) == ("running", "engine-a")
    assert statuses(database, running) == [("ongoing", None), ("ignored", db.vmoves.CANCELLED)]
    assert not db.vmoves.start(database, second, lock=False)
    assert not db.vmoves.will_lock(database, second)
    assert db.vmoves.finish(database, first, status="succeeded", locked=False)


def test_cancel_beside_a_beginning_move_has_one_winner(
    database: Database, running: Notification
) -> None:
    uuids = moves(database, running, len(VMS))

    def act(number: int) -> bool | Notification:
        if number == len(uuids):
            return db.brake.cancel(database, running.notification_uuid)
        return db.vmoves.start(database, uuids[number], lock=False)

    *begun, cancelled = rows.at_once(act, len(uuids) + 1)

    assert isinstance(cancelled, Notification)
    found = [status for status, _ in statuses(database, running)]
    assert found == ["ongoing" if started else "ignored" for started in begun]


def test_cancelled_recovery_prepares_no_moves(database: Database, running: Notification) -> None:
    db.brake.cancel(database, running.notification_uuid)

    moves(database, running)

    assert statuses(database, running) == [("ignored", db.vmoves.CANCELLED)] * 2


def test_cancelled_recovery_does_not_become_error(
    database: Database, running: Notification
) -> None:
    db.brake.cancel(database, running.notification_uuid)

    assert not settle(database, running, "error")
    assert settle(database, running, "failed")


def test_cancelled_recovery_begins_nothing_with_its_vm(
    database: Database, running: Notification
) -> None:
    def begin(action: str) -> None:
        db.vm_recoveries.begin(
            database,
            instance_uuid=VMS[0],
            notification_uuid=running.notification_uuid,
            attempt=1,
            action=action,
            host="compute1",
        )

    begin("restart")
    db.brake.cancel(database, running.notification_uuid)

    begin("restart")  # it had begun
    with pytest.raises(errors.RecoveryCancelled):
        begin("relocate")


def test_cancel_without_an_engine_is_found_by_the_next(
    database: Database, running: Notification
) -> None:
    db.leases.renew(database, running.notification_uuid, owner="engine-a", lease_s=0)
    db.brake.cancel(database, running.notification_uuid)

    taken = db.leases.claim(database, running.notification_uuid, owner="engine-b", lease_s=15)

    assert taken is not None
    assert taken.cancelled_at is not None


def test_cancel_twice_is_cancelled_once(database: Database, running: Notification) -> None:
    first = db.brake.cancel(database, running.notification_uuid)
    assert db.brake.cancel(database, running.notification_uuid) == first

    settle(database, running, "failed")

    assert db.brake.cancel(database, running.notification_uuid).status == "failed"


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_cancel_what_has_ended_is_refused(database: Database, status: str) -> None:
    rows.host(database)
    n = rows.in_status(database, status)

    with pytest.raises(errors.WrongStatus, match=f"is {status}; it can be cancelled only if"):
        db.brake.cancel(database, n.notification_uuid)


@pytest.mark.parametrize("status", ["failed", "ignored"])
def test_retry_makes_it_new_with_all_its_tries(database: Database, status: str) -> None:
    rows.host(database)
    n = rows.in_status(database, "running")
    uuid = n.notification_uuid
    db.leases.record_proof(database, uuid, owner="engine-a", proof={"kind": "nova_down"})
    settle(database, n, "error")
    n2 = db.leases.claim(database, uuid, owner="engine-a", lease_s=60)
    assert n2 is not None
    assert (n2.failures, n2.attempt) == (1, 2)
    settle(database, n, status)

    retried = db.brake.retry(database, uuid)

    assert (retried.status, retried.failures, retried.proof) == ("new", 0, None)
    assert (retried.message, retried.cancelled_at) == (None, None)
    again = db.leases.claim(database, uuid, owner="engine-a", lease_s=15)
    assert again is not None
    assert again.attempt == 3  # the moves of earlier ones stay on record


def test_retry_by_sixteen_at_once_happens_once(database: Database) -> None:
    rows.host(database)
    n = rows.in_status(database, "failed")

    results = rows.at_once(lambda _: db.brake.retry(database, n.notification_uuid))

    assert {isinstance(r, Notification) and r.status for r in results} == {"new"}
    assert db.leases.due(database) == [n.notification_uuid]


def test_retry_what_is_being_cancelled_is_refused(database: Database) -> None:
    rows.host(database)
    n = rows.in_status(database, "failed")
    db.brake.retry(database, n.notification_uuid)
    db.leases.claim(database, n.notification_uuid, owner="engine-a", lease_s=60)
    db.brake.cancel(database, n.notification_uuid)

    with pytest.raises(errors.WrongStatus, match="is running; it can be retried only if"):
        db.brake.retry(database, n.notification_uuid)


@pytest.mark.parametrize("status", ["new", "running", "error", "finished"])
def test_retry_what_is_open_or_done_is_refused(database: Database, status: str) -> None:
    rows.host(database)
    n = rows.in_status(database, status)

    with pytest.raises(errors.WrongStatus):
        db.brake.retry(database, n.notification_uuid)


def test_retried_segment_is_under_recovery(database: Database) -> None:
    host = rows.host(database)
    n = rows.in_status(database, "failed")
    db.brake.retry(database, n.notification_uuid)

    with pytest.raises(errors.SegmentUnderRecovery):
        db.segments.update(database, host.failover_segment_id, {"name": "rack2"})


def test_unknown_notification_is_not_found(database: Database) -> None:
    for act in (db.brake.cancel, db.brake.retry):
        with pytest.raises(errors.NotificationNotFound):
            act(database, VMS[0])
