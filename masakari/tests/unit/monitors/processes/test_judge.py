"""What is done about processes that do not run."""

import pytest

from masakari.monitors.processes.judge import Limits, Look, Order, Track

LIMITS = Limits(attempts=3, pause_s=5, stable_s=30, between_s=120)
UP, DOWN, BETWEEN, UNKNOWN = Look.UP, Look.DOWN, Look.BETWEEN, Look.UNKNOWN


class Process:
    """A process that is looked at each second, and attempts that take no time."""

    def __init__(self, *, start=True, restart=True):
        self.track = Track(LIMITS, can_start=start, can_restart=restart)
        self.now = 0
        self.orders = []

    def look(self, look, seconds=1, deaths=0):
        for _ in range(seconds):
            self.now += 1
            order = self.track.see(look, self.now, deaths)
            if order is not None:
                self.orders.append((self.now, order))
            if order in (Order.START, Order.RESTART):
                self.track.attempted(self.now)
        return self


def test_process_that_runs_is_left_alone():
    assert Process().look(UP, 100).orders == []


def test_process_that_never_ran_is_started_and_then_reported():
    assert Process().look(DOWN, 100).orders == [
        (1, Order.START),
        (6, Order.START),
        (16, Order.START),
        (36, Order.TELL_STOPPED),
    ]


def test_process_that_died_is_restarted_and_nobody_hears_of_it():
    process = Process().look(UP, 40).look(DOWN).look(UP, 100)

    assert process.orders == [(41, Order.RESTART)]


def test_success_of_the_last_attempt_is_a_success():
    process = Process().look(UP, 40).look(DOWN, 16).look(UP, 100)

    assert [order for _, order in process.orders] == [Order.RESTART] * 3


def test_repair_is_reported_when_it_has_lasted():
    process = Process().look(UP, 40).look(DOWN, 60).look(UP, 20).look(DOWN, 10).look(UP, 31)

    assert [order for _, order in process.orders[3:]] == [Order.TELL_STOPPED, Order.TELL_STARTED]
    assert process.orders[-1][0] == process.now


def test_attempts_are_forgiven_when_it_was_up_for_long():
    process = Process().look(UP, 40).look(DOWN, 16).look(UP, 31).look(DOWN, 16)

    assert [order for _, order in process.orders] == [Order.RESTART] * 6


def test_process_that_dies_again_and_again_is_reported():
    process = Process().look(UP, 40)
    for _ in range(10):
        process.look(DOWN, 21).look(UP, 5)

    assert [order for _, order in process.orders] == [Order.RESTART] * 3 + [Order.TELL_STOPPED]


def test_process_without_commands_has_a_pause_to_come_back():
    process = Process(start=False, restart=False)

    assert process.look(UP, 10).look(DOWN, 4).look(UP, 40).orders == []
    assert process.look(DOWN, 20).orders == [(60, Order.TELL_STOPPED)]


def test_unit_that_systemd_starts_again_and_again_is_reported():
    process = Process(start=False, restart=False).look(UP, 40)
    for _ in range(5):
        process.look(UP, 3, deaths=0).look(UP, 1, deaths=1)

    assert [order for _, order in process.orders] == [Order.TELL_STOPPED]
    assert process.look(UP, 31).orders[-1][1] is Order.TELL_STARTED


def test_unit_that_is_between_for_long_is_reported():
    assert Process(start=False).look(UP, 10).look(BETWEEN, 119).orders == []
    assert Process(start=False).look(UP, 10).look(BETWEEN, 140).orders == [
        (131, Order.TELL_STOPPED)
    ]


@pytest.mark.parametrize("before", [UP, DOWN])
def test_who_cannot_look_decides_nothing(before):
    process = Process().look(before)
    orders = list(process.orders)

    assert process.look(UNKNOWN, 1000).orders == orders


def test_attempt_under_way_is_waited_for():
    track = Track(LIMITS, can_start=True, can_restart=True)

    assert track.see(DOWN, 0) is Order.START
    assert track.see(DOWN, 100) is None
    track.attempted(100)
    assert track.see(DOWN, 104) is None
    assert track.see(DOWN, 105) is Order.START
