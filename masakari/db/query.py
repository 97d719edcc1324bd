"""Lists: filters, sorting and pages, the same for every resource."""

import functools
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from masakari.db.packed import Packing, Shown, packing
from masakari.db.session import Transaction
from masakari.errors import Invalid, MarkerNotFound

DIRECTIONS = ("asc", "desc")
LARGEST_ID = 2**63 - 1
TIE_BREAKERS = ("created_at", "id")


@dataclass(frozen=True)
class Page:
    """Which part of a list, in which order."""

    limit: int
    marker: str | None = None
    """The id or uuid of the last row of the page before."""
    sort_keys: tuple[str, ...] = ()
    sort_dirs: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Listing:
    """What can be listed: how live rows are shown, and the table that is sorted and paged."""

    table: sa.Table
    packing: Packing
    sortable: frozenset[str]
    uuid: str = "uuid"
    """Name of the column with the uuid that clients know a row by."""


def listing(
    table: sa.Table,
    *,
    hidden: Set[str] = frozenset(),
    unsorted: Set[str] = frozenset(),
    objects: Set[str] = frozenset(),
    uuid: str = "uuid",
) -> Listing:
    """A listing of the table's columns that are not *hidden*; *objects* hold JSON.

    By those that are *unsorted* nobody can sort.
    """
    columns = [column for column in table.c if column.name not in hidden]
    sortable = frozenset(column.name for column in columns) - unsorted
    return Listing(table, packing(columns, objects=objects), sortable, uuid)


def fetch(
    tx: Transaction, listing: Listing, page: Page, conditions: Sequence[ColumnElement[bool]]
) -> list[Shown]:
    """The rows of *page* among those that meet all *conditions*.

    Raises Invalid for an unknown sort key or direction and for more directions than keys, and
    MarkerNotFound.
    """
    keys = _sorting(listing, page)
    if page.limit == 0:
        return []
    order, query = _ordered(listing, keys, tx.connection.dialect.name)
    if page.marker is not None:
        conditions = [*conditions, _behind(order, _marked_row(tx, listing, page.marker))]
    if conditions:
        query = query.where(*conditions)
    texts = tx.connection.execute(query, {"rows_at_most": page.limit}).scalars()
    return listing.packing.unpack(texts)


@functools.lru_cache(maxsize=256)
def _ordered(listing: Listing, keys: "Sorting", dialect: str) -> "tuple[Order, sa.Select[Any]]":
    """A statement is made once: SQLAlchemy takes longer to recognize it than to run it."""
    order = [(_sortable(listing.table.c[name]), ascends) for name, ascends in keys]
    rows = sa.select(listing.packing.text).where(listing.table.c.deleted == 0)
    query = rows.order_by(*_order_by(order, dialect))
    return order, query.limit(sa.bindparam("rows_at_most", type_=sa.Integer))


Sorting = tuple[tuple[str, bool], ...]
"""(name of the column, whether it ascends), most significant first; the last one is the id."""

Order = list[tuple[ColumnElement[Any], bool]]
"""The same, with the columns themselves."""


def _sorting(listing: Listing, page: Page) -> Sorting:
    keys, directions = page.sort_keys, page.sort_dirs
    for key in keys:
        if key not in listing.sortable:
            raise Invalid(message=f"sort_key: there is no field {key!r} to sort by.")
    for direction in directions:
        if direction not in DIRECTIONS:
            raise Invalid(message=f"sort_dir: {direction!r} is neither asc nor desc.")
    if len(directions) > max(len(keys), 1):
        raise Invalid(message="sort_dir: there are more directions than keys to sort by.")
    first = directions[0] if directions else "desc"
    names = list(dict.fromkeys((*keys, *TIE_BREAKERS)))
    names = names[: names.index("id") + 1]  # no two rows are equal there
    given = dict(reversed(list(zip(keys, directions, strict=False))))  # the first place of a key
    return tuple((name, given.get(name, first) == "asc") for name in names)


def _order_by(order: Order, dialect: str) -> list[ColumnElement[Any]]:
    """Null counts as smaller than everything on every server."""
    wanted: list[ColumnElement[Any]] = []
    for column, ascends in order:
        element = column.asc() if ascends else column.desc()
        # created_at and id are never null; so PostgreSQL can use their index
        if dialect == "postgresql" and column.name not in TIE_BREAKERS:
            element = element.nulls_first() if ascends else element.nulls_last()
        wanted.append(element)
    return wanted


def _sortable(column: "sa.Column[Any]") -> ColumnElement[Any]:
    """Enumerations sort by their words on every server, not by their place in the type."""
    if isinstance(column.type, sa.Enum):
        return sa.cast(column, sa.String(255)).label(column.name)
    return column


def _marked_row(tx: Transaction, listing: Listing, marker: str) -> "sa.RowMapping":
    table = listing.table
    is_marked = is_called(table, marker, listing.uuid)
    row = tx.connection.execute(sa.select(table).where(is_marked, table.c.deleted == 0))
    found = row.mappings().first()
    if found is None:
        raise MarkerNotFound(marker=marker)
    return found


def _behind(order: Order, marked: "sa.RowMapping") -> ColumnElement[bool]:
    """The row stands behind the marked one: equal in some first columns, then behind in one."""
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for column, ascending in order:
        value = marked[column.name]
        alternatives.append(sa.and_(*equal, _beyond(column, value, ascending=ascending)))
        equal.append(column.is_(None) if value is None else column == value)
    return sa.or_(*alternatives)


def _beyond(column: ColumnElement[Any], value: object, *, ascending: bool) -> ColumnElement[bool]:
    """Null counts as smaller than everything, as SQLite and MySQL sort it."""
    if value is None:
        return column.is_not(None) if ascending else sa.false()
    if ascending:
        return column > value
    return sa.or_(column < value, column.is_(None))


def is_called(table: sa.Table, name: str, uuid: str = "uuid") -> ColumnElement[bool]:
    """The row has that id, or that uuid in the column *uuid*: clients call it by either."""
    is_number = name.isascii() and name.isdecimal() and len(name) < 20
    if is_number and int(name) <= LARGEST_ID:
        return table.c.id == int(name)
    return table.c[uuid] == name


def equals(table: sa.Table, **wanted: object) -> list[ColumnElement[bool]]:
    """Conditions that the columns have the values that are not None."""
    return [_equal(table.c[name], value) for name, value in wanted.items() if value is not None]


def _equal(column: "sa.Column[Any]", value: object) -> ColumnElement[bool]:
    if isinstance(column.type, sa.Enum) and value not in column.type.enums:
        return sa.false()  # PostgreSQL refuses to compare with a word that is not of the type
    return column == value


def check_changes(changes: Mapping[str, object], changeable: frozenset[str]) -> None:
    """A caller changes what may be changed; otherwise it is a defect."""
    if not changes or not changeable.issuperset(changes):
        raise ValueError(f"cannot change {sorted(changes)}, only {sorted(changeable)}")
