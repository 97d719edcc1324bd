"""What counts as an answer of a guest's agent, or its QEMU, and what as silence."""

import threading

import pytest

from masakari.clock import SystemClock
from masakari.monitors.instances.agents import MOST_ASKED, LibvirtAgents, is_good
from masakari.monitors.instances.heartbeat import Answer
from masakari.monitors.instances.hypervisor import Away, Gone, Hypervisor


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"return":{}}', True),
        ('{"return": {}, "id": 1}', True),
        ('{"error": {"class": "CommandNotFound"}}', False),
        ("", False),
        ("garbage", False),
        ("[" * 4000, False),
        ('{"return": "' + "x" * 5_000_000 + '"}', False),
        ('"return"', False),
        (None, False),
    ],
)
def test_answer(text, good):
    assert is_good(text) == good


class Lane:
    """A connection on which each question ends with *error*."""

    def __init__(self, error):
        self._error = error

    def of_domain(self, *_args, **_options):
        raise self._error


@pytest.mark.parametrize(
    ("error", "ping", "activity"),
    [
        (Away("no answer", is_late=True), Answer.MISSING, None),
        (Away("no place", is_late=True, is_asked=False), Answer.UNKNOWN, Answer.UNKNOWN),
        (Away("there is no connection"), Answer.UNKNOWN, Answer.UNKNOWN),
        (Gone("no such domain"), Answer.ABSENT, Answer.UNKNOWN),
    ],
    ids=["late", "no place", "no connection", "no domain"],
)
def test_silence_is_that_of_whoever_was_asked(error, ping, activity):
    pytest.importorskip("libvirt")
    lane = Lane(error)
    agents = LibvirtAgents(lane, lane, lane, timeout_s=1)

    assert agents.ping("vm1", is_ill=False) is ping
    assert agents.activity("vm1") is activity


def test_qemu_that_cannot_be_asked_because_others_hang_is_not_silent(monkeypatch):
    pytest.importorskip("libvirt")
    lane = Hypervisor("test:///default", SystemClock(), timeout_s=0.05, most_calls=MOST_ASKED)
    released = threading.Event()

    def hang(_uuid):
        released.wait(60)
        raise RuntimeError

    class Connection:
        lookupByUUIDString = staticmethod(hang)  # noqa: N815  libvirt's

    monkeypatch.setattr(lane, "_connection", Connection())
    agents = LibvirtAgents(lane, lane, lane, timeout_s=1)
    hung = [f"vm{n}" for n in range(MOST_ASKED)]
    try:
        assert [agents.activity(vm) for vm in hung * 2] == [None] * 2 * MOST_ASKED
        assert agents.activity("another") is Answer.UNKNOWN
    finally:
        released.set()
