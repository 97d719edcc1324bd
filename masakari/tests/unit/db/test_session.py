import contextlib
import pathlib
import shutil
import sqlite3
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from masakari import db, errors
from masakari.clock import Clock, SystemClock
from masakari.db import models, session
from masakari.db.session import Database, Transaction, reader, writer
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.clocks import ManualClock


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "a database URL is needed"),
        ("masakari", "not a URL"),
        ("mysql+pymysql://m:hunter2@host:port/x", "not a URL"),
        ("oracle://m:hunter2@host/x", "unknown kind of database 'oracle'"),
        ("mysql+nosuch://m:hunter2@host/x", "unknown database driver 'mysql\\+nosuch'"),
        ("mysql+mysqlconnector://m:hunter2@host/x", "the driver .* is not installed"),
        ("sqlite:////dev/null/dir/m.sqlite", "there is no directory /dev/null/dir"),
    ],
)
def test_connect_unusable_url_names_option_and_problem(
    conf: cfg.ConfigOpts, url: str, problem: str
) -> None:
    conf.set_override("connection", url, group="database")

    with pytest.raises(errors.ConfigInvalid, match=rf"^\[database\] connection: {problem}") as e:
        session.connect(conf, SystemClock())

    assert "hunter2" not in str(e.value)
    assert "\n" not in str(e.value)


def test_connect_sqlite_makes_the_state_directory_when_it_is_used(
    conf: cfg.ConfigOpts, tmp_path: pathlib.Path
) -> None:
    conf.set_override("state_path", f"{tmp_path}/a/b")
    conf.set_override("connection", f"sqlite:///{tmp_path}/a/b/m.sqlite", group="database")

    database = session.connect(conf, SystemClock())

    assert not (tmp_path / "a").exists()
    with database.reading() as tx:
        tx.now()
    assert (tmp_path / "a" / "b" / "m.sqlite").is_file()
    database.dispose()


def test_connect_sqlite_in_a_mistyped_directory_is_refused(
    conf: cfg.ConfigOpts, tmp_path: pathlib.Path
) -> None:
    conf.set_override("connection", f"sqlite:///{tmp_path}/vra/m.sqlite", group="database")

    with pytest.raises(errors.ConfigInvalid, match=f"there is no directory {tmp_path}/vra"):
        session.connect(conf, SystemClock())

    assert not (tmp_path / "vra").exists()


def test_connect_sqlite_state_directory_that_cannot_be_made_is_refused(
    conf: cfg.ConfigOpts,
) -> None:
    conf.set_override("state_path", "/dev/null/dir")
    conf.set_override("connection", "sqlite:////dev/null/dir/m.sqlite", group="database")

    with pytest.raises(errors.ConfigInvalid, match="cannot make the directory /dev/null/dir"):
        session.connect(conf, SystemClock())


def test_connect_server_that_is_away_shows_when_it_is_used(conf: cfg.ConfigOpts) -> None:
    conf.set_override("connection", "mysql+pymysql://m:hunter2@127.0.0.1:1/m", group="database")
    clock = ManualClock()
    database = session.connect(conf, clock)

    with pytest.raises(errors.DatabaseUnavailable) as e:
        db.hosts.get_by_name(database, "compute1")

    assert "hunter2" not in f"{e.value}{e.value.details}"
    assert clock.elapsed_s < 5


def test_sqlite_without_tables_says_what_to_do(conf: cfg.ConfigOpts) -> None:
    database = session.connect(conf, SystemClock())

    with pytest.raises(errors.DatabaseUnavailable, match="db sync"):
        db.hosts.get_by_name(database, "compute1")
    database.dispose()


def test_sqlite_is_in_wal_mode_and_checks_references(database: Database) -> None:
    with database.reading() as tx:
        assert tx.connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_sqlite_file_is_opened_once_and_anew_when_it_was_replaced(
    database: Database, sqlite_template: pathlib.Path
) -> None:
    opened: list[object] = []
    sa.event.listen(database.engine, "connect", lambda *args: opened.append(args))
    file = pathlib.Path(database.engine.url.database or "")

    def segments() -> object:
        with database.reading() as tx:
            count = "SELECT count(*) FROM failover_segments"
            return tx.connection.exec_driver_sql(count).scalar()

    assert [segments() for _ in range(3)] == [0, 0, 0]
    assert len(opened) == 1

    shutil.copy(sqlite_template, other := file.with_name("other"))
    with contextlib.closing(sqlite3.connect(other)) as connection, connection:
        connection.execute(
            "INSERT INTO failover_segments (uuid, name, service_type, recovery_method, deleted) "
            "VALUES ('u', 'n', 't', 'auto', 0)"
        )
    for rest in file.parent.glob(f"{file.name}-*"):
        rest.unlink()
    other.replace(file)

    assert [segments() for _ in range(2)] == [1, 1]
    assert len(opened) == 2


def test_sqlite_reader_sees_the_old_state_while_a_writer_works(database: Database) -> None:
    s = rows.segment(database, "before")

    with database.writing() as tx:
        tx.connection.execute(sa.update(models.segments).values(name="after"))

        assert db.segments.get(database, s.uuid).name == "before"

    assert db.segments.get(database, s.uuid).name == "after"


def test_writer_that_raises_has_changed_nothing(database: Database) -> None:
    s = rows.segment(database, "before")

    @writer
    def fail(tx: Transaction) -> None:
        tx.connection.execute(sa.update(models.segments).values(name="after"))
        raise KeyError

    with pytest.raises(KeyError):
        fail(database)
    assert db.segments.get(database, s.uuid).name == "before"


def test_now_on_sqlite_is_the_programs_clock(
    connect_database: Callable[[Clock], Database],
) -> None:
    clock = ManualClock()
    database = connect_database(clock)

    @reader
    def now(tx: Transaction) -> object:
        return tx.now(), tx.clock_now()

    clock.advance(1.25)
    assert now(database) == (clock.now(), clock.now().replace(microsecond=0))


def test_in_memory_database_serves_several_threads(conf: cfg.ConfigOpts) -> None:
    conf.set_override("connection", "sqlite://", group="database")
    database = session.connect(conf, SystemClock())
    db.migration.upgrade(database)
    rows.host(database)

    outcomes = rows.at_once(lambda n: rows.report(database, payload={"event": f"{n}"}))

    assert [o for o in outcomes if isinstance(o, Exception)] == []
    assert len(db.leases.due(database)) == 16
    database.dispose()


def test_sixteen_writers_on_one_file_wait_for_one_another(database: Database) -> None:
    s = rows.segment(database)

    outcomes = rows.at_once(lambda n: rows.host(database, f"compute{n}", of=s))

    assert [o for o in outcomes if isinstance(o, Exception)] == []


@pytest.fixture
def statements(database: Database) -> list[str]:
    """The SQL statements of this thread, without BEGIN, COMMIT and the like."""
    seen: list[str] = []
    thread = threading.get_ident()

    def see(_c: object, _cu: object, statement: str, *_: object) -> None:
        word = statement.split(maxsplit=1)[0]
        if threading.get_ident() == thread and word not in ("BEGIN", "COMMIT", "ROLLBACK"):
            seen.append(word)

    sa.event.listen(database.engine, "before_cursor_execute", see)
    return seen


def test_statements_of_a_vm_are_one_per_state_change(
    database: Database, statements: list[str]
) -> None:
    rows.host(database)
    n = rows.in_status(database, "running")
    statements.clear()

    moves = db.vmoves.prepare(
        database, n.notification_uuid, 1, 1, [rows.move(number) for number in range(50)]
    )
    # the first asks whether it was cancelled, once for all VMs
    assert statements == ["SELECT", "SELECT", "INSERT", "SELECT"]
    statements.clear()

    db.vmoves.start(database, moves[0].uuid, lock=True)
    db.vmoves.finish(database, moves[0].uuid, status="succeeded", locked=False)
    assert statements == ["UPDATE", "UPDATE"]


@pytest.mark.parametrize(
    ("type_", "status", "expected"),
    [
        ("COMPUTE_HOST", "new", ["SELECT", "SELECT", "SELECT", "UPDATE", "SELECT"]),
        ("PROCESS", "new", ["SELECT", "SELECT", "SELECT", "UPDATE", "SELECT"]),
        ("VM", "new", ["SELECT", "SELECT", "SELECT", "SELECT", "UPDATE", "SELECT"]),
        ("COMPUTE_HOST", "finished", ["SELECT"]),
    ],
    ids=["host", "process", "VM asks for its host, too", "settled"],
)
def test_statements_of_a_claim(
    database: Database, statements: list[str], type_: str, status: str, expected: list[str]
) -> None:
    rows.host(database)
    n = rows.in_status(database, status) if status != "new" else rows.report(database, type=type_)
    statements.clear()

    db.leases.claim(database, n.notification_uuid, owner="engine-a", lease_s=9)

    assert statements == expected


def test_statements_of_a_lease_are_one_each_two_to_settle_and_three_to_look(
    database: Database, statements: list[str]
) -> None:
    rows.host(database)
    n = rows.in_status(database, "running")
    statements.clear()

    db.leases.renew(database, n.notification_uuid, owner="engine-a", lease_s=9)
    db.leases.record_proof(database, n.notification_uuid, owner="engine-a", proof={})
    db.leases.settle(
        database, n.notification_uuid, owner="engine-a", status="finished", message="m"
    )
    db.leases.due(database)

    renew, record, settle, due = ["UPDATE"], ["UPDATE"], ["UPDATE"] * 2, ["SELECT"] * 3
    assert statements == [*renew, *record, *settle, *due]


def test_statements_of_a_report_are_three(database: Database, statements: list[str]) -> None:
    rows.host(database)
    statements.clear()

    rows.report(database)

    assert statements == ["SELECT", "SELECT", "INSERT"]


@pytest.mark.parametrize(
    ("url", "timeout_s", "expected"),
    [
        (
            "mysql+pymysql://m@h/m",
            30,
            {"connect_timeout": 5, "read_timeout": 30, "write_timeout": 30, "charset": "utf8"},
        ),
        ("mysql+pymysql://m@h/m", None, {"connect_timeout": 5, "charset": "utf8"}),
        (
            "mysql+pymysql://m@h/m?charset=utf8mb4&read_timeout=7",
            30,
            {"connect_timeout": 5, "read_timeout": 7, "write_timeout": 30, "charset": "utf8mb4"},
        ),
        (
            "postgresql+psycopg2://m@h/m?keepalives_idle=7",
            30,
            {"connect_timeout": "5", "tcp_user_timeout": "30000", "keepalives_idle": "7"},
        ),
    ],
    ids=["default", "sync", "operator", "postgresql"],
)
def test_connection_has_time_limits(
    conf: cfg.ConfigOpts, url: str, timeout_s: int | None, expected: dict[str, object]
) -> None:
    conf.set_override("connection", url, group="database")
    arguments: dict[str, object] = {}

    def note(_d: object, _r: object, _a: object, parameters: dict[str, object]) -> None:
        arguments.update(parameters)
        raise KeyError

    database = session.connect(conf, SystemClock(), answer_timeout_s=timeout_s)
    sa.event.listen(database.engine, "do_connect", note)

    with pytest.raises(KeyError), database.reading():
        pass
    assert {name: arguments.get(name) for name in expected} == expected
    assert ("read_timeout" in arguments) == ("read_timeout" in expected)
