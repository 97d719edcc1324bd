"""What the demo shows where there is no terminal."""

import io

import pytest
from rich.console import Console

from masakari.sim import view


@pytest.fixture
def shown():
    return io.StringIO()


@pytest.fixture
def screen(shown):
    return view.View(Console(file=shown, width=100))


def snapshot(seconds, done):
    return view.Snapshot(
        seconds=seconds,
        service="down",
        notification="running",
        pending=3 - done,
        moving=0,
        done=done,
    )


def test_watching_without_terminal_prints_a_line_for_each_change(screen, shown):
    with screen.watching("compute-1", 3) as watched:
        for seconds, done in ((1.0, 0), (1.1, 0), (2.25, 1)):
            watched.show(snapshot(seconds, done))

    assert shown.getvalue().splitlines() == [
        "  1.0 s  compute-1 down in Nova, notification running, VMs: 3 pending, 0 moving, 0 done",
        "  2.2 s  compute-1 down in Nova, notification running, VMs: 2 pending, 0 moving, 1 done",
    ]


def test_watching_on_a_terminal_draws_bars(shown):
    screen = view.View(Console(file=shown, width=100, force_terminal=True))

    with screen.watching("compute-1", 3) as watched:
        watched.show(snapshot(2.0, 3))

    assert "3/3" in shown.getvalue()


def test_timeline_tells_how_long_each_stage_took(screen, shown):
    screen.timeline([view.Stage("the power is cut", 0.0), view.Stage("noticed", 4.5)])

    row = next(line for line in shown.getvalue().splitlines() if "noticed" in line)
    assert row.split()[2:] == ["│", "4.5", "s", "│", "4.5", "s", "│"]


def test_journeys_tell_from_where_to_where(screen, shown):
    screen.journeys([view.Journey("vm-01", "compute-1", "compute-2", 11.7)])

    row = next(line for line in shown.getvalue().splitlines() if "vm-01" in line)
    assert [word for word in row.split() if word != "│"] == [
        "vm-01",
        "compute-1",
        "compute-2",
        "11.7",
        "s",
    ]
