"""masakari-manage, as an operator calls it."""

import pathlib
from collections.abc import Callable

import pytest
from oslo_config import cfg

from masakari import db, errors
from masakari.clock import Clock, SystemClock
from masakari.cloud import ComputeService
from masakari.cmd import manage
from masakari.db.session import Database
from masakari.sim.cloud import SimCloud
from masakari.sim.http import SimServer
from masakari.tests.conftest import new_conf
from masakari.tests.heard import Heard
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.clocks import ManualClock

NEWEST = "a6d2f07c4e91"


@pytest.fixture
def run(
    keep_logging: None, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Calls masakari-manage: (exit status, stdout, stderr)."""

    def call(*argv: str, **options: str) -> tuple[int, str, str]:
        given = {"connection": f"sqlite:///{tmp_path}/masakari.sqlite", **options}
        nova = given.pop("keystone_authtoken", "")
        file = tmp_path / "masakari.conf"
        lines = "".join(f"{name} = {value}\n" for name, value in given.items())
        file.write_text(f"[database]\n{lines}[keystone_authtoken]\n{nova}[nova]\nretries = 0\n")
        try:
            status = manage.main(["--config-file", str(file), *argv], cfg.ConfigOpts())
        except SystemExit as e:
            status = e.code
        out, err = capsys.readouterr()
        return status, out.strip(), err.strip()

    return call


@pytest.mark.parametrize("argv", [[], ["db"], ["host"], ["nonsense"], ["host", "repaired"]])
def test_incomplete_command_is_usage_and_status_two(
    run: Callable[..., tuple[int, str, str]], argv: list[str]
) -> None:
    status, out, err = run(*argv)

    assert (status, out) == (2, "")
    assert err.startswith("usage: masakari-manage")


def test_db_sync_and_version(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = run("db", "sync")

    assert (status, err) == (0, "")
    assert out == f"The database is at revision {NEWEST}, before: empty."
    assert run("db", "version")[:2] == (0, NEWEST)
    assert run("db", "sync")[:2] == (0, f"The database stays at revision {NEWEST}.")


def test_db_version_without_a_database_makes_none(
    run: Callable[..., tuple[int, str, str]], tmp_path: pathlib.Path
) -> None:
    status, out, err = run("db", "version")

    assert (status, err) == (0, "")
    assert out == f"There is no database {tmp_path}/masakari.sqlite: run masakari-manage db sync."
    assert not (tmp_path / "masakari.sqlite").exists()


def test_db_version_of_an_empty_database(
    run: Callable[..., tuple[int, str, str]], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "masakari.sqlite").touch()

    assert run("db", "version")[:2] == (
        0,
        "The database has no revision: run masakari-manage db sync.",
    )


def test_db_sync_to_a_revision(run: Callable[..., tuple[int, str, str]]) -> None:
    assert run("db", "sync", "8bdf5929c5a6")[0] == 0
    assert run("db", "version")[1] == "8bdf5929c5a6"

    run("db", "sync")
    assert run("db", "sync", "8bdf5929c5a6")[:2] == (
        0,
        f"The database stays at revision {NEWEST}, which is later than 8bdf5929c5a6.",
    )


@pytest.mark.parametrize(
    ("argv", "connection", "sentence"),
    [
        (["db", "sync", "77"], None, "There is no database revision 77."),
        (
            ["db", "sync"],
            "mysql+nosuch://m:hunter2@h/m",
            "[database] connection: unknown database driver 'mysql+nosuch'.",
        ),
        (
            ["db", "version"],
            "mysql+pymysql://m:hunter2@127.0.0.1:1/m",
            "The database is not available. (Can't connect to MySQL server on '127.0.0.1'"
            " ([Errno 111] Connection refused))",
        ),
        (["db", "sync"], "sqlite:////etc/passwd", "The database is not available."),
    ],
    ids=["revision", "driver", "away", "no database"],
)
def test_what_cannot_be_done_is_one_sentence(
    run: Callable[..., tuple[int, str, str]],
    argv: list[str],
    connection: str | None,
    sentence: str,
) -> None:
    status, out, err = run(*argv, **({"connection": connection} if connection else {}))

    assert (status, out) == (1, "")
    assert err.startswith(f"masakari-manage: {sentence}")
    assert len(err.splitlines()) == 1


def test_option_of_impossible_value_is_one_sentence(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    status, _, err = run("db", "version", max_pool_size="many")

    assert status == 1
    assert "max_pool_size" in err
    assert "Traceback" not in err


# ---- db purge


@pytest.mark.parametrize("dry_run", ["--dry-run", "--dry_run"])
def test_db_purge_says_what_it_deletes_of_each_table(
    run: Callable[..., tuple[int, str, str]], tmp_path: pathlib.Path, dry_run: str
) -> None:
    run("db", "sync")
    database = db.session.connect(new_conf(tmp_path), SystemClock())
    rows.host(database)
    rows.in_status(database, "finished")
    database.dispose()
    argv = ["db", "purge", "--age_in_days", "0"]
    later = ["db", "purge", "--age-in-days", "1", "--max-rows", "5"]

    assert "notifications" + 14 * " " + "0 deleted" in run(*later)[1].splitlines()
    assert run(*argv, dry_run)[1].splitlines()[0] == "notifications" + 14 * " " + (
        "1 would be deleted"
    )
    status, out, err = run(*argv, "--max_rows", "1")

    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "notifications" + 14 * " " + "1 deleted"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--max_rows", "0"], "--max-rows: must be greater than 0, or -1 for all."),
        (["--max-rows=-2"], "--max-rows: must be greater than 0, or -1 for all."),
        (["--age_in_days=-1"], "--age-in-days: must not be negative."),
        (["--age-in-days", "999999"], "--age-in-days: must be less than the days since 1970."),
    ],
)
def test_db_purge_of_impossible_size_is_refused(
    run: Callable[..., tuple[int, str, str]], argv: list[str], sentence: str
) -> None:
    assert run("db", "purge", *argv) == (1, "", f"masakari-manage: {sentence}")


def test_db_purge_without_tables_says_what_to_do(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = run("db", "purge")

    assert (status, out) == (1, "")
    assert "run masakari-manage db sync" in err


# ---- host repaired


def test_repaired_host_of_no_segment_is_said(run: Callable[..., tuple[int, str, str]]) -> None:
    run("db", "sync")

    assert run("host", "repaired", "compute9") == (
        1,
        "",
        "masakari-manage: [keystone_authtoken] auth_type: is not set, nor is [DEFAULT] "
        "os_privileged_user_name; the service needs a Keystone user who may act in Nova",
    )
    credentials = "auth_type = password\nauth_url = http://127.0.0.1:9/v3\nusername = m\n"
    assert run("host", "repaired", "compute9", keystone_authtoken=credentials) == (
        1,
        "",
        "masakari-manage: Host compute9 is in no segment.",
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cloud(clock: ManualClock) -> SimCloud:
    """compute1, whose service is up and disabled."""
    cloud = SimCloud(clock)
    cloud.add_host("compute1", disabled=True)
    return cloud


@pytest.fixture
def database(clock: ManualClock, connect_database: Callable[[Clock], Database]) -> Database:
    """compute1, on maintenance after a recovery."""
    database = connect_database(clock)
    host = rows.host(database, "compute1")
    db.hosts.begin_maintenance(database, host.uuid, by="n1")
    return database


def service(cloud: SimCloud) -> ComputeService:
    return cloud.compute_services("compute1")[0]


def test_repaired_host_is_in_service(database: Database, cloud: SimCloud) -> None:
    said = manage.repair(database, cloud, "compute1")

    assert service(cloud).is_enabled
    host = db.hosts.get_by_name(database, "compute1")
    assert (host.on_maintenance, host.maintenance_by) == (False, None)
    assert said == (
        "compute1: compute service enabled and up; on_maintenance False, reserved False, "
        "segment rack1."
    )


def test_repaired_host_is_announced(database: Database, cloud: SimCloud) -> None:
    told = Heard()

    manage.repair(database, cloud, "compute1", told)

    assert told.types == ["host.update.start", "host.update.end"]
    data = told.events[-1].payload["masakari_object.data"]
    assert (data["name"], data["on_maintenance"]) == ("compute1", False)


def test_repaired_twice_says_the_same(database: Database, cloud: SimCloud) -> None:
    first = manage.repair(database, cloud, "compute1")

    assert manage.repair(database, cloud, "compute1") == first


def test_repaired_unknown_host_is_refused(database: Database, cloud: SimCloud) -> None:
    with pytest.raises(errors.HostNameUnknown, match="compute9"):
        manage.repair(database, cloud, "compute9")


@pytest.mark.parametrize("status", ["new", "running", "error"])
def test_repaired_host_under_recovery_is_refused(
    database: Database, cloud: SimCloud, status: str
) -> None:
    db.hosts.end_maintenance(database, db.hosts.get_by_name(database, "compute1").uuid)
    n = rows.in_status(database, status)

    with pytest.raises(errors.HostUnderRecovery, match=n.notification_uuid):
        manage.repair(database, cloud, "compute1")
    assert not service(cloud).is_enabled


def test_repaired_host_without_service_is_refused(database: Database, clock: ManualClock) -> None:
    with pytest.raises(errors.ComputeServiceNotFound, match="compute1"):
        manage.repair(database, SimCloud(clock), "compute1")
    assert db.hosts.get_by_name(database, "compute1").on_maintenance


def test_repaired_host_that_is_down_is_refused(database: Database, cloud: SimCloud) -> None:
    cloud.set_service_state("compute1", up=False)

    with pytest.raises(errors.CloudConflict, match="down: start nova-compute"):
        manage.repair(database, cloud, "compute1")

    assert not service(cloud).is_enabled
    assert db.hosts.get_by_name(database, "compute1").on_maintenance


def test_host_repaired_over_http(
    run: Callable[..., tuple[int, str, str]], tmp_path: pathlib.Path
) -> None:
    run("db", "sync")
    database = db.session.connect(new_conf(tmp_path), SystemClock())
    host = rows.host(database, "compute1")
    db.hosts.begin_maintenance(database, host.uuid, by="n1")
    cloud = SimCloud(SystemClock())
    cloud.add_host("compute1", disabled=True)

    with SimServer(cloud) as server:
        credentials = (
            f"auth_type = password\nauth_url = {server.auth_url}\nusername = masakari\n"
            "password = x\nproject_name = service\nuser_domain_name = Default\n"
            "project_domain_name = Default\n"
        )
        status, out, err = run("host", "repaired", "compute1", keystone_authtoken=credentials)

    assert (status, err) == (0, "")
    assert out.startswith("compute1: compute service enabled and up;")
    assert service(cloud).is_enabled
    assert not db.hosts.get_by_name(database, "compute1").on_maintenance
    database.dispose()
