"""masakari-manage notification: with the database alone."""

import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest
from oslo_config import cfg

from masakari import db
from masakari.clock import Clock, SystemClock
from masakari.cmd import manage
from masakari.db.session import Database
from masakari.tests.unit.db import rows

Run = Callable[..., tuple[int, str, str]]
BUS_AWAY = "rabbit://m:hunter2@127.0.0.1:1/"


@pytest.fixture
def database(connect_database: Callable[[Clock], Database]) -> Database:
    return connect_database(SystemClock())


@pytest.fixture
def run(
    keep_logging: None,
    database: Database,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Calls masakari-manage notification: (exit status, stdout, stderr)."""

    def call(*argv: str, bus: str = "fake://", driver: str = "") -> tuple[int, str, str]:
        file = tmp_path / "manage.conf"
        url = database.engine.url.render_as_string(hide_password=False)
        file.write_text(
            f"[DEFAULT]\ntransport_url = {bus}\n[database]\nconnection = {url}\n"
            f"[oslo_messaging_notifications]\ndriver = {driver}\n"
        )
        argv = ("--config-file", str(file), "notification", *argv)
        status = manage.main(argv, cfg.ConfigOpts())
        out, err = capsys.readouterr()
        return status, out.strip(), err.strip()

    return call


def test_cancel_what_waits(run: Run, database: Database) -> None:
    rows.host(database)
    uuid = rows.report(database).notification_uuid

    assert run("cancel", uuid) == (0, f"Notification {uuid} is cancelled: failed.", "")

    assert db.notifications.get(database, uuid).status == "failed"


def test_cancel_what_runs(run: Run, database: Database) -> None:
    rows.host(database)
    uuid = rows.in_status(database, "running").notification_uuid

    status, out, err = run("cancel", uuid)

    assert (status, err) == (0, "")
    assert out.startswith(f"Notification {uuid} is cancelled: nothing more is begun")
    assert db.brake.is_cancelled(database, uuid)


@pytest.mark.parametrize("bus", ["fake://", "nonsense://"])
def test_retry_whether_there_is_a_bus_or_not(run: Run, database: Database, bus: str) -> None:
    rows.host(database)
    uuid = rows.in_status(database, "failed").notification_uuid

    status, out, err = run("retry", uuid, bus=bus)

    assert (status, out) == (0, f"Notification {uuid} is to be tried again: new.")
    assert ("the sweep finds it" in err) == (bus != "fake://")
    assert db.notifications.get(database, uuid).status == "new"


def test_retry_while_the_bus_is_away(database: Database, tmp_path: pathlib.Path) -> None:
    rows.host(database)
    uuid = rows.in_status(database, "failed").notification_uuid
    file = tmp_path / "manage.conf"
    url = database.engine.url.render_as_string(hide_password=False)
    file.write_text(f"[DEFAULT]\ntransport_url = {BUS_AWAY}\n[database]\nconnection = {url}\n")
    command = [sys.executable, "-m", "masakari.cmd.manage", "--config-file", file]

    ran = subprocess.run(
        [*command, "notification", "retry", uuid], check=True, capture_output=True, text=True
    )

    assert ran.stdout == f"Notification {uuid} is to be tried again: new.\n"
    assert "the sweep finds" in ran.stderr
    assert "hunter2" not in ran.stderr
    assert db.notifications.get(database, uuid).status == "new"


def test_events_that_cannot_be_sent_keep_nobody_from_it(run: Run, database: Database) -> None:
    rows.host(database)
    uuid = rows.in_status(database, "failed").notification_uuid

    status, out, err = run("retry", uuid, driver="nonsense")

    assert (status, out) == (0, f"Notification {uuid} is to be tried again: new.")
    assert "its change is not announced" in err


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_what_cannot_be_done_says_why(run: Run, database: Database, action: str) -> None:
    rows.host(database)
    uuid = rows.in_status(database, "finished").notification_uuid

    status, out, err = run(action, uuid)
    assert (status, out) == (1, "")
    assert f"Notification {uuid} is finished" in err

    status, out, err = run(action, "nonsense")
    assert (status, out) == (1, "")
    assert "No notification with id nonsense." in err
