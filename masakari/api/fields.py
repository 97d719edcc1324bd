"""The types of fields in request bodies, and the sentences that name a field and its fault."""

import datetime
import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema
import jsonschema
from oslo_utils import timeutils

from masakari import errors
from masakari.api import timepattern

Schema = dict[str, Any]  # JSON Schema: values of every kind
Json = dict[str, Any]  # a JSON object: values of every kind

HIGHEST = "\ufffe"
"""What lies above (emoji, for example) is no part of MySQL's three-byte UTF-8."""
TEXT_BYTES = 65535
"""What a TEXT column of MySQL holds."""

_WORDY = frozenset(("description", "control_attributes"))

_TRUE = ("True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes")
_FALSE = ("False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no")
_BOOLEANS: dict[object, bool] = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}

NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
DESCRIPTION: Schema = {"type": ["string", "null"], "format": "text"}
TEXT: Schema = {"type": "string", "format": "text"}
HOST_TYPE: Schema = {"type": "string", "maxLength": 255, "format": "alphanumeric"}
BOOLEAN: Schema = {"type": ["boolean", "string"], "format": "boolean"}
HOSTNAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "format": "hostname"}
UUID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
WORD: Schema = {"type": "string", "minLength": 1, "maxLength": 255}


class Shape:
    """What a JSON value must look like."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._validator = jsonschema.Draft202012Validator(schema, format_checker=_FORMATS)

    @functools.cached_property
    def _compiled(self) -> Callable[[object], object]:
        """Says only whether all is well, but in a fraction of the time."""
        compiled: Callable[[object], object] = fastjsonschema.compile(
            self.schema, formats=_CALLABLE, use_default=False
        )
        return compiled

    def conforms(self, value: object) -> bool:
        """Whether *value* does."""
        try:
            self._compiled(value)
        except fastjsonschema.JsonSchemaValueException:
            return False
        return True

    def check(self, value: object) -> None:
        """Raise Invalid, naming field and reason, unless *value* conforms."""
        if self.conforms(value):
            return
        faults = [_explain(error) for error in self._validator.iter_errors(value)]
        if faults:
            path, reason = min(faults)
            where = ".".join(path) or "body"
            raise errors.Invalid(message=f"Invalid input for field {where}: {reason}")


def enveloped(
    key: str,
    properties: Mapping[str, Schema],
    *,
    required: tuple[str, ...] = (),
    at_least: int = 0,
    depending: tuple[str, str, Mapping[str, Schema]] | None = None,
) -> Shape:
    """A body `{key: {...}}` without any other property.

    *depending* (on a property, another, {value: schema}): what the other must look like besides.
    """
    inner: Json = {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "minProperties": at_least,
        "additionalProperties": False,
    }
    if depending is not None:
        on, other, schemas = depending
        inner["allOf"] = [
            {
                "if": {"properties": {on: {"const": str(value)}}, "required": [on]},
                "then": {"properties": {other: schema}},
            }
            for value, schema in schemas.items()
        ]
    return Shape(
        {
            "type": "object",
            "properties": {key: inner},
            "required": [key],
            "additionalProperties": False,
        }
    )


def choice(*names: str) -> Shape:
    """A body `{name: null}` with one of *names*."""
    return Shape(
        {
            "type": "object",
            "properties": {name: {"type": "null"} for name in names},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "examples": [{names[0]: None}],
        }
    )


# ---- values


def boolean(value: object) -> bool:
    """The boolean that *value*, which has been checked to be a BOOLEAN, stands for."""
    return value if isinstance(value, bool) else _BOOLEANS[value]


def booleans(values: Json, *names: str) -> Json:
    """*values* with those of *names* that are there as real booleans."""
    return values | {name: boolean(values[name]) for name in names if name in values}


def told(values: Json) -> str:
    """*values* for the log: long texts, which may hold what is nobody's business, by name only."""
    return ", ".join(
        name if name in _WORDY else f"{name}={value!r}" for name, value in sorted(values.items())
    )


def time(text: str) -> datetime.datetime:
    """ISO 8601 as UTC without zone; ValueError for anything else."""
    if not re.fullmatch(timepattern.ISO_8601, text):
        raise ValueError(text)
    try:
        return timeutils.normalize_time(timeutils.parse_isotime(text))
    except OverflowError as exc:  # year 1 or 9999 with an offset
        raise ValueError(str(exc)) from exc


def stamp(moment: datetime.datetime | None) -> str | None:
    """As in replies: microseconds always, UTC, no zone."""
    return None if moment is None else moment.isoformat(timespec="microseconds")


# ---- formats


def _is_name(value: str) -> bool:
    return all(map(_is_printable, value)) and not {_kind(value[:1]), _kind(value[-1:])} & {"Zs"}


def _is_text(value: str) -> bool:
    return all(c == "\n" or _is_printable(c) for c in value) and len(value.encode()) <= TEXT_BYTES


def _is_printable(char: str) -> bool:
    return char <= HIGHEST and (char.isprintable() or _kind(char) == "Zs")


def _kind(char: str) -> str:
    return unicodedata.category(char) if char else ""


def _is_time(value: str) -> bool:
    try:
        time(value)
    except ValueError:
        return False
    return True


def _is_storable(value: str) -> bool:
    """Half of a surrogate pair is no character."""
    return not any("\ud800" <= c <= "\udfff" for c in value)


_ALPHANUMERIC = "[a-zA-Z0-9]*"
_HOSTNAME = "[a-zA-Z0-9._-]*"
_KEY = "[a-zA-Z0-9_:. -]{1,255}"
_UUID = "(?:urn:|uuid:|[{}])*(?:-*[0-9a-fA-F]){32}-*[{}]*"
# of characters up to HIGHEST: printable or a space separator; neither a space separator
_INNER = r"[^\p{C}\p{Zl}\p{Zp}\u{10000}-\u{10FFFF}]"
_OUTER = r"[^\p{C}\p{Z}\u{10000}-\u{10FFFF}]"

PUBLISHED: Mapping[str, Schema] = {
    "name": {"pattern": f"^{_OUTER}(?:{_INNER}*{_OUTER})?$"},
    "text": {"pattern": f"^(?:{_INNER}|\\n)*$", "maxLength": TEXT_BYTES},
    "alphanumeric": {"pattern": f"^{_ALPHANUMERIC}$"},
    "boolean": {"enum": [True, False, *_BOOLEANS]},
    "hostname": {"pattern": f"^{_HOSTNAME}$"},
    "uuid": {"pattern": f"^{_UUID}$"},
    "date-time": {"pattern": f"^{timepattern.ISO_8601}$"},
    "storable": {},
    "key": {"pattern": f"^{_KEY}$"},
}
"""Each format in the words of JSON Schema, whose regular expressions are ECMAScript's (Unicode).

Not said there: that a text is limited in bytes, and that an offset must not lead out of the years.
"""


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern).fullmatch


_CHECKS: dict[str, tuple[Callable[[str], object], str]] = {
    "name": (
        _is_name,
        "has characters that are not printable, or a space at its beginning or end",
    ),
    "text": (
        _is_text,
        "has characters that are neither printable nor line feeds, "
        f"or is longer than {TEXT_BYTES} bytes",
    ),
    "alphanumeric": (_matches(_ALPHANUMERIC), "has characters other than a-z, A-Z and 0-9"),
    "boolean": (_BOOLEANS.__contains__, "is not a boolean"),
    "hostname": (_matches(_HOSTNAME), "has characters other than a-z, A-Z, 0-9, '-', '.' and '_'"),
    "uuid": (_matches(_UUID), "is not a UUID"),
    "date-time": (_is_time, "is not a date and time in ISO 8601"),
    "storable": (_is_storable, "is not Unicode"),
    "key": (_matches(_KEY), "is not a key of 1 to 255 letters, digits, '-', '_', ':', '.' or ' '"),
}
_CALLABLE: dict[str, Callable[[Any], bool]] = {
    name: lambda value, check=check: bool(check(value))  # type: ignore[misc]
    for name, (check, _) in _CHECKS.items()
}
_FORMATS = jsonschema.FormatChecker(formats=())
for _name, (_check, _) in _CHECKS.items():
    _FORMATS.checks(_name)(
        lambda value, check=_check: not isinstance(value, str) or bool(check(value))
    )


# ---- sentences

_JSON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}

_REASONS: dict[str, Callable[[Any, Any], str]] = {
    "type": lambda wanted, value: f"is {_JSON_TYPES[type(value)]}, must be {_words(wanted)}",
    "enum": lambda wanted, value: f"{_quote(value)} is not one of {', '.join(wanted)}",
    "minLength": lambda wanted, value: "is empty",
    "maxLength": lambda wanted, value: f"is longer than {wanted} characters",
    "minProperties": lambda wanted, value: "is empty: at least one property is needed",
    "maxProperties": lambda wanted, value: f"has more properties than {wanted}",
    "format": lambda wanted, value: f"{_quote(value)} {_fault(wanted, value)}",
}


def _explain(error: jsonschema.ValidationError) -> tuple[list[str], str]:
    """Where the fault is, and what it is."""
    path = [str(step) for step in error.path]
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return [*path, missing], "is required"
    if error.validator == "additionalProperties":
        unknown = min(set(error.instance) - set(error.schema["properties"]))
        return [*path, unknown[:64]], "is not a known property"
    return path, _REASONS[error.validator](error.validator_value, error.instance)


def _fault(wanted: str, value: str) -> str:
    """What keeps *value* from having the format."""
    for char in value if wanted in ("name", "text") else "":
        if char > HIGHEST:
            return f"has U+{ord(char):X}: characters above U+FFFE, such as emoji, are not accepted"
    return _CHECKS[wanted][1]


def _words(types: str | list[str]) -> str:
    return types if isinstance(types, str) else " or ".join(types)


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
