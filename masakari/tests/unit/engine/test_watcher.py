import pytest

from masakari.engine import watcher


@pytest.mark.parametrize(
    ("now", "began", "shortest", "slowest", "expected"),
    [
        (100.0, [], None, 1.0, 1.0),
        (100.0, [99.9], None, 1.0, 0.1),
        (100.0, [90.0], None, 1.0, 0.5),
        (100.0, [60.0, 90.0], None, 1.0, 0.5),
        (100.0, [0.0], None, 1.0, 1.0),
        (100.0, [99.5], 2.0, 5.0, 1.1),
        (100.0, [98.2, 99.5], 2.0, 1.0, 0.1),
        (100.0, [99.9], 60.0, 1.0, 1.0),
    ],
    ids=[
        "nothing in flight: slowest",
        "just begun: fastest",
        "a twentieth of the age",
        "age of the youngest counts",
        "never slower than slowest",
        "not before 0.8 of the shortest",
        "the oldest is due",
        "long flights: slowest",
    ],
)
def test_pause(now, began, shortest, slowest, expected):
    assert watcher.pause(now, began, shortest, slowest) == pytest.approx(expected)
