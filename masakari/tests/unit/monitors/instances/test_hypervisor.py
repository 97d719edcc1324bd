"""What comes before libvirt: the library, deadlines, and the queue of events."""

import datetime
import sys
import threading

import pytest

from masakari.clock import SystemClock, wait_until
from masakari.errors import ConfigInvalid
from masakari.monitors.instances import hypervisor
from masakari.monitors.instances.deadline import Calls, TooLate
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Event

AT = datetime.datetime(2026, 11, 27)


def test_missing_library_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "libvirt", None)

    with pytest.raises(ConfigInvalid) as caught:
        hypervisor.library()

    assert "libvirt-python is not installed: pip install 'masakari[libvirt]'" in str(caught.value)


def test_call_that_does_not_return_is_left_behind_and_bounded():
    released = threading.Event()
    calls = Calls(2)
    try:
        for _ in range(2):
            with pytest.raises(TooLate, match="listing: no answer within"):
                calls.call("listing", released.wait, 0.01)
        with pytest.raises(TooLate, match="listing: 2 earlier calls have not returned"):
            calls.call("listing", lambda: 1, 0.01)
    finally:
        released.set()

    assert calls.call("listing", lambda: 1, 30) == 1


def test_call_that_could_not_begin_is_told_from_one_that_has_not_returned():
    released, calls = threading.Event(), Calls(1)

    def late(what):
        with pytest.raises(TooLate) as caught:
            calls.call("I/O", released.wait, 0.01, alone=what)
        return caught.value.is_begun

    try:
        assert [late(vm) for vm in ("vm1", "vm2", "vm2", "vm1")] == [True, False, False, True]
    finally:
        released.set()


def test_question_that_is_to_be_alone_is_not_asked_twice_meanwhile():
    released, calls = threading.Event(), Calls(3)
    with pytest.raises(TooLate, match="I/O: no answer within"):
        calls.call("I/O", released.wait, 0.01, alone="vm1")

    for _ in range(5):
        with pytest.raises(TooLate, match="I/O: the one before has not returned"):
            calls.call("I/O", lambda: 1, 30, alone="vm1")
    assert calls.call("I/O", lambda: 1, 30, alone="vm2") == 1

    released.set()

    def is_asked():
        try:
            return calls.call("I/O", lambda: 1, 30, alone="vm1") == 1
        except TooLate:
            return False

    assert wait_until(SystemClock(), is_asked, 30, 0.01)


def test_call_for_which_there_is_no_thread_takes_no_place(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    calls = Calls(1)
    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(TooLate, match="I/O: can't start new thread") as caught:
                calls.call("I/O", lambda: 1, 0.01, alone="vm1")
            assert not caught.value.is_begun

    assert calls.call("I/O", lambda: 1, 30, alone="vm1") == 1


def test_what_a_call_raises_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        Calls(1).call("x", lambda: 1 / 0, 30)


@pytest.mark.parametrize("is_open", [True, False])
def test_domain_that_is_refused_is_told_from_a_connection_that_is_closed(monkeypatch, is_open):
    libvirt = pytest.importorskip("libvirt")
    told = []
    lane = hypervisor.Hypervisor(
        "test:///default", SystemClock(), timeout_s=30, lost=lambda: told.append(1)
    )

    class Connection:
        def lookupByUUIDString(self, _uuid):  # noqa: N802  libvirt's
            raise libvirt.libvirtError("access denied")

        def isAlive(self):  # noqa: N802  libvirt's
            return is_open

    monkeypatch.setattr(lane, "_connection", Connection())
    with pytest.raises(hypervisor.Away, match="asking for a domain's XML: access denied"):
        lane.xml("vm1")

    assert (lane.is_connected, told) == (is_open, [] if is_open else [1])


def event(vm, detail):
    return Event(vm, vm, ("LIFECYCLE", detail), AT, 0.0)


def test_events_keep_their_order_and_the_same_in_a_row_is_one():
    woken = []
    inbox = Inbox(lambda: woken.append(1))
    for vm, detail in [("a", "STOPPED_FAILED"), ("b", "X"), ("b", "X"), ("a", "STARTED_BOOTED")]:
        inbox.put(event(vm, detail))

    events, lost = inbox.take()

    assert [e.words[1] for e in events] == ["STOPPED_FAILED", "X", "STARTED_BOOTED"]
    assert (lost, inbox.take()) == (0, ([], 0))
    assert woken


def test_what_has_no_room_is_counted():
    inbox = Inbox(lambda: None, most=2)
    for n in range(5):
        inbox.put(event(f"vm{n}", "STOPPED_FAILED"))

    events, lost = inbox.take()

    assert ([e.uuid for e in events], lost) == (["vm0", "vm1"], 3)
