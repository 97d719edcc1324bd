"""Running a story as a TaskFlow flow, persisted in the logbook of its notification.

Logbook uuid = notification uuid, one flow detail per attempt.  An attempt whose engine died is
resumed: the step that was running is run again with the results of those before it.
"""

import contextlib
from typing import Any

from oslo_utils import uuidutils
from taskflow import engines, exceptions, states
from taskflow.patterns import linear_flow
from taskflow.persistence import models

from masakari import db
from masakari.engine.flows import Story
from masakari.engine.world import Job
from masakari.errors import DatabaseUnavailable


def run(job: Job, story: Story) -> None:
    """Every step has run, in this engine or in one before it.

    Raises what a step raised, LeaseLost and DatabaseUnavailable.
    """
    try:
        _run(job, story)
    except db.progress.StoreAway as e:
        raise DatabaseUnavailable from e.__cause__


def _run(job: Job, story: Story) -> None:
    with contextlib.closing(job.world.progress.get_connection()) as connection:
        book, detail = _detail(job, story, connection)
    if detail.state == states.SUCCESS:
        return
    engine = engines.load(
        linear_flow.Flow(story.flow).add(*story.steps),
        flow_detail=detail,
        book=book,
        backend=job.world.progress,
        engine="serial",
        store={
            "host_name": job.host.name,
            "notification_uuid": job.notification.notification_uuid,
        },
        never_resolve=True,  # nothing is undone by going back; the next attempt goes on
    )
    engine.compile()
    engine.prepare()
    for step in story.steps:
        details = engine.storage.get_task_progress_details(step.name)
        if details:
            step.remember(details["details"]["progress_details"])
    engine.run()


def _detail(job: Job, story: Story, connection: Any) -> tuple[Any, Any]:  # TaskFlow is untyped
    """The logbook, and this attempt's flow detail in it; both are made where they are missing."""
    n = job.notification
    try:
        book = connection.get_logbook(n.notification_uuid)
    except exceptions.NotFound:
        book = models.LogBook(story.book, uuid=n.notification_uuid)
    unfinished = [
        d for d in book if (d.meta or {}).get("attempt") == n.attempt and d.state != states.FAILURE
    ]
    if unfinished:
        return book, unfinished[-1]
    detail = models.FlowDetail(story.flow, uuidutils.generate_uuid())
    detail.meta = {"attempt": n.attempt, "steps": [step.name for step in story.steps]}
    book.add(detail)
    connection.save_logbook(book)
    return book, book.find(detail.uuid)
