"""Text from elsewhere, as we store, compare and read it.

Columns hold the Basic Multilingual Plane only (MySQL's utf8).
"""

import re
import uuid
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.types import TypeDecorator

_BEYOND = re.compile("[^\u0000-\uffff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text with characters that MySQL would refuse replaced: the name of a VM may have them."""
    return _BEYOND.sub(REPLACEMENT, text)


def canonical_uuid(text: str) -> str | None:
    """The UUID in the form in which Nova writes it; None: it is none.

    The API also takes capitals, braces, and no hyphens.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


class ForeignString(TypeDecorator[str]):
    """A String whose values are made storable."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # as inherited
        """Before it is sent to the database."""
        return None if value is None else storable(value)


class ForeignText(ForeignString):
    """A Text whose values are made storable."""

    impl = Text
    cache_ok = True
