"""What may block leaves in the background, in order, and bounded."""

import threading

from masakari.background import Sender

LONG_S = 30.0


class Gate:
    """Where items arrive, once it is open."""

    def __init__(self, is_open=True):
        self.opened = threading.Event()
        self.reached = threading.Event()
        self.arrived = []
        if is_open:
            self.opened.set()

    def send(self, item):
        self.reached.set()
        assert self.opened.wait(LONG_S)
        self.arrived.append(item)


def test_items_arrive_in_order():
    gate = Gate()
    sender = Sender("test", gate.send, 10)

    assert [sender.put(n) for n in range(5)] == [True] * 5

    assert sender.close(LONG_S) == 0
    assert gate.arrived == [0, 1, 2, 3, 4]


def test_nothing_put_no_thread_is_started():
    before = threading.active_count()
    sender = Sender("test", print, 10)

    assert threading.active_count() == before
    assert sender.close(LONG_S) == 0


def test_too_many_wait_next_is_refused_at_once_and_the_others_arrive():
    gate = Gate(is_open=False)
    sender = Sender("test", gate.send, 2)
    assert sender.put("in flight")
    assert gate.reached.wait(LONG_S)

    taken = [sender.put(n) for n in range(4)]
    gate.opened.set()

    assert taken == [True, True, False, False]
    assert sender.close(LONG_S) == 0
    assert gate.arrived == ["in flight", 0, 1]


def test_close_does_not_wait_longer_than_told_and_counts_what_is_left():
    gate = Gate(is_open=False)
    sender = Sender("test", gate.send, 10)
    for n in range(3):
        sender.put(n)
    assert gate.reached.wait(LONG_S)

    left = sender.close(0.01)

    assert left == 3
    assert not sender.put("later")
    gate.opened.set()


def test_send_that_raises_does_not_end_the_thread(caplog):
    arrived = []

    def send(item):
        if item == "bad":
            raise ValueError("no")
        arrived.append(item)

    sender = Sender("test", send, 10)
    for item in ("bad", "good"):
        sender.put(item)

    assert sender.close(LONG_S) == 0
    assert arrived == ["good"]
    assert "test: unexpected error" in caplog.text
