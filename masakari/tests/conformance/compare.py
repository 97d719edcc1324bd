"""What differs between what was recorded and an answer, a line for each difference."""

import json
import re

NONE = "(none)"
_FOR_PEOPLE = ("message", "dest_host")
_TEXT = "<text>"
_INDEX = re.compile(r"\[\d+\]")


def differences(was, now):
    """Lines `KIND PATH: WAS -> NOW`, each once: the rows of a list are not told apart.

    Kinds: status, header, keys (one more or less), type, value.  Not compared: the wording of
    messages, how often a step tells of its progress, and to which host Nova has moved a VM.
    """
    was, now = _loosened(was), _loosened(now)
    found = [
        ("status", "", was["status"], now["status"]),
        *(("header", *rest) for _, *rest in _between(was["headers"], now["headers"], "")),
        *_between(was["body"], now["body"], ""),
    ]
    return list(dict.fromkeys(_line(*one) for one in found if one[2] != one[3]))


def _loosened(value, key=None):
    if isinstance(value, dict):
        return {name: _loosened(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_loosened(item, key) for item in value]
        return _shapes(items) if key == "progress_details" else items
    return _TEXT if key in _FOR_PEOPLE and isinstance(value, str) else value


def _shapes(details):
    """Of entries that differ in their progress only, one."""
    alike = []
    for entry in (detail | {"progress": type(detail["progress"]).__name__} for detail in details):
        if entry not in alike:
            alike.append(entry)
    return alike


def _between(was, now, path):
    """Yields (kind, path, was, now) of what differs."""
    if type(was) is not type(now):
        yield "type", path, was, now
    elif isinstance(was, dict):
        yield from _between_objects(was, now, path)
    elif isinstance(was, list):
        if len(was) != len(now):
            yield "value", f"{path}.length", len(was), len(now)
        for index, (before, after) in enumerate(zip(was, now, strict=False)):
            yield from _between(before, after, f"{path}[{index}]")
    elif was != now:
        yield "value", path, was, now


def _between_objects(was, now, path):
    for name in dict.fromkeys((*was, *now)):
        where = f"{path}.{name}"
        if name in was and name in now:
            yield from _between(was[name], now[name], where)
        else:
            yield "keys", where, was.get(name, NONE), now.get(name, NONE)


def _line(kind, path, was, now):
    where = _INDEX.sub("[]", path.lstrip("."))
    return f"{' '.join(filter(None, (kind, where)))}: {_brief(was)} -> {_brief(now)}"


def _brief(value):
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return "[…]"
    return value if value == NONE else json.dumps(value, ensure_ascii=False)
