"""Who is asked when, and by whom; threads are real, time is simulated."""

import json
import threading

import pytest

from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.guests import Guests
from masakari.monitors.instances.heartbeat import Answer, Limits
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Event
from masakari.pulse import Pulse
from masakari.tests.unit.db.clocks import ManualClock


class Agents:
    """Those in `hung` answer when they are `released`, and then nothing."""

    def __init__(self):
        self.hung = set()
        self.frozen = set()
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
        return None if uuid in self.frozen else 0


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
def another(agents, inbox, clock):
    """Makes who asks, as each process has one."""

    def another():
        limits = Limits(interval_s=10, threshold=0, io_silence_s=0, most_silent=0.5)
        return Guests(agents, inbox, clock, limits=limits, parallel=4, pulse=Pulse(clock))

    return another


@pytest.fixture
def guests(another):
    return another()


def watch(guests, *uuids, run=1):
    guests.watch({uuid: (Kind.HEARTBEAT, run) for uuid in uuids}, uuids)


def reported(inbox):
    return sorted(event.uuid for event in inbox.take()[0])


def ask(guests):
    for future in guests.ask_all():
        future.result(30)


def test_guest_that_ceases_to_answer_is_reported_once(guests, agents, inbox, clock):
    agents.released.set()
    watch(guests, "vm1", "vm2")
    ask(guests)
    agents.hung.add("vm1")

    for _ in range(5):
        clock.advance(10)
        ask(guests)

    events, _ = inbox.take()
    assert [event.uuid for event in events] == ["vm1"]


def test_guest_that_hangs_delays_no_other_and_is_not_asked_twice_at_a_time(guests, agents):
    watch(guests, *(f"vm{n}" for n in range(20)))
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


def test_guest_for_which_there_is_no_room_is_reported_when_there_is(agents, clock):
    inbox = Inbox(lambda: None, most=1)
    limits = Limits(interval_s=10, threshold=0, io_silence_s=0)
    guests = Guests(agents, inbox, clock, limits=limits, parallel=4, pulse=Pulse(clock))
    agents.released.set()
    watch(guests, "vm1")
    ask(guests)
    agents.hung.add("vm1")
    inbox.put(Event("vm2", "", ("LIFECYCLE", "DEFINED_ADDED"), clock.now(), clock.monotonic()))
    for _ in range(5):
        clock.advance(10)
        ask(guests)
    assert guests.remember() == {"vm1": (1, "healthy")}
    assert reported(inbox) == ["vm2"]

    clock.advance(10)
    ask(guests)

    assert guests.remember() == {"vm1": (1, "reported")}
    assert reported(inbox) == ["vm1"]


def test_guest_is_remembered_as_reported_only_when_it_can_be_told(guests, agents, inbox, clock):
    agents.released.set()
    watch(guests, "vm1")
    ask(guests)
    agents.hung.add("vm1")
    put, waits = inbox.put, []

    def put_watched(event):
        waits.append(guests._lock.locked())  # as does whoever remembers meanwhile
        return put(event)

    inbox.put = put_watched
    for _ in range(3):
        clock.advance(10)
        ask(guests)

    assert waits == [True]
    assert reported(inbox) == ["vm1"]


def test_guest_that_is_not_watched_any_more_is_not_asked(guests, agents):
    watch(guests, "vm1")
    ask(guests)
    watch(guests)
    ask(guests)

    assert len(agents.lanes["vm1"]) == 1


def restart(guests, another):
    """Who asks in the next process; what is known has been through a file."""
    found = another()
    found.recall(json.loads(json.dumps(guests.remember())))
    return found


def test_guest_that_fell_silent_while_nobody_asked_is_reported(
    guests, another, agents, inbox, clock
):
    agents.released.set()
    watch(guests, "vm1")
    ask(guests)
    agents.hung.add("vm1")

    again = restart(guests, another)
    again = restart(again, another)  # who is not watched yet is not forgotten
    watch(again, "vm1")
    for _ in range(3):
        clock.advance(10)
        ask(again)

    assert reported(inbox) == ["vm1"]


def test_log_tells_a_guest_that_hangs_from_a_qemu_that_hangs(guests, agents, caplog):
    watch(guests, "vm1", "vm2")
    ask(guests)

    agents.hung, agents.frozen = {"vm1", "vm2"}, {"vm2"}
    ask(guests)

    assert sorted(record.getMessage() for record in caplog.records) == [
        "vm1: the agent in the guest does not answer",
        "vm2: the agent in the guest does not answer, nor does QEMU",
    ]


def test_guest_that_was_deleted_while_nobody_asked_is_forgotten(guests, another):
    watch(guests, "vm1", "vm2", "vm3")
    ask(guests)

    again = restart(guests, another)
    again.watch({"vm1": (Kind.HEARTBEAT, 1)}, ["vm1", "vm2"])

    assert again.remember().keys() == {"vm1", "vm2"}


def test_guest_that_was_started_while_nobody_asked_has_not_answered(
    guests, another, agents, inbox, clock
):
    agents.released.set()
    watch(guests, "vm1", run=1)
    ask(guests)
    agents.hung.add("vm1")

    again = restart(guests, another)
    watch(again, "vm1", run=2)
    for _ in range(5):
        clock.advance(10)
        ask(again)

    assert reported(inbox) == []


def test_guest_that_was_reported_is_not_reported_by_the_next_process(
    guests, another, agents, inbox, clock
):
    agents.released.set()
    watch(guests, "vm1")
    ask(guests)
    agents.hung.add("vm1")
    for _ in range(3):
        clock.advance(10)
        ask(guests)
    assert reported(inbox) == ["vm1"]

    again = restart(guests, another)
    watch(again, "vm1")
    for _ in range(5):
        clock.advance(10)
        ask(again)

    assert reported(inbox) == []


def test_most_guests_silent_at_once_are_the_hosts_fault(guests, agents, inbox, clock, caplog):
    agents.released.set()
    everybody = [f"vm{n}" for n in range(9)]
    watch(guests, *everybody)
    ask(guests)
    agents.hung.update(everybody[:5])
    for _ in range(5):
        clock.advance(10)
        ask(guests)
    assert reported(inbox) == []
    assert caplog.text.count("MSK-413 5 guests are silent, 4 answer") == 1

    agents.hung.remove("vm0")
    for _ in range(3):
        clock.advance(10)
        ask(guests)

    assert reported(inbox) == ["vm1", "vm2", "vm3", "vm4"]
    assert caplog.text.count("MSK-413") == 1
