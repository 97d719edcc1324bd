"""The shapes of replies: JSON Schema that the document of the API shows and tests check."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from masakari.api import versions
from masakari.api.fields import Schema
from masakari.api.versions import Version

_MOMENT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}$"

ID: Schema = {"type": "integer", "minimum": 1, "examples": [1]}
UUID: Schema = {"type": "string", "examples": ["5fd9d925-0379-40db-a7f8-786a0b655b2a"]}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean", "examples": [False]}
STAMP: Schema = {
    "type": "string",
    "pattern": _MOMENT,
    "description": "UTC, without a zone",
    "examples": ["2026-11-21T03:05:55.000000"],
}
LINK: Schema = {
    "type": "object",
    "properties": {"rel": TEXT, "href": TEXT, "type": TEXT},
    "required": ["rel", "href"],
}


def maybe(schema: Schema) -> Schema:
    """What *schema* is, or null."""
    nullable = {**schema, "type": [schema["type"], "null"], "examples": [None]}
    return nullable | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def word(words: Iterable[StrEnum]) -> Schema:
    """One of *words*."""
    known = [str(one) for one in words]
    return {"type": "string", "enum": known}


def since(version: Version, schema: Schema) -> Schema:
    """A property that replies have from *version* on."""
    return {**schema, "x-openstack": {"min-ver": versions.text(version)}}


ROW: Mapping[str, Schema] = {
    "created_at": maybe(STAMP) | {"examples": STAMP["examples"]},
    "updated_at": maybe(STAMP),
    "deleted_at": maybe(STAMP),
    "deleted": FLAG,
}
"""What every row has."""


def record(
    title: str, properties: Mapping[str, Schema], *, optional: Collection[str] = ()
) -> Schema:
    """An object with exactly *properties*, known as *title*."""
    return {
        "title": title,
        "type": "object",
        "properties": dict(properties),
        "required": [
            name
            for name, one in properties.items()
            if name not in optional and "x-openstack" not in one
        ],
        "additionalProperties": False,
    }


def one(key: str, schema: Schema) -> Schema:
    """`{key: {...}}`."""
    return {
        "type": "object",
        "properties": {key: schema},
        "required": [key],
        "additionalProperties": False,
    }


def listing(key: str, schema: Schema) -> Schema:
    """`{key: [...]}`."""
    return one(key, {"type": "array", "items": schema})


def many(key: str, schema: Schema) -> Schema:
    """As `listing`, and a link to the next page where the server cut the list off."""
    next_page = {
        "type": "array",
        "items": LINK,
        "description": "The next page, where our limit cut off what was asked for without one",
    }
    answer = listing(key, schema)
    properties = answer["properties"] | {f"{key}_links": next_page}
    return {**answer, "properties": properties}


_VERSION: dict[str, Schema] = {
    "id": TEXT | {"examples": ["v1.0"]},
    "status": {"type": "string", "enum": ["CURRENT"]},
    "version": TEXT | {"examples": [versions.text(versions.NEWEST)]},
    "min_version": TEXT | {"examples": [versions.text(versions.OLDEST)]},
    "updated": {"type": "string", "format": "date-time", "examples": ["2016-07-01T11:33:21Z"]},
    "links": {"type": "array", "items": LINK},
}
VERSION_SUMMARY = record("VersionSummary", _VERSION)
VERSION = record(
    "Version",
    _VERSION
    | {
        "media-types": {
            "type": "array",
            "items": record("MediaType", {"base": TEXT, "type": TEXT}),
        }
    },
)
