"""What steps say: logged, stored while they run, bounded, and kept by the next engine."""

import dataclasses
import json
import logging

import pytest
from taskflow import task

from masakari import db
from masakari.engine import flows, runner, step
from masakari.engine.drivers.taskflow import base
from masakari.errors import RecoveryError


class Says(base.MasakariTask):
    """Says what a list of (message, progress) tells it to, then raises, if it is to."""

    def __init__(self, context, novaclient, said=(), error=None):
        super().__init__(context, novaclient)
        self._said, self._error = said, error

    def execute(self, host_name):
        for message, *progress in self._said:
            self.update_details(message, *progress)
        if self._error:
            raise self._error


def says(*said, error=None):
    """A factory, as an entry point is one."""

    def factory(context, novaclient):
        return Says(context, novaclient, said, error)

    return factory


def run(job, *factories):
    runner.run(job, flows.host_chapter(job, "anywhere", factories))


def details(job):
    return db.steps.recovery_workflow_details(job.world.progress, job.uuid)


def test_say_is_shown_with_time_progress_and_request(claim, caplog):
    job = claim(request_id="req-77")
    caplog.set_level(logging.INFO)

    run(job, says(("Half is done.", 0.5), ("All is done.", 1.0)))

    assert details(job) == [
        {
            "name": "Says",
            "state": "SUCCESS",
            "progress": 1.0,
            "progress_details": [
                {
                    "timestamp": "2026-01-01 00:00:00.000000",
                    "progress": "0.5",
                    "message": "Half is done.",
                    "request_id": "req-77",
                },
                {
                    "timestamp": "2026-01-01 00:00:00.000000",
                    "progress": "1.0",
                    "message": "All is done.",
                    "request_id": "req-77",
                },
            ],
        }
    ]
    assert f"notification {job.uuid}: Half is done." in caplog.messages


def test_say_without_a_request_shows_none(claim):
    job = claim()

    run(job, says(("Done.", 1.0)))

    assert "request_id" not in details(job)[0]["progress_details"][0]


def test_say_is_visible_while_the_step_runs(claim):
    seen = []

    class Looks(base.MasakariTask):
        def execute(self):
            self.update_details("Half is done.", 0.5)
            seen.extend(details(self.job))

    run(claim(), Looks)

    assert [(s["state"], s["progress"]) for s in seen] == [("RUNNING", 0.5)]
    assert [d["message"] for d in seen[0]["progress_details"]] == ["Half is done."]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ([0.2, 0.5, 1.0], [0.2, 0.5, 1.0]),
        ([0.5, 0.2, 0.7], [0.5, 0.5, 0.7]),
        ([1.0, 0.0], [1.0, 1.0]),
        ([0.5, 7], [0.5, 1.0]),
        ([-1, 0.1], [0.0, 0.1]),
    ],
    ids=["grows", "falls back", "begins anew", "beyond 1", "below 0"],
)
def test_say_progress_never_goes_back(claim, said, shown):
    job = claim()

    run(job, says(*[(f"{p}", p) for p in said]))

    (step_,) = details(job)
    assert [float(d["progress"]) for d in step_["progress_details"]] == shown


def test_update_details_without_a_progress_repeats_the_last(claim):
    job = claim()

    run(job, says(("Half is done.", 0.5), ("Still here.",)), says())

    shown = details(job)[0]["progress_details"]
    assert [d["progress"] for d in shown] == ["0.5", "0.5"]


def test_say_however_much_what_is_stored_stays_small(claim):
    """TaskFlow rewrites all of it each time, and keeps it in 64 KiB where MySQL was not widened."""
    job = claim(request_id="req-" + "0" * 36)

    run(job, says(*[(f"{n} " + "x" * 10_000, n / 500) for n in range(500)]))

    (flow,) = job.world.progress.get_connection().get_logbook(job.uuid)
    (meta,) = [atom.meta for atom in flow if atom.name == "Says"]
    assert len(json.dumps(meta)) < 64 * 1024
    shown = details(job)[0]["progress_details"]
    assert len(shown) == step.MOST_DETAILS
    assert {len(d["message"]) for d in shown} == {step.DETAIL_LENGTH}


def test_say_too_much_how_it_began_and_how_it_went_lately_are_kept(claim):
    job = claim()

    run(job, says(*[(f"{n}", n / 500) for n in range(500)]))

    numbers = [int(d["message"]) for d in details(job)[0]["progress_details"]]
    half = step.MOST_DETAILS // 2
    assert numbers == [*range(half), *range(500 - half, 500)]


def test_run_failed_attempt_and_the_next_one_are_both_shown(claim):
    job = claim()
    with pytest.raises(RecoveryError, match="too early"):
        run(job, says(("Tried.", 0.4), error=RecoveryError("too early")))

    n = dataclasses.replace(job.notification, attempt=2)
    run(dataclasses.replace(job, notification=n), says(("Tried again.", 1.0)))

    assert [
        (s["state"], s["progress"], [d["message"] for d in s["progress_details"]])
        for s in details(job)
    ] == [("FAILURE", 1.0, ["Tried.", "too early"]), ("SUCCESS", 1.0, ["Tried again."])]


class Dies(BaseException):
    """As kill -9 ends an engine: TaskFlow writes nothing more."""


def test_run_resumed_by_the_next_engine_goes_on_with_what_was_said(claim):
    """The step that was running runs again; those before it do not, what they said is kept."""
    job = claim(request_id="req-77")
    with pytest.raises(Dies):
        run(
            job,
            named("First", ("First.", 1.0)),
            named("Second", ("Half is done.", 0.6), error=Dies()),
        )

    run(
        job,
        named("First", ("First again.", 1.0)),
        named("Second", ("Begun again.", 0.0), ("All is done.", 1.0)),
    )

    assert [
        (s["name"], [(d["message"], d["progress"]) for d in s["progress_details"]])
        for s in details(job)
    ] == [
        ("First", [("First.", "1.0")]),
        ("Second", [("Half is done.", "0.6"), ("Begun again.", "0.6"), ("All is done.", "1.0")]),
    ]


def test_run_resumed_with_another_flow_what_is_done_is_not_done_again(claim):
    """The operator has changed the flow before the engine was started again."""
    job = claim()
    with pytest.raises(Dies):
        run(job, named("First", ("1", 1.0)), named("Second", ("2", 0.5), error=Dies()))

    run(
        job,
        named("First", ("1 again", 1.0)),
        named("Between", ("new", 1.0)),
        named("Second", ("2 again", 1.0)),
    )

    assert {s["name"]: [d["message"] for d in s["progress_details"]] for s in details(job)} == {
        "First": ["1"],
        "Between": ["new"],
        "Second": ["2", "2 again"],
    }


def named(name, *said, error=None):
    kind = type(name, (Says,), {})
    return lambda context, novaclient: kind(context, novaclient, said, error)


def test_run_what_a_step_returns_the_next_may_ask_for(claim):
    class Counts(task.Task):
        default_provides = "count"

        def execute(self, host_name):
            return len(host_name)

    class Tells(base.MasakariTask):
        def execute(self, count):
            self.update_details(f"{count} letters", 1.0)

    job = claim("compute1")

    run(job, Counts, Tells)

    assert [s["progress_details"][0]["message"] for s in details(job)] == ["8 letters"]


def test_run_task_of_taskflow_shows_its_own_progress_without_details(claim):
    class Bare(task.Task):
        def execute(self):
            self.update_progress(0.5)

    job = claim()

    run(job, Bare, says(("Done.", 1.0)))

    assert [s["name"] for s in details(job)] == ["Says"]
