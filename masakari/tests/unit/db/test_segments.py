import pytest

from masakari import db, errors
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.tests.unit.db import rows

ALL = Page(limit=1000)
NOBODY = "00000000-0000-4000-8000-000000000001"


def names(found: list[db.models.Segment]) -> list[str]:
    return [s.name for s in found]


def test_create_segment_returns_the_stored_record(database: Database) -> None:
    created = rows.segment(database, "rack1", recovery_method="rh_priority", description="north")

    assert created == db.segments.get(database, created.uuid)
    assert (created.name, created.recovery_method, created.description, created.enabled) == (
        "rack1",
        "rh_priority",
        "north",
        True,
    )
    assert created.created_at is not None
    assert created.created_at.microsecond == 0
    assert (created.updated_at, created.deleted_at, created.deleted) == (None, None, 0)


def test_create_segment_name_in_use_raises(database: Database) -> None:
    rows.segment(database, "rack1")

    for name in ("rack1", "RACK1"):
        with pytest.raises(errors.SegmentExists, match=name):
            rows.segment(database, name)


def test_create_segment_name_of_deleted_one_is_free(database: Database) -> None:
    db.segments.delete(database, rows.segment(database, "rack1").uuid)

    assert names([rows.segment(database, "rack1")]) == ["rack1"]


def test_get_segment_unknown_or_deleted_raises(database: Database) -> None:
    gone = rows.segment(database)
    db.segments.delete(database, gone.uuid)

    for uuid in (gone.uuid, NOBODY, str(gone.id)):
        with pytest.raises(errors.SegmentNotFound):
            db.segments.get(database, uuid)


def test_update_segment_changes_fields_and_time(database: Database) -> None:
    s = rows.segment(database)

    changed = db.segments.update(database, s.uuid, {"name": "rack2", "description": None})

    assert (changed.name, changed.description, changed.service_type) == ("rack2", None, "COMPUTE")
    assert changed.updated_at is not None
    assert changed == db.segments.get(database, s.uuid)


def test_update_segment_name_in_use_raises(database: Database) -> None:
    rows.segment(database, "rack1")
    other = rows.segment(database, "rack2")

    for name in ("rack1", "Rack1"):
        with pytest.raises(errors.SegmentExists):
            db.segments.update(database, other.uuid, {"name": name})

    assert db.segments.update(database, other.uuid, {"name": "RACK2"}).name == "RACK2"


def test_update_segment_unknown_raises(database: Database) -> None:
    with pytest.raises(errors.SegmentNotFound):
        db.segments.update(database, NOBODY, {"name": "rack2"})


def test_update_segment_field_that_is_fixed_is_a_defect(database: Database) -> None:
    s = rows.segment(database)

    with pytest.raises(ValueError, match="uuid"):
        db.segments.update(database, s.uuid, {"uuid": NOBODY})


@pytest.mark.parametrize("status", ["new", "running", "error"])
def test_change_segment_under_recovery_raises(database: Database, status: str) -> None:
    s = rows.segment(database)
    rows.host(database, of=s)
    rows.in_status(database, status)

    with pytest.raises(errors.SegmentUnderRecovery):
        db.segments.update(database, s.uuid, {"description": "x"})
    with pytest.raises(errors.SegmentUnderRecovery):
        db.segments.update(database, s.uuid, {"enabled": False, "name": "rack2"})
    with pytest.raises(errors.SegmentUnderRecovery):
        db.segments.update(database, s.uuid, {"enabled": True})
    with pytest.raises(errors.SegmentUnderRecovery):
        db.segments.delete(database, s.uuid)


def test_disable_segment_under_recovery_is_allowed(database: Database) -> None:
    s = rows.segment(database)
    rows.host(database, of=s)
    rows.report(database)

    assert db.segments.update(database, s.uuid, {"enabled": False}).enabled is False


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_change_segment_after_recovery_is_allowed(database: Database, status: str) -> None:
    s = rows.segment(database)
    rows.host(database, of=s)
    rows.in_status(database, status)

    assert db.segments.update(database, s.uuid, {"description": "x"}).description == "x"


def test_change_segment_while_another_one_is_under_recovery_is_allowed(database: Database) -> None:
    s = rows.segment(database, "rack1")
    rows.host(database, "compute1", of=rows.segment(database, "rack2"))
    rows.report(database, "compute1")

    assert db.segments.update(database, s.uuid, {"description": "x"}).description == "x"


def test_delete_segment_deletes_its_hosts(database: Database) -> None:
    s = rows.segment(database, "rack1")
    h = rows.host(database, "compute1", of=s)
    other = rows.host(database, "compute2", of=rows.segment(database, "rack2"))

    db.segments.delete(database, s.uuid)

    gone = db.hosts.find(database, h.uuid)
    assert gone is not None
    assert gone.deleted == h.id
    assert gone.deleted_at is not None
    assert db.hosts.get_by_name(database, "compute2") == other
    with pytest.raises(errors.SegmentNotFound):
        db.segments.delete(database, s.uuid)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "abc"),
        ({"recovery_method": "auto"}, "ab"),
        ({"recovery_method": "nonsense"}, ""),
        ({"service_type": "COMPUTE"}, "ac"),
        ({"enabled": True}, "ac"),
        ({"enabled": False}, "b"),
        ({"enabled": True, "recovery_method": "auto"}, "a"),
    ],
    ids=str,
)
def test_page_segments_filters(
    database: Database, wanted: dict[str, object], expected: str
) -> None:
    rows.segment(database, "a")
    rows.segment(database, "b", service_type="other", enabled=False)
    rows.segment(database, "c", recovery_method="reserved_host")
    db.segments.delete(database, rows.segment(database, "d").uuid)

    found = db.segments.page(database, ALL, **wanted)
    assert "".join(sorted(s["name"] for s in found)) == expected
