"""What is told of the tasks of a recovery."""

import dataclasses

import pytest

from masakari.engine import flows, runner
from masakari.engine.drivers.taskflow import base
from masakari.errors import LeaseLost, RecoveryError
from masakari.tests.heard import Heard


class Talks(base.MasakariTask):
    """Says a hundred things, then fails if it is to."""

    error = None

    def execute(self, host_name):
        for n in range(100):
            self.update_details(f"VM {n} done.", n / 100)
        if self.error is not None:
            raise self.error


class Fails(Talks):
    error = RecoveryError("It did not work.")


class Stops(Talks):
    error = LeaseLost(notification="n1")


class Breaks(Talks):
    error = ValueError("hunter2")


@pytest.fixture
def told(claim):
    """told(task): the events (phase, data) of a chapter with that task."""

    def call(task):
        job = claim()
        heard = Heard()
        job = dataclasses.replace(job, world=dataclasses.replace(job.world, events=heard))
        try:
            runner.run(job, flows.host_chapter(job, "anywhere", (task,)))
        except Exception as e:
            assert task.error is not None, e
        return [
            (e.type.removeprefix("recovery.task."), e.payload["masakari_object.data"])
            for e in heard.events
        ]

    return call


def test_task_that_says_much_is_told_of_little(told):
    events = told(Talks)

    phases = [phase for phase, _ in events]
    assert phases == ["begin", *["progress"] * (len(phases) - 2), "end"]
    assert 10 < len(phases) <= 22
    progress = [data["progress"] for _, data in events]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    assert events[-1][1]["message"] == "VM 99 done."
    assert {data["task"] for _, data in events} == {"Talks"}


def test_task_that_fails_says_why(told):
    phase, data = told(Fails)[-1]

    assert phase == "error"
    assert data["message"] == "It did not work."
    fault = data["fault"]["masakari_object.data"]
    assert (fault["exception"], fault["function_name"]) == ("RecoveryError", "execute")


def test_task_that_breaks_does_not_tell_its_words(told):
    phase, data = told(Breaks)[-1]

    assert (phase, data["message"]) == ("error", "ValueError")
    assert "hunter2" not in data["fault"]["masakari_object.data"]["exception_message"]


def test_task_that_another_engine_continues_has_not_ended(told):
    assert [phase for phase, _ in told(Stops)][-1] == "progress"
