"""Rows that the database has packed, unpacked."""

import json
import math

import pytest

from masakari.db import packed

PACKING = packed.Packing(
    text=packed.Packed(), names=("id", "is_on", "payload"), flags=(1,), objects=(2,)
)


def unpack(*payloads):
    return PACKING.unpack(json.dumps([n, n % 2, text]) for n, text in enumerate(payloads))


def test_rows_are_shown_with_flags_and_objects():
    assert unpack('{"a": [1]}', None, "") == [
        {"id": 0, "is_on": False, "payload": {"a": [1]}} | packed.LIVE,
        {"id": 1, "is_on": True, "payload": {}} | packed.LIVE,
        {"id": 2, "is_on": False, "payload": {}} | packed.LIVE,
    ]
    assert unpack() == []


@pytest.mark.parametrize("bad", [("{'a': 1}",), ("{},{}",), ('{"a": [1', "2]}"), ("]",)], ids=str)
def test_what_is_no_json_is_shown_as_empty_and_shifts_no_other(bad, caplog):
    rows = unpack('{"first": 1}', *bad, '{"last": 1}')

    assert [row["payload"] for row in rows] == [{"first": 1}, *({} for _ in bad), {"last": 1}]
    assert len(caplog.records) == len(bad)


def test_numbers_that_are_no_json_are_shown_as_openstack_stored_them():
    one, other = unpack('{"a": NaN}', '{"b": 1}')

    assert math.isnan(one["payload"]["a"])
    assert other["payload"] == {"b": 1}
