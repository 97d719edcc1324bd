"""Recoveries as an operator looks at them."""

import datetime

import pytest

from masakari import db
from masakari.db.session import Database
from masakari.errors import NotificationNotFound
from masakari.tests.unit.db import rows


def uuids(found: list[db.recoveries.Recovery]) -> list[str]:
    return [r.notification.notification_uuid for r in found]


def test_newest_are_first_and_limited(database: Database) -> None:
    segment = rows.segment(database)
    for number in (1, 2, 3):
        rows.host(database, f"compute{number}", segment)
    reported = [rows.report(database, f"compute{n}").notification_uuid for n in (1, 2, 3)]

    assert uuids(db.recoveries.newest(database, limit=10)) == reported[::-1]
    assert uuids(db.recoveries.newest(database, limit=2)) == reported[:0:-1]


def test_filters(database: Database) -> None:
    segment = rows.segment(database)
    for number in (1, 2):
        rows.host(database, f"compute{number}", segment)
    done = rows.in_status(database, "finished", "compute1").notification_uuid
    new = rows.in_status(database, "new", "compute2").notification_uuid
    later = datetime.datetime(2999, 1, 1)

    def found(**wanted: object) -> list[str]:
        return uuids(db.recoveries.newest(database, limit=10, **wanted))

    assert found(statuses=["finished"]) == [done]
    assert found(statuses=["finished", "new"]) == [new, done]
    assert found(host="compute2") == [new]
    assert found(host="nowhere") == found(type="VM") == found(since=later) == []
    assert found(since=later, with_open=True) == [new]


def test_names_stay_when_the_host_is_deleted(database: Database) -> None:
    host = rows.host(database)
    n = rows.in_status(database, "finished")
    db.hosts.delete(database, host.failover_segment.uuid, host.uuid)

    found = db.recoveries.get(database, n.notification_uuid)

    assert (found.host, found.segment) == ("compute1", "rack1")
    assert found.notification == n


def test_each_vm_counts_once_by_its_latest_chapter(database: Database) -> None:
    rows.host(database)
    n = rows.in_status(database, "running")
    uuid = n.notification_uuid
    first = db.vmoves.prepare(database, uuid, 1, 1, [rows.move(0), rows.move(1), rows.move(2)])
    for move, status in zip(first, ("succeeded", "failed", "ignored"), strict=True):
        db.vmoves.finish(database, move.uuid, status=status, locked=False)
    (again,) = db.vmoves.prepare(database, uuid, 1, 2, [rows.move(1)])
    db.vmoves.prepare(database, uuid, 9, 1, [rows.move(5)])

    (listed,) = db.recoveries.newest(database, limit=1)
    shown = db.recoveries.get(database, uuid)

    assert listed.vms == shown.vms == {"succeeded": 1, "pending": 1, "ignored": 1}
    assert [m.uuid for m in shown.moves][:4] == [*(m.uuid for m in first), again.uuid]


def test_nothing_of_that_name(database: Database) -> None:
    with pytest.raises(NotificationNotFound):
        db.recoveries.get(database, "00000000-0000-4000-8000-000000000000")
