"""masakari-status upgrade check, as an operator calls it; each failure is produced for real."""

import datetime
import json
import pathlib
import socket
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from oslo_config import cfg

from masakari.clock import SystemClock
from masakari.cmd import status
from masakari.db import migration
from masakari.sim.cloud import SimCloud
from masakari.sim.http import SimServer
from masakari.tests.conftest import new_conf

Found = dict[str, tuple[str, str]]
WORDS = {0: "Success", 1: "Warning", 2: "Failure"}
SECRET = "hunter2"


class Clock(SystemClock):
    """The machine's, wrong by so many seconds; nobody sleeps on it."""

    def __init__(self, offset_s: float = 0) -> None:
        super().__init__()
        self._offset = datetime.timedelta(seconds=offset_s)

    def now(self) -> datetime.datetime:
        return super().now() + self._offset

    def sleep(self, seconds: float) -> None:
        pass


@pytest.fixture(scope="module")
def cloud() -> SimCloud:
    cloud = SimCloud(SystemClock())
    cloud.add_host("compute1")
    cloud.add_server("compute1", "vm1")
    return cloud


@pytest.fixture(scope="module")
def server(cloud: SimCloud) -> Iterator[SimServer]:
    with SimServer(cloud) as server:
        yield server


class Site:
    """A configuration with its database and cloud, in which all is well."""

    def __init__(self, directory: pathlib.Path, auth_url: str) -> None:
        self.directory = directory
        self.file = directory / "masakari.sqlite"
        self.options: dict[str, dict[str, str]] = {
            "DEFAULT": {"state_path": str(directory)},
            "database": {"connection": f"sqlite:///{self.file}"},
            "nova": {"retries": "0", "connect_timeout": "2"},
            "keystone_authtoken": {
                "auth_type": "password",
                "auth_url": auth_url,
                "username": "masakari",
                "password": SECRET,
                "project_name": "service",
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
        }

    def set(self, group: str, **options: str) -> None:
        self.options.setdefault(group, {}).update(options)

    def write(self, name: str, text: str) -> pathlib.Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def execute(self, *statements: str) -> None:
        with sqlite3.connect(self.file) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()


@pytest.fixture
def site(tmp_path: pathlib.Path, server: SimServer, sqlite_template: pathlib.Path) -> Site:
    site = Site(tmp_path, server.auth_url)
    site.file.write_bytes(sqlite_template.read_bytes())
    return site


@pytest.fixture
def check(
    keep_logging: None, site: Site, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Found]]:
    """Runs it: (exit status, {check: (result, details)})."""

    def call(clock: Clock | None = None) -> tuple[int, Found]:
        lines = []
        for group, options in site.options.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in options.items())]
        path = site.write("masakari.conf", "\n".join(lines))
        argv = ["--config-file", str(path), "upgrade", "check", "--json"]
        code = status.main(argv, cfg.ConfigOpts(), clock or Clock())
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        assert "Traceback" not in out + err
        checks = json.loads(out)["checks"]
        assert code == max(c["result"] for c in checks)
        return code, {c["check"]: (WORDS[c["result"]], c["details"] or "") for c in checks}

    return call


def only(found: Found, name: str) -> tuple[str, str]:
    """The result of that check; all others are successes."""
    assert {n for n, (word, _) in found.items() if word != "Success"} <= {name}
    return found[name]


def test_all_is_well(check) -> None:
    code, found = check()

    assert (code, {word for word, _ in found.values()}) == (0, {"Success"})
    assert list(found) == [name for name, _ in status.CHECKS]


def test_results_are_a_table_by_default(site: Site, capsys, keep_logging: None) -> None:
    path = site.write("masakari.conf", f"[database]\nconnection = sqlite:///{site.file}\n")

    code = status.main(["--config-file", str(path), "upgrade", "check"], cfg.ConfigOpts())

    out = capsys.readouterr().out
    assert code == 2
    assert "| Upgrade Check Results " in out
    assert "| Check: Database revision " in out
    assert "Details: [keystone_authtoken] auth_type: is not set" in out


@pytest.mark.parametrize("argv", [[], ["upgrade"], ["nonsense"]])
def test_incomplete_command_is_usage_and_status_two(argv, capsys, keep_logging: None) -> None:
    with pytest.raises(SystemExit) as e:
        status.main(argv, cfg.ConfigOpts())

    assert e.value.code == 2
    assert capsys.readouterr().err.startswith("usage: masakari-status")


def test_configuration_that_cannot_be_read_is_255(site: Site, capsys, keep_logging: None) -> None:
    path = site.write("masakari.conf", "[engine]\nlease = long\n")

    code = status.main(["--config-file", str(path), "upgrade", "check"], cfg.ConfigOpts())

    out, err = capsys.readouterr()
    assert (code, out) == (255, "")
    assert err == "masakari-status: [engine] lease: 'long' is not a number\n"


# ---- options and policies


def test_options_without_effect_and_misspelt_ones_are_a_warning(check, site: Site) -> None:
    site.set("DEFAULT", report_interval="3", verify_intervall="2", enabled_apis="osapi_masakari")

    word, text = only(check()[1], "Options")

    assert word == "Warning"
    assert "[DEFAULT] report_interval has no effect: engines own" in text
    assert "did you mean [DEFAULT] verify_interval?" in text
    assert "enabled_apis" not in text


@pytest.mark.parametrize(
    ("policies", "word", "text"),
    [
        ('{"admin_api": "is_admin:True"}', "Failure", "run oslopolicy-convert-json-to-"),
        (
            "os_masakari_api:segments:indexx: '@'",
            "Warning",
            "No operation asks for the rule os_masakari_api:segments:indexx: "
            "did you mean os_masakari_api:segments:index?",
        ),
        ("quite_else: '@'", "Warning", "asks for the rule quite_else: remove it."),
        (
            "os_masakari_api:segments:index: 'rule:nobody_has_this'",
            "Failure",
            "Rules refer to none",
        ),
        (
            "os_masakari_api:segments:index: 'role:admin and and'",
            "Failure",
            "The rule os_masakari_api:segments:index is not understood",
        ),
        ("[not, a, mapping", "Failure", "[oslo_policy] policy_file: "),
        ("mine: 'role:ha'\nadmin_api: 'rule:mine'", "Success", ""),
    ],
    ids=["json", "close", "unknown", "undefined", "syntax", "yaml", "own"],
)
def test_policy_file(check, site: Site, policies: str, word: str, text: str) -> None:
    site.set("oslo_policy", policy_file=str(site.write("policy.file", policies)))

    found = only(check()[1], "Policy file")

    assert found[0] == word
    assert text in found[1]


# ---- database, TaskFlow, coordination


def test_database_that_is_not_there_is_not_made(check, site: Site) -> None:
    site.file.unlink()

    found = check()[1]

    assert found["Database revision"][0] == found["TaskFlow tables"][0] == "Failure"
    assert found["Database revision"][1].endswith(": run masakari-manage db sync.")
    assert not site.file.exists()


def test_database_behind(check, site: Site) -> None:
    site.file.unlink()
    migration.sync(new_conf(site.directory), "8bdf5929c5a6")

    word, text = only(check()[1], "Database revision")

    assert word == "Failure"
    assert text == (
        f"The database is at revision 8bdf5929c5a6, {migration.newest()} is needed: "
        "run masakari-manage db sync."
    )


def test_database_ahead(check, site: Site) -> None:
    site.execute("UPDATE masakari_alembic_version SET version_num = 'fedcba987654'")

    word, text = only(check()[1], "Database revision")

    assert word == "Failure"
    assert text.startswith("The database is at revision fedcba987654, which this release does not")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (f"mysql+pymysql://m:{SECRET}@127.0.0.1:1/m", "Can't connect to MySQL server"),
        (f"mysql+nosuch://m:{SECRET}@h/m", "unknown database driver"),
        (f"{SECRET}", "not a URL"),
    ],
    ids=["away", "driver", "no url"],
)
def test_database_out_of_reach(check, site: Site, url: str, text: str) -> None:
    site.set("database", connection=url)

    word, details = check()[1]["Database revision"]

    assert word == "Failure"
    assert text in details


def test_taskflow_table_is_missing(check, site: Site) -> None:
    site.execute("DROP TABLE atomdetails", "ALTER TABLE flowdetails DROP COLUMN meta")

    assert only(check()[1], "TaskFlow tables") == (
        "Failure",
        "In the database of [database] connection TaskFlow's tables are not as they should be "
        "(flowdetails.meta, atomdetails): run masakari-manage db sync.",
    )


def test_taskflow_elsewhere_is_looked_at_there(check, site: Site) -> None:
    site.set("taskflow", connection=f"sqlite:///{site.directory}/taskflow.sqlite")

    word, text = only(check()[1], "TaskFlow tables")

    assert word == "Failure"
    assert "[taskflow] connection" in text
    assert not (site.directory / "taskflow.sqlite").exists()


def test_locks_in_files_of_several_nodes(check, site: Site) -> None:
    insert = (
        "INSERT INTO notifications (notification_uuid, generated_time, source_host_uuid, type, "
        "payload, status, deleted, owner) VALUES ('{0}', '2026-01-01', 'h', 'VM', '{{}}', "
        "'running', 0, '{1}')"
    )
    site.execute(insert.format("n1", "node-a:12:ab"), insert.format("n2", "node-b:7:cd"))

    word, text = only(check()[1], "Coordination")

    assert word == "Warning"
    assert text.startswith("Engines on several nodes (node-a, node-b) keep their locks in files")


def test_locks_in_files_beside_a_database_on_another_machine(check, site: Site) -> None:
    site.set("database", connection=f"mysql+pymysql://m:{SECRET}@127.0.0.2:1/m")

    word, text = check()[1]["Coordination"]

    assert word == "Warning"
    assert "if engines run on more than one node" in text


def test_lock_backend_that_does_not_answer(check, site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    site.set("coordination", backend_url=f"etcd3+http://root:{SECRET}@127.0.0.1:{port}")

    word, text = only(check()[1], "Coordination")

    assert word == "Warning"
    assert "does not answer" in text


def test_lock_backend_that_nobody_has(check, site: Site) -> None:
    site.set("coordination", backend_url=f"nosuch://:{SECRET}@h")

    word, text = only(check()[1], "Coordination")

    assert word == "Failure"
    assert text.startswith("[coordination] backend_url: it begins with none of")


# ---- Keystone, Nova, clocks


def test_keystone_away(check, site: Site) -> None:
    site.set("keystone_authtoken", auth_url="http://127.0.0.1:1/v3")

    code, found = check()

    assert code == 2
    assert found["Keystone"][0] == found["Nova"][0] == "Failure"
    assert "no connection to http://127.0.0.1:1 (Connection refused)" in found["Keystone"][1]


def test_password_that_is_wrong(check, site: Site) -> None:
    site.set("keystone_authtoken", password="wrong")

    word, text = check()[1]["Keystone"]

    assert word == "Failure"
    assert "it refuses our credentials (HTTP 401): look at [keystone_authtoken]" in text


def test_user_who_may_not_act_in_nova(check, site: Site) -> None:
    site.set("keystone_authtoken", username="demo")

    word, text = only(check()[1], "Nova")

    assert word == "Failure"
    assert text.endswith("give the user the admin role in its project.")


def test_nova_is_not_in_the_catalogue(check, site: Site) -> None:
    site.set("DEFAULT", os_region_name="Atlantis")

    word, text = only(check()[1], "Nova")

    assert word == "Failure"
    assert "os_region_name" in text


def test_no_compute_service(check, site: Site) -> None:
    with SimServer(SimCloud(SystemClock())) as empty:
        site.set("keystone_authtoken", auth_url=empty.auth_url)

        word, text = only(check()[1], "Nova")

    assert word == "Warning"
    assert text.startswith("Nova shows no compute service")


@pytest.mark.parametrize(("offset_s", "how"), [(-40, "behind"), (40, "ahead of")])
def test_clock_of_the_machine_is_wrong(check, offset_s: float, how: str) -> None:
    word, text = only(check(Clock(offset_s))[1], "Clocks")

    assert word == "Warning"
    assert f" s {how} Keystone" in text
    assert f" s {how} Nova" in text


def test_nothing_is_changed(check, site: Site, cloud: SimCloud, server: SimServer) -> None:
    before, requests = site.file.read_bytes(), dict(server.stats.kinds)

    check()

    assert site.file.read_bytes() == before
    new = {kind for kind, n in server.stats.kinds.items() if n != requests.get(kind, 0)}
    assert {kind for kind in new if " GET " not in kind} == {"keystone POST /v3/auth/tokens"}
    assert not any(site.directory.glob("masakari-locks"))
