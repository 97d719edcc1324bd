"""masakari-engine's connection to the bus."""

import threading

from masakari.clock import SystemClock
from masakari.cmd.engine import BUS_PAUSE_S, BusListener
from masakari.outage import Outage

PATIENCE_S = 30
OUTAGE = Outage("the bus", SystemClock())


class Clock:
    """Its events remember how long they were waited for, and do not wait."""

    def __init__(self):
        self.waited_s = []

    def monotonic(self):
        return 0.0

    def event(self):
        clock = self

        class Event(threading.Event):
            def wait(self, timeout=None):
                clock.waited_s.append(timeout)
                return self.is_set()

        return Event()


class Server:
    """Hears a bus; its first *failures* starts fail."""

    def __init__(self, failures):
        self.failures = failures
        self.started, self.stopped = threading.Event(), threading.Event()

    def start(self):
        if self.failures:
            self.failures -= 1
            raise ValueError("no such exchange")
        self.started.set()

    def stop(self):
        self.stopped.set()


def test_bus_that_fails_is_tried_again_and_said(caplog):
    server, clock = Server(failures=2), Clock()

    BusListener(lambda: server, clock, OUTAGE).start()

    assert server.started.wait(PATIENCE_S)
    assert clock.waited_s == [BUS_PAUSE_S] * 2
    assert caplog.text.count("ValueError: no such exchange") == 1


def test_stop_ends_the_server():
    server = Server(failures=0)
    listener = BusListener(lambda: server, Clock(), OUTAGE)
    listener._start()

    listener.stop()

    assert server.stopped.wait(PATIENCE_S)


def test_stopped_before_it_began_hears_nothing():
    server = Server(failures=0)
    listener = BusListener(lambda: server, Clock(), OUTAGE)

    listener.stop()
    listener._start()

    assert not server.started.is_set()
