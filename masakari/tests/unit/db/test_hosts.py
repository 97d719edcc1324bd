import datetime

import pytest

from masakari import db, errors
from masakari.db.models import Segment
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.tests.unit.db import rows

ALL = Page(limit=1000)
SEEN_AT = datetime.datetime(2026, 1, 1, 12, 0, 0, 5)
NOBODY = "00000000-0000-4000-8000-000000000001"


def test_create_host_returns_the_stored_record_with_its_segment(database: Database) -> None:
    s = rows.segment(database)

    h = rows.host(database, "compute1", of=s, reserved=True)

    assert h == db.hosts.get(database, s.uuid, h.uuid)
    assert h.failover_segment == s
    assert (h.name, h.failover_segment_id, h.reserved) == ("compute1", s.uuid, True)
    assert (h.on_maintenance, h.maintenance_by) == (False, None)


def test_create_host_name_in_use_in_another_segment_raises(database: Database) -> None:
    rows.host(database, "compute1", of=rows.segment(database, "rack1"))

    with pytest.raises(errors.HostExists, match="compute1"):
        rows.host(database, "compute1", of=rows.segment(database, "rack2"))


def test_create_host_segment_unknown_or_deleted_raises(database: Database) -> None:
    gone = rows.segment(database)
    db.segments.delete(database, gone.uuid)

    for uuid in (NOBODY, gone.uuid):
        with pytest.raises(errors.SegmentNotFound):
            db.hosts.create(database, uuid, name="c", type="t", control_attributes="a")


def test_get_host_through_another_segment_raises(database: Database) -> None:
    h = rows.host(database, of=rows.segment(database, "rack1"))
    other = rows.segment(database, "rack2")

    with pytest.raises(errors.HostNotFound):
        db.hosts.get(database, other.uuid, h.uuid)


def test_find_host_deleted_is_found_unknown_is_none(database: Database) -> None:
    h = rows.host(database)
    db.hosts.delete(database, h.failover_segment_id, h.uuid)

    found = db.hosts.find(database, h.uuid)

    assert found is not None
    assert found.deleted == h.id
    assert db.hosts.find(database, NOBODY) is None


def test_get_host_by_name_is_case_sensitive(database: Database) -> None:
    h = rows.host(database, "compute1")

    assert db.hosts.get_by_name(database, "compute1") == h
    for name in ("Compute1", "compute2"):
        with pytest.raises(errors.HostNameUnknown, match=name):
            db.hosts.get_by_name(database, name)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "abc"),
        ({"type": "xen"}, "c"),
        ({"reserved": True}, "b"),
        ({"reserved": False}, "ac"),
        ({"on_maintenance": True}, "c"),
        ({"on_maintenance": False}, "ab"),
        ({"name": "a"}, "a"),
        ({"control_attributes": "ipmi"}, "b"),
        ({"control_attributes": "ipmi", "reserved": False}, ""),
    ],
    ids=str,
)
def test_page_hosts_filters(database: Database, wanted: dict[str, object], expected: str) -> None:
    s = rows.segment(database)
    rows.host(database, "a", of=s)
    rows.host(database, "b", of=s, reserved=True, control_attributes="ipmi")
    rows.host(database, "c", of=s, type="xen", on_maintenance=True)
    rows.host(database, "d", of=rows.segment(database, "rack2"))
    gone = rows.host(database, "e", of=s)
    db.hosts.delete(database, s.uuid, gone.uuid)

    _, found = db.hosts.page(database, s.uuid, ALL, **wanted)
    assert "".join(sorted(h["name"] for h in found)) == expected


def test_page_hosts_segment_unknown_raises(database: Database) -> None:
    with pytest.raises(errors.SegmentNotFound):
        db.hosts.page(database, NOBODY, ALL)


def test_page_hosts_marker_of_another_segment_is_a_place_in_the_order(database: Database) -> None:
    s = rows.segment(database, "rack1")
    rows.host(database, "a", of=s)
    elsewhere = rows.host(database, "b", of=rows.segment(database, "rack2"))
    rows.host(database, "c", of=s)

    page = Page(limit=9, marker=str(elsewhere.id), sort_keys=("name",), sort_dirs=("asc",))

    assert [h["name"] for h in db.hosts.page(database, s.uuid, page)[1]] == ["c"]


def test_update_host_changes_fields_and_time(database: Database) -> None:
    h = rows.host(database)

    changed = db.hosts.update(
        database, h.failover_segment_id, h.uuid, {"name": "compute9", "reserved": True}
    )

    assert (changed.name, changed.reserved, changed.type) == ("compute9", True, "kvm")
    assert changed.updated_at is not None


def test_update_host_name_in_use_raises(database: Database) -> None:
    s = rows.segment(database)
    rows.host(database, "compute1", of=s)
    h = rows.host(database, "compute2", of=s)

    with pytest.raises(errors.HostExists):
        db.hosts.update(database, s.uuid, h.uuid, {"name": "compute1"})


def test_change_host_while_a_neighbour_is_under_recovery_raises(database: Database) -> None:
    s = rows.segment(database)
    rows.host(database, "compute1", of=s)
    h = rows.host(database, "compute2", of=s)
    rows.report(database, "compute1")

    with pytest.raises(errors.SegmentUnderRecovery):
        db.hosts.update(database, s.uuid, h.uuid, {"reserved": True})
    with pytest.raises(errors.SegmentUnderRecovery):
        db.hosts.delete(database, s.uuid, h.uuid)


@pytest.mark.parametrize("value", [True, False])
def test_update_host_on_maintenance_by_hand_is_the_operators(
    database: Database, value: bool
) -> None:
    h = rows.host(database)
    db.hosts.begin_maintenance(database, h.uuid, by="n1")

    changed = db.hosts.update(database, h.failover_segment_id, h.uuid, {"on_maintenance": value})

    assert (changed.on_maintenance, changed.maintenance_by) == (value, None)


def test_update_host_other_field_keeps_whose_maintenance_it_is(database: Database) -> None:
    h = rows.host(database)
    db.hosts.begin_maintenance(database, h.uuid, by="n1")

    changed = db.hosts.update(database, h.failover_segment_id, h.uuid, {"type": "xen"})

    assert (changed.on_maintenance, changed.maintenance_by) == (True, "n1")


def test_change_host_unknown_raises(database: Database) -> None:
    s = rows.segment(database)

    with pytest.raises(errors.HostNotFound):
        db.hosts.update(database, s.uuid, NOBODY, {"type": "x"})
    with pytest.raises(errors.HostNotFound):
        db.hosts.delete(database, s.uuid, NOBODY)


def test_delete_host_frees_its_name(database: Database) -> None:
    s = rows.segment(database)
    db.hosts.delete(database, s.uuid, rows.host(database, "compute1", of=s).uuid)

    again = rows.host(database, "compute1", of=s)

    _, there = db.hosts.page(database, s.uuid, ALL)
    assert [h["uuid"] for h in there] == [again.uuid]


@pytest.mark.parametrize("reserved", [True, False])
def test_begin_maintenance_sets_flags_once(database: Database, reserved: bool) -> None:
    h = rows.host(database, reserved=reserved)

    assert db.hosts.begin_maintenance(database, h.uuid, by="n1")

    now = db.hosts.get_by_name(database, h.name)
    assert (now.on_maintenance, now.maintenance_by, now.reserved) == (True, "n1", reserved)
    assert db.hosts.begin_maintenance(database, h.uuid, by="n1")
    assert not db.hosts.begin_maintenance(database, h.uuid, by="n2")


def test_begin_maintenance_operators_own_is_left_alone(database: Database) -> None:
    h = rows.host(database, on_maintenance=True)

    assert not db.hosts.begin_maintenance(database, h.uuid, by="n1")
    assert db.hosts.get_by_name(database, h.name).maintenance_by is None


def test_begin_maintenance_host_gone_is_false(database: Database) -> None:
    h = rows.host(database)
    db.hosts.delete(database, h.failover_segment_id, h.uuid)

    assert not db.hosts.begin_maintenance(database, h.uuid, by="n1")


def of_process(database: Database, status: str = "new") -> str:
    """Uuid of a notification that a process of compute1 has failed."""
    n = rows.report(
        database, type="PROCESS", payload={"event": "STOPPED", "process_name": "nova-compute"}
    )
    if status != "new":
        db.leases.claim(database, n.notification_uuid, owner="e", lease_s=60)
        db.leases.settle(database, n.notification_uuid, owner="e", status=status, message="m")
    return n.notification_uuid


@pytest.mark.parametrize("status", ["new", "finished", "failed"])
def test_begin_maintenance_takes_over_from_a_process(database: Database, status: str) -> None:
    h = rows.host(database, reserved=True)
    process = of_process(database, status)
    db.hosts.begin_maintenance(database, h.uuid, by=process)
    host_failure = rows.report(database).notification_uuid

    assert db.hosts.begin_maintenance(database, h.uuid, by=host_failure)

    now = db.hosts.get_by_name(database, h.name)
    assert (now.on_maintenance, now.maintenance_by, now.reserved) == (True, host_failure, True)
    assert not db.hosts.begin_maintenance(database, h.uuid, by=process)


def test_begin_maintenance_of_another_process_takes_over(database: Database) -> None:
    h = rows.host(database)
    first = of_process(database)
    db.hosts.begin_maintenance(database, h.uuid, by=first)
    second = rows.report(
        database, type="PROCESS", payload={"event": "STOPPED", "process_name": "libvirtd"}
    ).notification_uuid

    assert db.hosts.begin_maintenance(database, h.uuid, by=second)
    assert db.hosts.get_by_name(database, h.name).maintenance_by == second


def test_end_process_maintenance_ends_what_a_process_began(database: Database) -> None:
    h = rows.host(database)
    db.hosts.begin_maintenance(database, h.uuid, by=of_process(database))

    assert db.hosts.end_process_maintenance(database, h.uuid)

    now = db.hosts.get_by_name(database, h.name)
    assert (now.on_maintenance, now.maintenance_by) == (False, None)
    assert not db.hosts.end_process_maintenance(database, h.uuid)


@pytest.mark.parametrize("whose", ["operator", "host failure", "nobody known"])
def test_end_process_maintenance_of_others_stays(database: Database, whose: str) -> None:
    h = rows.host(database)
    failure = rows.report(database).notification_uuid
    by = {"host failure": failure, "nobody known": "n1", "operator": None}[whose]
    if by:
        db.hosts.begin_maintenance(database, h.uuid, by=by)
    else:
        with database.writing() as tx:
            tx.connection.execute(db.models.hosts.update().values(on_maintenance=True))

    assert not db.hosts.end_process_maintenance(database, h.uuid)

    now = db.hosts.get_by_name(database, h.name)
    assert (now.on_maintenance, now.maintenance_by) == (True, by)


@pytest.mark.parametrize(("by", "ended"), [("n1", True), (None, True), ("n2", False)])
def test_end_maintenance_only_of_the_one_that_began_it(
    database: Database, by: str | None, ended: bool
) -> None:
    h = rows.host(database)
    db.hosts.begin_maintenance(database, h.uuid, by="n1")

    assert db.hosts.end_maintenance(database, h.uuid, by=by) is ended

    now = db.hosts.get_by_name(database, h.name)
    expected = (False, None) if ended else (True, "n1")
    assert (now.on_maintenance, now.maintenance_by) == expected


def test_end_maintenance_operators_own_stays(database: Database) -> None:
    h = rows.host(database, on_maintenance=True)

    assert not db.hosts.end_maintenance(database, h.uuid)
    assert db.hosts.get_by_name(database, h.name).on_maintenance


def proven(database: Database, name: str, of: Segment, **proof: object) -> str:
    """Uuid of a running recovery of the host *name*, which has put it on maintenance."""
    h = rows.host(database, name, of=of)
    n = rows.in_status(database, "running", name).notification_uuid
    db.hosts.begin_maintenance(database, h.uuid, by=n)
    if proof:
        proof = {"seen_at": SEEN_AT.isoformat(), **proof}
        db.leases.record_proof(database, n, owner="engine-a", proof=proof)
    return n


def test_proven_dead_are_those_with_a_proof_that_counts(database: Database) -> None:
    s = rows.segment(database)
    assert db.hosts.proven_dead(database) == {}
    for name in ("dead1", "dead2"):
        proven(database, name, s, kind="nova_down")
    proven(database, "suspected", s)
    proven(database, "came back", s, kind="nova_down", voided_by="it is up")
    proven(database, "reported", s, kind="nova_down")
    rows.report(database, "reported", payload={"event": "STARTED", "host_status": "NORMAL"})
    rows.host(database, "operators", of=s, on_maintenance=True)
    rows.host(database, "alive", of=s)

    assert db.hosts.proven_dead(database) == {"dead1": SEEN_AT, "dead2": SEEN_AT}


@pytest.mark.parametrize("status", ["finished", "failed", "error"])
def test_proven_dead_until_maintenance_ends(database: Database, status: str) -> None:
    n = proven(database, "dead", rows.segment(database), kind="nova_down")
    db.leases.settle(database, n, owner="engine-a", status=status, message="m")
    assert set(db.hosts.proven_dead(database)) == {"dead"}

    h = db.hosts.get_by_name(database, "dead")
    db.hosts.end_maintenance(database, h.uuid, by=n)

    assert db.hosts.proven_dead(database) == {}


@pytest.mark.parametrize("how", ["deleted", "operator's maintenance"])
def test_proven_dead_host_that_is_ours_no_more_is_none(database: Database, how: str) -> None:
    n = proven(database, "dead", rows.segment(database), kind="nova_down")
    db.leases.settle(database, n, owner="engine-a", status="finished", message="m")
    h = db.hosts.get_by_name(database, "dead")
    if how == "deleted":
        db.hosts.delete(database, h.failover_segment_id, h.uuid)
    else:
        db.hosts.update(database, h.failover_segment_id, h.uuid, {"on_maintenance": True})

    assert db.hosts.proven_dead(database) == {}


@pytest.mark.parametrize("by", ["n1", None], ids=["recovery", "operator"])
def test_repaired_host_is_on_maintenance_for_nobody(database: Database, by: str | None) -> None:
    h = rows.host(database, on_maintenance=by is None)
    if by:
        db.hosts.begin_maintenance(database, h.uuid, by=by)

    now = db.hosts.repaired(database, h.name)

    assert (now.on_maintenance, now.maintenance_by) == (False, None)
    assert now == db.hosts.get_by_name(database, h.name)


@pytest.mark.parametrize("status", ["new", "running", "error"])
def test_repaired_host_with_open_notification_is_refused(database: Database, status: str) -> None:
    rows.host(database)
    n = rows.in_status(database, status)

    for function in (db.hosts.repaired, db.hosts.require_settled):
        with pytest.raises(errors.HostUnderRecovery, match=n.notification_uuid):
            function(database, "compute1")


def test_repaired_host_unknown_raises(database: Database) -> None:
    for function in (db.hosts.repaired, db.hosts.require_settled):
        with pytest.raises(errors.HostNameUnknown):
            function(database, "compute1")
