"""Running a story as a TaskFlow flow, persisted in the logbook of its notification.

Logbook uuid = notification uuid, one flow detail per attempt.  An attempt whose engine died is
resumed: the step that was running is run again with the results of those before it.
"""

import contextlib
from typing import Any

from oslo_log import log
from oslo_utils import uuidutils
from taskflow import engines, exceptions, states
from taskflow.patterns import linear_flow
from taskflow.persistence import models

from masakari import db
from masakari.engine.flows import Story
from masakari.engine.world import Job
from masakari.errors import DatabaseUnavailable

LOG = log.getLogger(__name__)


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
        book = _book(job, story, connection)
        left = _unfinished(job, book)
        if left is not None and left.state == states.SUCCESS:
            return
        engine = _resumed(job, story, book, left)
        if engine is None:
            engine = _load(job, story, book, _new_detail(job, story, connection, book))
    for step in story.steps:
        details = engine.storage.get_task_progress_details(step.name)
        if details:
            step.remember(details["details"]["progress_details"])
    engine.run()


def _book(job: Job, story: Story, connection: Any) -> Any:  # TaskFlow is untyped
    """The logbook of the notification."""
    uuid = job.notification.notification_uuid
    try:
        return connection.get_logbook(uuid)
    except exceptions.NotFound:
        return models.LogBook(story.book, uuid=uuid)


def _unfinished(job: Job, book: Any) -> Any:
    """This attempt's flow detail that did not fail, or None."""
    found = [
        detail
        for detail in book
        if (detail.meta or {}).get("attempt") == job.notification.attempt
        and detail.state != states.FAILURE
        and all(atom.state != states.FAILURE for atom in detail)
    ]
    return found[-1] if found else None


def _resumed(job: Job, story: Story, book: Any, detail: Any) -> Any:
    """An engine that goes on where a dead one was, or None where it cannot be told."""
    if detail is None:
        return None
    try:
        return _load(job, story, book, detail)
    except Exception as e:  # died between two writes of TaskFlow: steps look before they act anyway
        LOG.info(
            "notification %s: begun anew, its steps cannot be resumed (%s)",
            job.notification.notification_uuid,
            type(e).__name__,
        )
        return None


def _new_detail(job: Job, story: Story, connection: Any, book: Any) -> Any:
    detail = models.FlowDetail(story.flow, uuidutils.generate_uuid())
    detail.meta = {
        "attempt": job.notification.attempt,
        "steps": [step.name for step in story.steps],
    }
    book.add(detail)
    connection.save_logbook(book)
    return book.find(detail.uuid)


def _load(job: Job, story: Story, book: Any, detail: Any) -> Any:
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
    return engine
