"""JSON out: the same meaning with orjson and without."""

import dataclasses
import datetime
import json

import pytest

from masakari.api import jsontext


@dataclasses.dataclass
class Record:
    name: str


@pytest.fixture(params=["orjson", "json"])
def dumps(request, monkeypatch):
    if request.param == "orjson":
        pytest.importorskip("orjson")
    else:
        monkeypatch.setattr(jsontext, "orjson", None)
    return jsontext.dumps


@pytest.mark.parametrize(
    "value",
    [
        {"b": 1, "a": [None, True, 1.5, "x"], "nested": {"deep": {}}},
        {"text": 'é ẞ \U0001f600 "quoted" \\ / \n \x00 \x7f \u2028'},
        {"half a pair": "\ud800"},
        {"large": 2**70, "small": -(2**63)},
    ],
    ids=["kinds", "text", "surrogate", "numbers"],
)
def test_value_comes_back_in_its_order(dumps, value):
    text = dumps(value)

    assert json.loads(text) == value
    assert list(json.loads(text)) == list(value)
    assert b": " not in text


@pytest.mark.parametrize(
    "value", [datetime.datetime(2026, 1, 1), Record("x")], ids=["time", "record"]
)
def test_what_is_no_json_is_a_defect(dumps, value):
    with pytest.raises(TypeError):
        dumps({"key": value})
