"""TaskFlow's store, with flows that TaskFlow runs."""

import contextlib
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import uuidutils
from taskflow import engines, exceptions, task
from taskflow.patterns import linear_flow
from taskflow.persistence import models

from masakari import db, errors
from masakari.db import progress, session, steps
from masakari.db.progress import Backend
from masakari.db.session import Database
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.clocks import ManualClock

BOOK = "00000000-0000-4000-8000-00000000000b"


def said(second: int, fraction: str, message: str) -> dict[str, str]:
    return {
        "timestamp": f"2026-01-01 00:00:{second:02d}.000000",
        "progress": fraction,
        "message": message,
    }


def tell(step: task.Task, fraction: float, details: list[dict[str, str]]) -> None:
    """Store progress as masakari.engine.step does."""
    step.notifier.notify(
        task.EVENT_UPDATE_PROGRESS, {"progress": fraction, "progress_details": list(details)}
    )


class Talk(task.Task):
    """Says two things, or fails after the first."""

    def __init__(self, name: str, second: int, fails: bool = False) -> None:
        super().__init__(name=name)
        self.second = second
        self.fails = fails

    def execute(self) -> str:
        details = [said(self.second, "0.0", f"{self.name} begins")]
        tell(self, 0.0, details)
        if self.fails:
            raise RuntimeError
        details.append(said(self.second + 1, "1.0", f"{self.name} is done"))
        tell(self, 1.0, details)
        return "result"


class Mute(task.Task):
    """Says nothing."""

    def execute(self) -> None:
        pass


@pytest.fixture
def backend(migrated_conf: cfg.ConfigOpts) -> Iterator[Backend]:
    found = progress.connect(migrated_conf)
    yield found
    found.close()


def run(
    backend: Backend, *steps: task.Task, book: str = BOOK, order: list[str] | None = None
) -> models.FlowDetail:
    """Run the steps as one attempt in the logbook."""
    with contextlib.closing(backend.get_connection()) as connection:
        try:
            logbook = connection.get_logbook(book)
        except exceptions.NotFound:
            logbook = models.LogBook("instance:evacuate", uuid=book)
        detail = models.FlowDetail("instance_evacuate_engine", uuidutils.generate_uuid())
        if order is not None:
            detail.meta = {"steps": order}
        logbook.add(detail)
        connection.save_logbook(logbook)
    engine = engines.load(
        linear_flow.Flow("f").add(*steps),
        flow_detail=detail,
        book=logbook,
        backend=backend,
        engine="serial",
        never_resolve=True,
    )
    with contextlib.suppress(RuntimeError):
        engine.run()
    return detail


def test_details_of_a_flow_in_the_order_of_its_steps(backend: Backend) -> None:
    run(backend, Talk("Evacuate", 1), Talk("Disable", 3), order=["Disable", "Evacuate"])

    details = steps.recovery_workflow_details(backend, BOOK)

    assert details == [
        {
            "name": "Disable",
            "state": "SUCCESS",
            "progress": 1.0,
            "progress_details": [
                said(3, "0.0", "Disable begins"),
                said(4, "1.0", "Disable is done"),
            ],
        },
        {
            "name": "Evacuate",
            "state": "SUCCESS",
            "progress": 1.0,
            "progress_details": [
                said(1, "0.0", "Evacuate begins"),
                said(2, "1.0", "Evacuate is done"),
            ],
        },
    ]


def test_details_of_a_flow_of_openstack_in_the_order_of_time(backend: Backend) -> None:
    run(backend, Talk("Zoo", 1), Talk("Ant", 3))

    assert [d["name"] for d in steps.recovery_workflow_details(backend, BOOK)] == ["Zoo", "Ant"]


def test_details_only_of_steps_that_have_said_something(backend: Backend) -> None:
    run(backend, Mute("Mute"), Talk("Talk", 1), Mute("Mute too"))

    assert [d["name"] for d in steps.recovery_workflow_details(backend, BOOK)] == ["Talk"]


def test_details_of_a_step_that_failed(backend: Backend) -> None:
    run(backend, Talk("Disable", 1), Talk("Evacuate", 3, fails=True))

    failed = steps.recovery_workflow_details(backend, BOOK)[-1]

    assert (failed["name"], failed["progress"]) == ("Evacuate", 0.0)
    assert failed["progress_details"] == [said(3, "0.0", "Evacuate begins")]
    assert failed["state"] != "SUCCESS"


def test_details_of_two_attempts_one_after_the_other(backend: Backend) -> None:
    order = ["Disable", "Evacuate"]
    run(backend, Talk("Disable", 1), Talk("Evacuate", 3, fails=True), order=order)
    run(backend, Talk("Disable", 11), Talk("Evacuate", 13), order=order)

    details = steps.recovery_workflow_details(backend, BOOK)

    assert [d["name"] for d in details] == ["Disable", "Evacuate"] * 2
    assert [d["progress_details"][0]["timestamp"][17:19] for d in details] == [
        "01",
        "03",
        "11",
        "13",
    ]


def test_details_name_the_request_where_the_step_stored_it(backend: Backend) -> None:
    class Asked(task.Task):
        def execute(self) -> None:
            asked = said(1, "0.5", "asked for")
            tell(self, 0.5, [{**asked, "request_id": "req-1", "other": "x"}, asked])

    run(backend, Asked("Asked"))

    (step,) = steps.recovery_workflow_details(backend, BOOK)
    plain = said(1, "0.5", "asked for")
    assert step["progress_details"] == [{**plain, "request_id": "req-1"}, plain]


def test_details_of_another_notification_or_none_are_empty(backend: Backend) -> None:
    run(backend, Talk("Talk", 1), book=uuidutils.generate_uuid())

    assert steps.recovery_workflow_details(backend, BOOK) == []


def test_details_are_one_statement(backend: Backend) -> None:
    run(backend, Talk("Disable", 1), Talk("Evacuate", 3))
    seen: list[str] = []
    sa.event.listen(
        backend.engine,
        "before_cursor_execute",
        lambda _c, _cu, statement, *_: seen.append(statement.split()[0]),
    )

    steps.recovery_workflow_details(backend, BOOK)

    assert [word for word in seen if word != "BEGIN"] == ["SELECT"]


def test_large_progress_is_kept(backend: Backend) -> None:
    """More than the 64 KiB that TaskFlow's own columns have on MySQL."""

    class Chatter(task.Task):
        def execute(self) -> None:
            many = [said(1, "0.5", "x" * 500) for _ in range(400)]
            tell(self, 0.5, many)

    run(backend, Chatter("Chatter"))

    (step,) = steps.recovery_workflow_details(backend, BOOK)
    assert len(step["progress_details"]) == 400


def test_destroyed_logbook_takes_its_flows_along(backend: Backend) -> None:
    run(backend, Talk("Disable", 1))

    backend.get_connection().destroy_logbook(BOOK)

    assert steps.recovery_workflow_details(backend, BOOK) == []
    with backend.engine.connect() as connection:
        assert connection.execute(sa.select(steps.TABLES.atomdetails)).all() == []


def test_tables_are_described_once(backend: Backend) -> None:
    assert backend.get_connection() is backend.get_connection()


def test_flows_and_our_own_writes_share_the_database(backend: Backend, database: Database) -> None:
    rows.host(database)

    def both(number: int) -> None:
        if number % 2:
            rows.report(database, payload={"event": f"{number}"})
        else:
            run(backend, Talk("Disable", 1), book=uuidutils.generate_uuid())

    outcomes = rows.at_once(both, times=8)

    assert outcomes == [None] * 8
    assert len(db.leases.due(database)) == 4


def test_connect_own_option_wins(migrated_conf: cfg.ConfigOpts, tmp_path: object) -> None:
    migrated_conf.set_override("connection", f"sqlite:///{tmp_path}/f.sqlite", group="taskflow")

    backend = progress.connect(migrated_conf)

    assert backend.engine.url.database == f"{tmp_path}/f.sqlite"
    backend.close()


@pytest.mark.parametrize("group", ["database", "taskflow"])
@pytest.mark.parametrize("url", ["nonsense", "sqlite://"])
def test_connect_unusable_url_names_the_option(conf: cfg.ConfigOpts, group: str, url: str) -> None:
    conf.set_override("connection", url, group=group)

    with pytest.raises(errors.ConfigInvalid, match=rf"^\[{group}\] connection: "):
        progress.connect(conf)


def test_database_away_raises_past_taskflow(conf: cfg.ConfigOpts) -> None:
    conf.set_override("connection", "mysql+pymysql://m:m@127.0.0.1:1/m", group="database")
    clock = ManualClock()
    backend = progress.connect(conf, clock)
    detail = models.FlowDetail("f", uuidutils.generate_uuid())

    with pytest.raises(progress.StoreAway):
        backend.get_connection().get_logbook(BOOK)
    with pytest.raises(progress.StoreAway):
        backend.get_connection().update_flow_details(detail)
    with pytest.raises(errors.DatabaseUnavailable):
        steps.recovery_workflow_details(backend, BOOK)
    assert clock.elapsed_s < 20


def test_without_tables_says_what_to_do(conf: cfg.ConfigOpts) -> None:
    session.connect(conf, ManualClock()).dispose()
    backend = progress.connect(conf)

    with pytest.raises(progress.StoreAway) as away:
        backend.get_connection().get_logbook(BOOK)

    assert isinstance(away.value.__cause__, errors.DatabaseUnavailable)
    assert "db sync" in str(away.value.__cause__)
    backend.close()
