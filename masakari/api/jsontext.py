"""JSON: out, as fast as what is installed allows; in, without what is ambiguous or none."""

import json
from typing import Any

try:
    import orjson
except ImportError:  # not a requirement
    orjson = None  # type: ignore[assignment]

MOST_DIGITS = 32
"""Of an integer; no field takes one, and reading a long one takes long."""


def dumps(value: dict[str, Any]) -> bytes:  # JSON: values of every kind
    """As bytes."""
    if orjson is None:
        return _dumps(value)
    try:
        # what is no JSON is a defect of ours, as it is without orjson
        options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
        return orjson.dumps(value, option=options)
    except TypeError:  # halves of surrogate pairs, numbers beyond 64 bits
        return _dumps(value)


def _dumps(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def loads(raw: bytes) -> object:
    """What *raw* says.  Raises ValueError with a sentence.

    A key that is there twice is refused: what a client means, and what a proxy in between has
    looked at, may be the other value.
    """
    try:
        return json.loads(
            raw.decode(),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
        )
    except UnicodeDecodeError as exc:
        raise ValueError(f"byte {exc.start} is not UTF-8") from exc
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:64]!r} is there more than once")
    return found


def _constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    return int(digits)
