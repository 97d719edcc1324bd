"""The base class of third-party tasks, at the path at which OpenStack's Masakari has it."""

import inspect

import pytest
from taskflow import task

from masakari.engine.drivers.taskflow.base import MasakariTask
from masakari.engine.step import Step


class Tell(MasakariTask):
    """Only what every task has to have."""

    def execute(self, host_name, notification_uuid):
        pass


def test_it_is_a_task_of_taskflow_and_a_step():
    assert issubclass(MasakariTask, task.Task)
    assert issubclass(MasakariTask, Step)


def test_constructor_context_and_novaclient_are_kept_under_their_names():
    made = Tell(context="c", novaclient="n")

    assert (made.context, made.novaclient) == ("c", "n")


def test_constructor_they_may_be_given_by_position():
    made = Tell("c", "n")

    assert (made.context, made.novaclient) == ("c", "n")


@pytest.mark.parametrize(
    ("options", "attribute", "expected"),
    [
        ({}, "name", "Tell"),
        ({"name": "tell-operators"}, "name", "tell-operators"),
        ({}, "requires", {"host_name", "notification_uuid"}),
        ({"provides": "tale"}, "provides", {"tale"}),
        (
            {"rebind": {"host_name": "process_name"}},
            "requires",
            {"process_name", "notification_uuid"},
        ),
        ({"update_host_method": None, "drivers": 1}, "name", "Tell"),
    ],
    ids=["class's name", "own name", "inputs", "output", "renamed input", "unknown keywords"],
)
def test_constructor_taskflows_options_may_follow_and_others_are_dropped(
    options, attribute, expected
):
    made = Tell("c", "n", **options)

    assert getattr(made, attribute) == expected


def test_update_details_takes_what_openstacks_takes():
    parameters = inspect.signature(MasakariTask.update_details).parameters

    assert list(parameters)[2:] == ["progress"]
    assert parameters["progress"].default == 0.0
