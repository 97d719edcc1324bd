"""The machine's own time."""

import threading

import pytest

from masakari.clock import Interrupted, SystemClock


def test_sleep_returns_when_the_time_has_passed():
    clock = SystemClock()
    began = clock.monotonic()

    clock.sleep(0.001)

    assert clock.monotonic() - began >= 0.001


def test_interrupt_ends_a_sleep_that_is_under_way():
    clock, ended = SystemClock(), threading.Event()

    def sleep():
        with pytest.raises(Interrupted):
            clock.sleep(600)
        ended.set()

    thread = threading.Thread(target=sleep, daemon=True)
    thread.start()
    clock.interrupt()

    assert ended.wait(30)


def test_interrupt_leaves_other_clocks_and_events_alone():
    clock = SystemClock()
    clock.interrupt()

    SystemClock().sleep(0)
    assert not clock.event().is_set()
