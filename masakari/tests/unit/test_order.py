"""The order in which tests run."""

import pytest

from masakari.tests.conftest import pieces


@pytest.mark.parametrize(
    ("long", "rest", "workers", "dealt"),
    [
        ("ABCDE", "uvwxyz", 3, ["ADu", "BEvw", "Cxyz"]),
        ("ABCD", "stuvwx", 4, ["As", "Bt", "Cuv", "Dwx"]),
        ("A", "xyz", 2, ["Ax", "yz"]),
        ("ABC", "", 2, ["AC", "B"]),
        ("AB", "xy", 1, ["ABxy"]),
        ("", "x", 2, ["", "x"]),
    ],
)
def test_long_tests_are_dealt_out_and_begin_first(long, rest, workers, dealt):
    assert pieces(list(long), list(rest), workers) == [list(piece) for piece in dealt]
