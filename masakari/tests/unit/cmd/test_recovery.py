"""masakari-manage recovery list and show, as an operator calls them."""

import datetime
import io
import json
import pathlib
from collections.abc import Callable

import pytest
from oslo_config import cfg
from rich.console import Console
from taskflow.persistence import models

from masakari import db
from masakari.cmd import manage, recovery, recovery_shape, recovery_view
from masakari.db.session import Database
from masakari.errors import DatabaseUnavailable, Invalid
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.clocks import ManualClock

Run = Callable[..., tuple[int, str, str]]
SECRET = "hunter2"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def run(
    keep_logging: None,
    migrated_conf: cfg.ConfigOpts,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Calls masakari-manage recovery: (exit status, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*argv: str, connection: str | None = None) -> tuple[int, str, str]:
        file = tmp_path / "masakari.conf"
        # neither bus nor Keystone nor Nova are there
        file.write_text(
            f"[DEFAULT]\ntransport_url = rabbit://m:{SECRET}@127.0.0.1:1/\n"
            f"[database]\nconnection = {connection or migrated_conf.database.connection}\n"
        )
        try:
            status = manage.main(["--config-file", str(file), "recovery", *argv], cfg.ConfigOpts())
        except SystemExit as e:
            status = e.code
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        return status, out, err

    return call


def tell_steps(conf: cfg.ConfigOpts, uuid: str) -> None:
    """As an engine stores them."""
    book = models.LogBook("book", uuid=uuid)
    flow = models.FlowDetail("main", "11111111-1111-4111-8111-111111111111")
    flow.meta = {"attempt": 1, "chapter": 1, "name": "auto", "steps": ["Disable", "Evacuate"]}
    said = [{"timestamp": "2026-01-01 00:00:05.250000", "progress": "0.5", "message": "1 of 2"}]
    step = models.TaskDetail("Evacuate", "22222222-2222-4222-8222-222222222222")
    step.state = "RUNNING"
    step.meta = {
        "progress": 0.5,
        "progress_details": {"at_progress": 0.5, "details": {"progress_details": said}},
    }
    flow.add(step)
    book.add(flow)
    backend = db.progress.connect(conf)
    backend.get_connection().save_logbook(book)
    backend.close()


@pytest.fixture
def running(database: Database, migrated_conf: cfg.ConfigOpts) -> str:
    """The uuid of a recovery with one VM that has moved and one that has not yet."""
    rows.host(database)
    uuid = rows.in_status(database, "running").notification_uuid
    moves = db.vmoves.prepare(database, uuid, 1, 1, [rows.move(1), rows.move(2)])
    db.vmoves.start(database, moves[0].uuid, lock=True)
    db.vmoves.finish(
        database, moves[0].uuid, status="succeeded", dest_host="compute2", locked=False
    )
    tell_steps(migrated_conf, uuid)
    return uuid


def settle(database: Database, uuid: str, status: str) -> None:
    db.leases.settle(
        database, uuid, owner="engine-a", status=status, message="recovered: all arrived"
    )


# ---- list


def test_list_of_nothing(run: Run) -> None:
    assert run("list") == (0, "No recoveries.\n", "")
    assert json.loads(run("list", "--format", "json")[1]) == {"recoveries": []}


def test_list_shows_what_is_open(run: Run, running: str) -> None:
    status, out, err = run("list")

    assert (status, err) == (0, "")
    (row,) = [line for line in out.splitlines() if running in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:5] == [running, "COMPUTE_HOST", "compute1", "running", "-"]
    assert cells[7:] == ["1/0/1", "engine-a", "1"]


def test_list_as_json(run: Run, running: str, database: Database) -> None:
    settle(database, running, "finished")

    ((found),) = json.loads(run("list", "--format", "json")[1])["recoveries"]

    assert (found["uuid"], found["status"], found["reason"]) == (running, "finished", "recovered")
    assert found["vms"] == {"done": 1, "failed": 1, "left": 0, "ignored": 0}
    assert found["ended_at"].endswith("Z")
    assert datetime.datetime.fromisoformat(found["reported_at"]).tzinfo is not None
    assert found["engine"] is None


def test_list_filters(run: Run, running: str) -> None:
    def found(*argv: str) -> int:
        return len(json.loads(run("list", "--format", "json", *argv)[1])["recoveries"])

    assert found("--status", "running") == found("--host", "compute1") == found("--all") == 1
    assert found("--type", "compute_host", "--since", "1h") == 1
    assert found("--status", "failed") == found("--host", "compute9") == found("--type", "VM") == 0
    assert found("--since", "2999-01-01T00:00+02:00") == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--status", "done"], "--status: 'done' is none of new, running, error, failed, ignored"),
        (["--type", "DISK"], "--type: 'DISK' is none of COMPUTE_HOST, VM, PROCESS."),
        (["--since", "yesterday"], "--since: 'yesterday' is neither like 30m, 6h, 7d nor a time"),
        (["--since", "999999d"], "--since: '999999d' is neither"),
        (["--limit", "0"], "--limit: '0' is no number from 1 to 10000."),
        (["--limit", "many"], "--limit: 'many' is no number"),
    ],
)
def test_bad_filter_names_the_option(run: Run, argv: list[str], words: str) -> None:
    status, out, err = run("list", *argv)

    assert (status, out) == (1, "")
    assert err.startswith(f"masakari-manage: {words}")


# ---- show


def test_show_tells_all(run: Run, running: str) -> None:
    status, out, _ = run("show", running)

    assert status == recovery.OPEN
    for words in (
        *("COMPUTE_HOST compute1, segment rack1", "1 done, 0 failed, 1 left", "engine-a"),
        *("Evacuate", "1 of 2", "vm1", "succeeded", "compute2", "vm2", "pending"),
    ):
        assert words in out
    assert "\x1b" not in out


def test_show_as_json(run: Run, running: str) -> None:
    status, out, _ = run("show", running, "--format", "json")

    found = json.loads(out)["recovery"]
    assert status == recovery.OPEN
    assert found["chapters"] == [
        {
            "attempt": 1,
            "chapter": 1,
            "name": "auto",
            "steps": [
                {
                    "name": "Evacuate",
                    "state": "RUNNING",
                    "progress": 0.5,
                    "said": [{"at": "2026-01-01T00:00:05.250000Z", "message": "1 of 2"}],
                }
            ],
        }
    ]
    assert [(m["server_name"], m["status"], m["destination"]) for m in found["moves"]] == [
        ("vm1", "succeeded", "compute2"),
        ("vm2", "pending", None),
    ]
    assert found["moves"][0]["started_at"].endswith("Z")
    assert found["lease_until"].endswith("Z")
    assert found["actions"] == []
    assert [w["reported_by"] for w in found["witnesses"]] == ["a monitor"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("finished", 0), ("ignored", 0), ("failed", recovery.FAILED), ("error", recovery.OPEN)],
)
def test_exit_status_of_show(
    run: Run, running: str, database: Database, status: str, code: int
) -> None:
    settle(database, running, status)

    assert run("show", running)[0] == code


def test_show_of_what_is_not_there(run: Run) -> None:
    status, out, err = run("show", NOBODY)

    assert (status, out) == (recovery.NOT_FOUND, "")
    assert NOBODY in err


@pytest.mark.parametrize("argv", [["list"], ["show", NOBODY], ["show", NOBODY, "--follow"]])
def test_database_that_is_not_there(run: Run, argv: list[str], tmp_path: pathlib.Path) -> None:
    status, out, err = run(*argv, connection=f"sqlite:///{tmp_path}/none.sqlite")

    assert (status, out) == (recovery.NO_DATABASE, "")
    assert err.endswith(f"(there is no file {tmp_path}/none.sqlite)\n")
    assert not (tmp_path / "none.sqlite").exists()


def test_names_of_vms_are_no_markup(run: Run, database: Database) -> None:
    rows.host(database)
    uuid = rows.in_status(database, "running").notification_uuid
    db.vmoves.prepare(database, uuid, 1, 1, [rows.move(1, instance_name="[red]x[/nosuch]")])

    assert "[red]x[/nosuch]" in run("show", uuid)[1]


# ---- follow


class Story:
    """The documents of a recovery, one after the other; an error is raised."""

    def __init__(self, *documents: object) -> None:
        self._left = list(documents)

    def __call__(self) -> recovery_shape.Json:
        document = self._left.pop(0)
        if isinstance(document, Exception):
            raise document
        return document


@pytest.fixture
def documents(database: Database, running: str) -> list[recovery_shape.Json]:
    """Running, and finished."""

    def read() -> recovery_shape.Json:
        found = db.recoveries.get(database, running)
        return recovery_shape.whole(found, [], rows.T0)

    before = read()
    settle(database, running, "finished")
    return [before, read()]


def test_follow_prints_changes_and_ends(documents, capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    before, after = documents

    status = recovery.follow(Story(before, before, after), clock, "table")

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert clock.slept_s == [1.0, 1.0]
    assert len(lines) == len(set(lines))
    assert [line.split(" ", 1)[1] for line in lines] == [
        "VM vm1: succeeded on compute2",
        "VM vm2: pending",
        f"{before['uuid']} is running, attempt 1",
        "VM vm2: failed: recovered: all arrived",
        f"{before['uuid']} is finished, attempt 1: recovered: all arrived",
    ]


def test_follow_waits_for_a_database_that_is_away(documents, capsys) -> None:
    before, after = documents
    away = DatabaseUnavailable()

    status = recovery.follow(Story(before, away, away, after), ManualClock(), "table")

    out = capsys.readouterr().out
    assert status == 0
    assert out.count("The database is not available, trying again.") == 1


def test_follow_as_json_is_a_document_a_line(documents, capsys) -> None:
    before, after = documents
    later = before | {"age_s": 99.0}

    recovery.follow(Story(before, later, after), ManualClock(), "json")

    found = [json.loads(line)["recovery"] for line in capsys.readouterr().out.splitlines()]
    assert [d["status"] for d in found] == ["running", "finished"]


def test_follow_of_nothing(run: Run) -> None:
    assert run("show", NOBODY, "--follow")[0] == recovery.NOT_FOUND


# ---- shaping


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.4, "0s"), (59.9, "59s"), (192, "3m12s"), (18420, "5h07m"), (187200, "2d04h")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert recovery_shape.words(seconds) == text


@pytest.mark.parametrize(
    ("message", "reason"),
    [(None, None), ("recovered: 2 of 2", "recovered"), ("so", None), ("What: ever", None)],
)
def test_reason_is_a_known_word(message: str | None, reason: str | None) -> None:
    assert recovery_shape.reason(message) == reason


@pytest.mark.parametrize(
    ("given", "seconds_ago"), [("90s", 90), ("30m", 1800), ("6h", 21600), ("2d", 172800)]
)
def test_moments_ago(given: str, seconds_ago: int) -> None:
    clock = ManualClock()

    found = recovery.moment("--since", given, clock)

    assert found == clock.now() - datetime.timedelta(seconds=seconds_ago)


def test_moment_with_a_zone_is_utc() -> None:
    assert recovery.moment("--since", "2026-01-01T02:00+02:00", ManualClock()) == rows.T0


def test_moment_that_is_none() -> None:
    with pytest.raises(Invalid):
        recovery.moment("--since", "1x", ManualClock())


@pytest.mark.parametrize("width", [60, 80, 132])
def test_picture_keeps_to_the_width(documents, width: int) -> None:
    console = Console(file=io.StringIO(), width=width)

    console.print(recovery_view.picture(documents[0]))

    text = console.file.getvalue()
    assert "vm1" in text
    assert max(len(line) for line in text.splitlines()) <= width
