import contextlib
import socket
import threading

import pytest

from masakari.clock import SystemClock, wait_until
from masakari.cmd.work import AT_A_TIME, PATIENCE_S, Work

MANY = AT_A_TIME + 3
LIMIT_S = 60
ENDS = object()


class Clock(SystemClock):
    """Stands still until it is told."""

    at = 0.0

    def monotonic(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def work(clock):
    work = Work(clock, ENDS)
    yield work
    work.close()


@contextlib.contextmanager
def threads(work, count):
    """They do what they get, until the block ends."""

    def serve():
        while (item := work.get()) is not ENDS:
            item()

    serving = [threading.Thread(target=serve, daemon=True) for _ in range(count)]
    for thread in serving:
        thread.start()
    try:
        yield
    finally:
        for _ in serving:
            work.put(ENDS)
        for thread in serving:
            thread.join(LIMIT_S)
    assert not any(thread.is_alive() for thread in serving)


class Item:
    """Ends when *meet* of its kind are under way."""

    def __init__(self, meet):
        self._meeting = threading.Barrier(meet)
        self._lock = threading.Lock()
        self._inside = self.most = self.done = 0

    def __call__(self):
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        self._meeting.wait(LIMIT_S)
        with self._lock:
            self._inside -= 1
            self.done += 1


class Connection:
    """Has work when a whole line has arrived."""

    def __init__(self, sock):
        self.socket = sock
        self.arrived = b""
        self.is_over = False

    @property
    def has_work(self):
        return self.arrived.endswith(b"\n")

    def collect(self):
        data = self.socket.recv(100)
        self.arrived += data
        self.is_over = not data

    def close(self):
        self.socket.close()


@pytest.fixture
def pair():
    """A connection, and the client's socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours), theirs


def test_few_are_busy_at_a_time(work):
    item = Item(meet=AT_A_TIME)

    with threads(work, MANY):
        for _ in range(2 * AT_A_TIME):
            work.put(item)

    assert (item.done, item.most) == (2 * AT_A_TIME, AT_A_TIME)


def test_who_is_busy_for_long_makes_way(work, clock):
    item = Item(meet=MANY)

    def others_come():
        clock.at += PATIENCE_S
        work.make_way()
        return item.done == MANY

    with threads(work, MANY):
        for _ in range(MANY):
            work.put(item)
        assert wait_until(SystemClock(), others_come, LIMIT_S, 0.01)

    again = Item(meet=AT_A_TIME)
    with threads(work, MANY):
        for _ in range(2 * AT_A_TIME):
            work.put(again)

    assert again.most == AT_A_TIME  # nobody has kept a place that was given away


def test_connection_is_found_when_its_request_is_there(work, pair):
    connection, client = pair
    work.watch(connection)

    client.sendall(b"drip")
    with threads(work, 1):
        assert wait_until(SystemClock(), lambda: connection.arrived == b"drip", LIMIT_S, 0.01)
    assert wait_until(SystemClock(), lambda: work.watched() == [connection], LIMIT_S, 0.01)

    client.sendall(b"\n")
    assert work.get() is connection
    assert not work.watched()


def test_at_the_end_what_has_begun_is_found(work, pair):
    connection, client = pair
    work.watch(connection)
    work.is_ending = True

    client.sendall(b"drip")

    assert work.get() is connection
    assert not work.watched()


def test_connection_that_its_client_has_closed_is_closed(work, pair):
    connection, client = pair
    work.watch(connection)

    client.close()
    with threads(work, 1):
        assert wait_until(SystemClock(), lambda: connection.socket.fileno() < 0, LIMIT_S, 0.01)

    assert not work.watched()


def test_connection_is_taken_once(work, pair):
    connection, _ = pair
    work.watch(connection)

    assert [work.take(connection), work.take(connection)] == [True, False]
