"""What counts as an answer of a guest's agent: guests say what they like."""

import pytest

from masakari.monitors.instances.agents import is_good


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"return":{}}', True),
        ('{"return": {}, "id": 1}', True),
        ('{"error": {"class": "CommandNotFound"}}', False),
        ("", False),
        ("garbage", False),
        ("[" * 4000, False),
        ('{"return": "' + "x" * 5_000_000 + '"}', False),
        ('"return"', False),
        (None, False),
    ],
)
def test_answer(text, good):
    assert is_good(text) == good
