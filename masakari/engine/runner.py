"""Running a chapter as a TaskFlow flow, persisted in the logbook of its notification.

Logbook uuid = notification uuid, one flow detail per chapter of each attempt.  A chapter whose
engine died is resumed: the step that was running is run again with the results of those before it.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from oslo_log import log
from oslo_utils import uuidutils
from taskflow import engines, exceptions, states
from taskflow.patterns import linear_flow
from taskflow.persistence import models

from masakari import db
from masakari.engine import task_events
from masakari.engine.flows import Chapter
from masakari.engine.step import Step
from masakari.engine.world import Job
from masakari.errors import DatabaseUnavailable, MasakariError, RecoveryCancelled, TaskFailed

LOG = log.getLogger(__name__)


def told(job: Job) -> dict[str, int]:
    """{name: number} of the chapters that this attempt has begun, here or in an engine before."""
    with _store(job) as connection:
        book = _book(job, "", connection)
        metas = [detail.meta or {} for detail in book]
    return {
        meta["name"]: meta["chapter"]
        for meta in metas
        if meta.get("attempt") == job.notification.attempt and "chapter" in meta
    }


def run(job: Job, chapter: Chapter) -> dict[str, Any]:
    """Every step has run, in this engine or in one before it: {its name: what it returned}.

    Raises what a step raised, LeaseLost and DatabaseUnavailable, and RecoveryCancelled where an
    operator has cancelled the notification before the chapter was begun.
    """
    with _store(job) as connection:
        book = _book(job, chapter.book, connection)
        left = _unfinished(job, book)
        if left is not None and left.state == states.SUCCESS:
            return {atom.name: atom.results for atom in left}
        if left is None and db.brake.is_cancelled(job.world.database, job.uuid):
            raise RecoveryCancelled(what="no further step is begun")
        engine = _resumed(job, chapter, book, left)
        if engine is None:
            engine = _load(job, chapter, book, _new_detail(job, chapter, connection, book))
        for step in chapter.steps:
            details = engine.storage.get_task_progress_details(step.name)
            if details and isinstance(step, Step):
                step.remember(details["details"]["progress_details"])
        task_events.tell(job, engine, chapter.steps)
        try:
            engine.run()
        except MasakariError:
            raise
        except Exception as e:
            LOG.exception("notification %s: %s: unexpected error", job.uuid, chapter.name)
            raise _failure(chapter, engine, e) from e
        return {step.name: engine.storage.get(step.name) for step in chapter.steps}


def _failure(chapter: Chapter, engine: Any, error: Exception) -> TaskFailed:
    """What a step raised that it should not have; the log has the traceback.

    The words of somebody else's task are told; in those of a defect of ours may be anything.
    """
    failed = [name for name in (s.name for s in chapter.steps) if _has_failed(engine, name)]
    step = next((s for s in chapter.steps if s.name in failed), None)
    is_ours = step is None or type(step).__module__.startswith("masakari.engine.")
    what = type(error).__name__ + ("" if is_ours else f": {error}")
    return TaskFailed(name=step.name if step else chapter.name, what=what)


def _has_failed(engine: Any, name: str) -> bool:
    return bool(engine.storage.get_atom_state(name) == states.FAILURE)


@contextlib.contextmanager
def _store(job: Job) -> Iterator[Any]:  # TaskFlow is untyped
    """A connection to the store of progress.  Raises DatabaseUnavailable."""
    try:
        with contextlib.closing(job.world.progress.get_connection()) as connection:
            yield connection
    except db.progress.StoreAway as e:
        raise DatabaseUnavailable from e.__cause__


def _book(job: Job, name: str, connection: Any) -> Any:
    """The logbook of the notification; a new one is of that *name*."""
    uuid = job.notification.notification_uuid
    try:
        return connection.get_logbook(uuid)
    except exceptions.NotFound:
        return models.LogBook(name, uuid=uuid)


def _unfinished(job: Job, book: Any) -> Any:
    """The chapter's flow detail that did not fail, or None."""
    found = [
        detail
        for detail in book
        if (detail.meta or {}).get("attempt") == job.notification.attempt
        and (detail.meta or {}).get("chapter", 1) == job.chapter
        and detail.state != states.FAILURE
        and all(atom.state != states.FAILURE for atom in detail)
    ]
    return found[-1] if found else None


def _resumed(job: Job, chapter: Chapter, book: Any, detail: Any) -> Any:
    """An engine that goes on where a dead one was, or None where it cannot be told."""
    if detail is None:
        return None
    try:
        return _load(job, chapter, book, detail)
    except Exception as e:  # died between two writes of TaskFlow: steps look before they act anyway
        LOG.info(
            "notification %s: begun anew, its steps cannot be resumed (%s)",
            job.notification.notification_uuid,
            type(e).__name__,
        )
        return None


def _new_detail(job: Job, chapter: Chapter, connection: Any, book: Any) -> Any:
    detail = models.FlowDetail(chapter.flow, uuidutils.generate_uuid())
    detail.meta = {
        "attempt": job.notification.attempt,
        "chapter": job.chapter,
        "name": chapter.name,
        "steps": [step.name for step in chapter.steps],
    }
    book.add(detail)
    connection.save_logbook(book)
    return book.find(detail.uuid)


def _load(job: Job, chapter: Chapter, book: Any, detail: Any) -> Any:
    engine = engines.load(
        linear_flow.Flow(chapter.flow).add(*chapter.steps),
        flow_detail=detail,
        book=book,
        backend=job.world.progress,
        engine="serial",
        store=dict(chapter.store),
        never_resolve=True,  # nothing is undone by going back; the next attempt goes on
    )
    try:
        engine.compile()
        engine.prepare()
        engine.validate()
    except exceptions.MissingDependencies as e:
        raise TaskFailed(name=chapter.name, what=str(e)) from e
    return engine
