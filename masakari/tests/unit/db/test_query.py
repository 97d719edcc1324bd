import pytest
import sqlalchemy as sa

from masakari import db, errors
from masakari.db.packed import Shown
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.tests.unit.db import rows

METHODS = ["rh_priority", "auto", "reserved_host", "auto", "auto_priority", "auto", "rh_priority"]


@pytest.fixture
def seven(database: Database) -> list[db.models.Segment]:
    """Seven segments, oldest first; some have a description."""
    return [
        rows.segment(
            database,
            f"rack{number}",
            recovery_method=method,
            description="same" if number % 3 else None,
        )
        for number, method in enumerate(METHODS)
    ]


ALL = Page(limit=1000)


def listed(database: Database, page: Page) -> list[str]:
    return [s["name"] for s in db.segments.page(database, page)]


def test_page_default_order_is_newest_first(
    database: Database, seven: list[db.models.Segment]
) -> None:
    assert listed(database, Page(limit=3)) == ["rack6", "rack5", "rack4"]


def test_page_limit_zero_is_empty(database: Database, seven: list[db.models.Segment]) -> None:
    assert listed(database, Page(limit=0)) == []


@pytest.mark.parametrize("attribute", ["id", "uuid"])
def test_page_marker_continues_behind_that_row(
    database: Database, seven: list[db.models.Segment], attribute: str
) -> None:
    marker = str(getattr(seven[4], attribute))

    assert listed(database, Page(limit=2, marker=marker)) == ["rack3", "rack2"]


@pytest.mark.parametrize(
    "marker",
    ["999999", "9" * 30, "-1", "abc", "", "00000000-0000-4000-8000-000000000001", "\u0661"],
)
def test_page_marker_unknown_raises(
    database: Database, seven: list[db.models.Segment], marker: str
) -> None:
    with pytest.raises(errors.MarkerNotFound):
        listed(database, Page(limit=2, marker=marker))


def test_page_marker_deleted_raises(database: Database, seven: list[db.models.Segment]) -> None:
    db.segments.delete(database, seven[4].uuid)

    with pytest.raises(errors.MarkerNotFound):
        listed(database, Page(limit=2, marker=str(seven[4].id)))


def test_page_two_keys_two_directions(database: Database, seven: list[db.models.Segment]) -> None:
    page = Page(limit=4, sort_keys=("recovery_method", "name"), sort_dirs=("asc", "desc"))

    assert listed(database, page) == ["rack5", "rack3", "rack1", "rack4"]


def test_page_direction_missing_is_the_first_one(
    database: Database, seven: list[db.models.Segment]
) -> None:
    page = Page(limit=4, sort_keys=("recovery_method", "name"), sort_dirs=("asc",))

    assert listed(database, page) == ["rack1", "rack3", "rack5", "rack4"]


def test_page_direction_without_key_turns_the_default_order(
    database: Database, seven: list[db.models.Segment]
) -> None:
    assert listed(database, Page(limit=2, sort_dirs=("asc",))) == ["rack0", "rack1"]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", ["id", "name", "description", "recovery_method", "updated_at"])
def test_page_by_page_gives_each_row_once_in_order(
    database: Database, seven: list[db.models.Segment], key: str, direction: str
) -> None:
    order = {"sort_keys": (key,), "sort_dirs": (direction,)}
    whole = db.segments.page(database, Page(limit=1000, **order))

    paged: list[Shown] = []
    while page := db.segments.page(
        database, Page(limit=2, marker=str(paged[-1]["id"]) if paged else None, **order)
    ):
        paged += page

    assert paged == whole
    assert len(whole) == len(seven)


@pytest.mark.parametrize(
    ("keys", "directions", "words"),
    [
        (("colour",), (), "colour"),
        (("name,uuid",), (), "name,uuid"),
        (("name",), ("up",), "up"),
        (("name",), ("asc", "desc"), "more directions"),
        ((), ("asc", "desc"), "more directions"),
    ],
)
def test_page_bad_order_raises(
    database: Database, keys: tuple[str, ...], directions: tuple[str, ...], words: str
) -> None:
    with pytest.raises(errors.Invalid, match=words):
        listed(database, Page(limit=0, sort_keys=keys, sort_dirs=directions))


@pytest.mark.parametrize("key", ["lease_until", "not_before", "request_id"])
def test_page_sort_key_of_ours_is_unknown(database: Database, key: str) -> None:
    with pytest.raises(errors.Invalid, match=key):
        db.notifications.page(database, Page(limit=1, sort_keys=(key,)))


@pytest.mark.parametrize("key", ["maintenance_by", "reserved_for", "reserved_undo"])
def test_page_hosts_sort_key_of_ours_is_unknown(database: Database, key: str) -> None:
    s = rows.segment(database)

    with pytest.raises(errors.Invalid, match=key):
        db.hosts.page(database, s.uuid, Page(limit=1, sort_keys=(key,)))


@pytest.mark.parametrize("key", ["attempt", "chapter", "locked"])
def test_page_vmoves_sort_key_of_ours_is_unknown(database: Database, key: str) -> None:
    rows.host(database)
    n = rows.report(database)

    with pytest.raises(errors.Invalid, match=key):
        db.vmoves.page(database, n.notification_uuid, Page(limit=1, sort_keys=(key,)))


TEXTS = [
    '"',
    "\\",
    "'",
    "\n\r\t",
    "\x01\x1f\x7f",
    "%s %(a)s :b",
    "\u00e4\u2028\uffee",
    "[1, null]",
    "",
]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_page_shows_every_text_as_it_is(database: Database, text: str) -> None:
    host = rows.host(database, of=rows.segment(database, "rack1", description=text))
    rows.report(database, payload={"event": text, "number": 1.5, "deep": [{"a": None}]})

    (segment,) = db.segments.page(database, ALL)
    (notification,) = db.notifications.page(database, ALL)

    assert segment["description"] == text
    assert notification["payload"] == {"event": text, "number": 1.5, "deep": [{"a": None}]}
    assert notification["source_host_uuid"] == host.uuid


def test_page_shows_the_types_of_the_columns(database: Database) -> None:
    created = rows.segment(database, "rack1", enabled=False, description=None)
    host = rows.host(database, of=created)

    (segment,) = db.segments.page(database, ALL)
    _, (found,) = db.hosts.page(database, created.uuid, ALL)

    assert segment == {
        "id": created.id,
        "uuid": created.uuid,
        "name": "rack1",
        "service_type": created.service_type,
        "enabled": False,
        "description": None,
        "recovery_method": created.recovery_method,
        "observe_only": False,
        "created_at": created.created_at.isoformat(timespec="microseconds"),
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
    }
    assert {type(name) for name in found} == {str}  # with keys of a subclass, JSON is slow
    assert (found["uuid"], found["reserved"], found["on_maintenance"]) == (host.uuid, False, False)


def test_page_payload_that_only_python_reads(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE notifications SET payload = '{\"event\": NaN}'"))

    (shown,) = db.notifications.page(database, ALL)

    assert shown["notification_uuid"] == n.notification_uuid
    assert repr(shown["payload"]) == "{'event': nan}"
