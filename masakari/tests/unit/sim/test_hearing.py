"""Promises about events are checked by looking: each kind of breach is found."""

import dataclasses
import re

import pytest

from masakari.sim import hearing, mishaps, stage
from masakari.sim.clock import SimClock
from masakari.sim.system import System


@pytest.fixture(scope="module")
def recovered():
    """A system in which compute1 has been recovered."""
    with SimClock() as clock, System(clock) as system:
        stage.segment(system, "rack1", "auto")
        stage.host(system, ["compute1", "compute2"])
        stage.vm(system, ["web1"], "compute1")
        system.begin()
        mishaps.power(system, ["compute1"], "off")
        assert clock.run_until(system.is_idle, 600, every=5)
        yield system


@pytest.fixture
def system(recovered):
    """The same, and what a test does to what was heard is undone."""
    heard = list(recovered.hearing.heard)
    yield recovered
    recovered.hearing.heard = heard


def forget(system, pattern):
    """Events of such types were not sent."""
    heard = system.hearing.heard
    system.hearing.heard = [h for h in heard if not re.fullmatch(pattern, h.type)]


def change(system, type_, **data):
    """The events of that type have other data."""

    def changed(h):
        if h.type != type_:
            return h
        payload = {**h.event.payload, "masakari_object.data": {**h.data, **data}}
        return dataclasses.replace(h, event=dataclasses.replace(h.event, payload=payload))

    system.hearing.heard = [changed(h) for h in system.hearing.heard]


def test_recovered_system_breaks_nothing(system):
    assert len(system.hearing.heard) > 20
    assert list(hearing.broken(system)) == []


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (r"notification\.create\.end", "its creation was announced as []"),
        (r"notification\.process\.end", "its end was not announced"),
        (r"notification\.process\.start", "an end was announced without a start"),
        (r"recovery\.task\.begin", "was announced without a begin"),
        (r"host\.update\..*", "on_maintenance is True, and was last announced as False"),
    ],
)
def test_event_that_is_missing_is_found(system, pattern, sentence):
    forget(system, pattern)

    assert any(sentence in found for found in hearing.broken(system))


@pytest.mark.parametrize(
    ("type_", "data", "sentence"),
    [
        ("notification.process.end", {"status": "running"}, "with status running, and it is fin"),
        ("notification.process.start", {"status": "new"}, "a start was announced with status new"),
        ("recovery.task.end", {"progress": -1.0}, "went back to -1.0"),
    ],
)
def test_event_that_is_wrong_is_found(system, type_, data, sentence):
    change(system, type_, **data)

    assert any(sentence in found for found in hearing.broken(system))


def test_too_many_events_of_a_task_are_found(system):
    (progress, *_) = [h for h in system.hearing.heard if h.type == "recovery.task.progress"]
    at = system.hearing.heard.index(progress)
    system.hearing.heard[at:at] = [progress] * hearing.MOST_OF_A_TASK

    assert any("more than 22 events" in found for found in hearing.broken(system))
