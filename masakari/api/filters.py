"""Query parameters of lists: what they may be, and what becomes of them."""

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass

from masakari import errors
from masakari.api import fields, versions
from masakari.api.versions import Version

TRUE = ("1", "t", "true", "on", "y", "yes")
FALSE = ("0", "f", "false", "off", "n", "no")


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter by which a list is filtered."""

    schema: fields.Schema
    parse: Callable[[str], object]
    """The value; ValueError unless the text is of the schema."""
    fault: str
    """What is wrong with a text that is not."""
    since: Version = versions.OLDEST
    """In requests of older versions the parameter is none."""

    def value(self, name: str, text: str) -> object:
        """What the parameter *name* asks for; Invalid if that is nothing."""
        try:
            return self.parse(text)
        except ValueError:
            raise errors.Invalid(
                message=f"Invalid value for query parameter {name}: {text[:64]!r} {self.fault}"
            ) from None


_BLANKS = "[ \t\n\r]*"
_ANY_CASE = "|".join(
    "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in word) for word in (*TRUE, *FALSE)
)
_BOOLEAN = f"{_BLANKS}(?:{_ANY_CASE}){_BLANKS}"


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError
    return text


def _flag(text: str) -> bool:
    if not re.fullmatch(_BOOLEAN, text):
        raise ValueError
    return text.strip().lower() in TRUE


def _moment(text: str) -> datetime.datetime:
    return fields.time(text)


TEXT = Filter({"type": "string", "pattern": r"^[^\x00]*$"}, _text, "has a NUL")
FLAG = Filter(
    {"type": "string", "pattern": f"^{_BOOLEAN}$", "examples": ["true"]}, _flag, "is not a boolean"
)
MOMENT = Filter(
    fields.TIME | {"examples": ["2026-11-21T03:00:00"]},
    _moment,
    "is not a date and time in ISO 8601",
)
