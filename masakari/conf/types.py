"""Types of options that oslo.config lacks, or whose complaints nobody understands."""

import re
import urllib.parse

from oslo_config import types


def is_http_url(value: str) -> bool:
    """Whether it names a host over http or https."""
    try:
        parts = urllib.parse.urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


class HttpUrl(types.String):
    """An http or https URL; empty: none."""

    def __init__(self) -> None:
        super().__init__(type_name="URL")

    def __call__(self, value: object) -> str:
        """The value.  Raises ValueError."""
        text = str(value)
        if text and not is_http_url(text):
            raise ValueError(f"{text!r} is not an http or https URL")
        return text

    def __repr__(self) -> str:
        return "URL"


class Regex(types.String):
    """A regular expression."""

    def __init__(self) -> None:
        super().__init__(type_name="regular expression")

    def __call__(self, value: object) -> str:
        """The value.  Raises ValueError."""
        text = str(value)
        try:
            re.compile(text)
        except re.error as e:
            raise ValueError(f"{text!r} is not a regular expression: {e}") from e
        return text

    def __repr__(self) -> str:
        return "regular expression"
