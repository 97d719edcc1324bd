"""ISO 8601 as a regular expression that every engine understands: dates that exist.

What it matches is what oslo.utils parses: the date with or without hyphens, down to the year alone;
a time behind a `T` or a space, down to the hour; a zone of less than a day.
"""

_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"


def _either(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


def _part(short: str, long: str) -> str:
    """Two digits, or behind a hyphen as many as are needed; *short* are those below ten."""
    return _either(f"-(?:0?{short}|{long})", f"0{short}", long)


_MONTH = _part("[1-9]", "1[0-2]")
_TO_28 = _part("[1-9]", "(?:1[0-9]|2[0-8])")
_DATE = _either(
    _YEAR + _MONTH + _TO_28,
    _YEAR + _either(_part("[13-9]", "1[0-2]")) + _part("[1-9]", "(?:[12][0-9]|30)"),
    _YEAR + _part("[13578]", "1[02]") + _part("[1-9]", "(?:[12][0-9]|3[01])"),
    _LEAP_YEAR + "(?:-?02|-2)-?29",
)
_TO_59 = "[0-5][0-9]"
_TIME = (
    f"(?:[01][0-9]|2[0-3])(?::?{_TO_59})?(?::?(?:{_TO_59}|[0-9])(?:[.,][0-9]{{1,20}})?)?"
    f"(?:Z|[+-](?:(?:[01][0-9]|2[0-2]):?(?:[0-9]{{2}})?|23:?(?:{_TO_59})?))?"
)

ISO_8601 = _either(f"{_DATE}(?:[ T]{_TIME})?", f"{_YEAR}(?:-(?:0?[1-9]|1[0-2]))?")
