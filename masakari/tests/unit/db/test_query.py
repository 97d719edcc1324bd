import pytest

from masakari import db, errors
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


def listed(database: Database, page: Page) -> list[str]:
    return [s.name for s in db.segments.page(database, page)]


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

    paged: list[db.models.Segment] = []
    while page := db.segments.page(
        database, Page(limit=2, marker=str(paged[-1].id) if paged else None, **order)
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
