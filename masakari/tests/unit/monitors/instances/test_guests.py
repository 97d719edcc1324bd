"""Who is asked when, and by whom; threads are real, time is simulated."""

import threading

import pytest

from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.guests import Guests
from masakari.monitors.instances.heartbeat import Answer, Limits
from masakari.monitors.instances.inbox import Inbox
from masakari.pulse import Pulse
from masakari.tests.unit.db.clocks import ManualClock


class Agents:
    """Those in `hung` answer when they are `released`, and then nothing."""

    def __init__(self):
        self.hung = set()
        self.lanes = {}
        self.released = threading.Event()

    def ping(self, uuid, *, is_ill):
        self.lanes.setdefault(uuid, []).append(is_ill)
        if uuid not in self.hung:
            return Answer.GOOD
        if is_ill:
            self.released.wait(30)
        return Answer.MISSING

    def activity(self, uuid):
        return 0


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def agents():
    found = Agents()
    yield found
    found.released.set()


@pytest.fixture
def inbox():
    return Inbox(lambda: None)


@pytest.fixture
def guests(agents, inbox, clock):
    limits = Limits(interval_s=10, threshold=0, io_silence_s=0)
    return Guests(agents, inbox, clock, limits=limits, parallel=4, pulse=Pulse(clock))


def ask(guests):
    for future in guests.ask_all():
        future.result(30)


def test_guest_that_ceases_to_answer_is_reported_once(guests, agents, inbox, clock):
    agents.released.set()
    guests.watch({"vm1": Kind.HEARTBEAT, "vm2": Kind.HEARTBEAT})
    ask(guests)
    agents.hung.add("vm1")

    for _ in range(5):
        clock.advance(10)
        ask(guests)

    events, _ = inbox.take()
    assert [event.uuid for event in events] == ["vm1"]


def test_guest_that_hangs_delays_no_other_and_is_not_asked_twice_at_a_time(guests, agents):
    guests.watch({f"vm{n}": Kind.HEARTBEAT for n in range(20)})
    agents.hung = {f"vm{n}" for n in range(10)}
    ask(guests)

    questions = [guests.ask_all() for _ in range(3)]
    well = [f for futures in questions for f in futures]

    assert all(len(futures) <= 10 for futures in questions[1:])
    agents.released.set()
    for future in well:
        future.result(30)
    assert all(lanes.count(True) == 1 for vm, lanes in agents.lanes.items() if vm in agents.hung)
    assert not any(True in agents.lanes[f"vm{n}"] for n in range(10, 20))


def test_guest_that_is_not_watched_any_more_is_not_asked(guests, agents):
    guests.watch({"vm1": Kind.HEARTBEAT})
    ask(guests)
    guests.watch({})
    ask(guests)

    assert len(agents.lanes["vm1"]) == 1
