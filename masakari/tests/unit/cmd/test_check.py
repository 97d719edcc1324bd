"""masakari-manage check, as an operator calls it; each failure is produced for real."""

import json
import os
import pathlib
import socket
from collections.abc import Callable, Iterator

import pytest
from oslo_config import cfg

from masakari.clock import SystemClock
from masakari.cmd import manage
from masakari.cmd.readiness import stores
from masakari.cmd.readiness.findings import finding_of
from masakari.sim.cloud import Fault, SimCloud
from masakari.sim.http import SimServer

SECRET = "hunter2"
Found = dict[str, tuple[str, str]]
ASKED_BY_DEFAULT = {
    "keystone POST /v3/auth/tokens",
    "nova PUT /os-services/ID",
    "nova POST /servers/ID/action evacuate",
}
"""All requests that are no GET."""


@pytest.fixture(scope="module")
def cloud() -> SimCloud:
    cloud = SimCloud(SystemClock())
    cloud.add_host("compute1")
    cloud.add_server("compute1", "vm1", project="service")
    return cloud


@pytest.fixture
def server(cloud: SimCloud) -> Iterator[SimServer]:
    with SimServer(cloud) as server:
        yield server


class Site:
    """A configuration with its database and cloud, in which all is well but the message bus."""

    def __init__(self, directory: pathlib.Path, auth_url: str) -> None:
        self.directory = directory
        self.auth_url = auth_url
        self.options: dict[str, dict[str, str]] = {
            "DEFAULT": {"state_path": str(directory), "transport_url": "fake://"},
            "database": {"connection": f"sqlite:///{directory}/masakari.sqlite"},
            "nova": {"retries": "0", "connect_timeout": "2"},
            "keystone_authtoken": self.who("masakari"),
        }

    def who(self, user: str) -> dict[str, str]:
        return {
            "auth_type": "password",
            "auth_url": self.auth_url,
            "username": user,
            "password": SECRET,
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }

    def set(self, group: str, **options: str) -> None:
        self.options.setdefault(group, {}).update(options)

    def write(self, name: str, options: dict[str, dict[str, str]]) -> str:
        lines = []
        for group, values in options.items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in values.items())]
        path = self.directory / name
        path.write_text("\n".join(lines))
        return str(path)


@pytest.fixture
def site(tmp_path: pathlib.Path, server: SimServer, sqlite_template: pathlib.Path) -> Site:
    (tmp_path / "masakari.sqlite").write_bytes(sqlite_template.read_bytes())
    return Site(tmp_path, server.auth_url)


@pytest.fixture
def check(
    keep_logging: None, site: Site, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Found]]:
    """Runs it: (exit status, {check: (verdict, details)})."""

    def call(*more: str) -> tuple[int, Found]:
        path = site.write("masakari.conf", site.options)
        argv = ["--config-file", path, "check", "--format", "json", *more]
        status = manage.main(argv, cfg.ConfigOpts())
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        assert err == ""
        document = json.loads(out)
        found = {c["check"]: (c["verdict"], c["details"]) for c in document["checks"]}
        words = [verdict for verdict, _ in found.values()]
        assert document["verdicts"] == {w: words.count(w) for w in ("OK", "WARN", "FAIL", "?")}
        assert status == (3 if "FAIL" in words else 0)
        return status, found

    return call


def those(found: Found, verdict: str) -> list[str]:
    return [name for name, (word, _) in found.items() if word == verdict]


def test_all_is_well(check) -> None:
    status, found = check()

    assert status == 0
    assert those(found, "FAIL") == those(found, "WARN") == []
    assert those(found, "?") == [
        "Message bus",
        "Keystone: validate tokens",
        "Nova: lock and unlock servers",
        "Nova: reset the state of servers",
        "Nova: stop and start servers",
    ]
    assert found["Nova: evacuate servers"] == ("OK", "")
    assert found["Nova: endpoint"][1] == "microversion 2.94 is used"
    assert "default policy allows it to our role admin" in found["Nova: lock and unlock servers"][1]


def test_table_names_each_check_and_counts(site: Site, capsys, keep_logging: None) -> None:
    status = manage.main(
        ["--config-file", site.write("masakari.conf", site.options), "check"], cfg.ConfigOpts()
    )

    out = capsys.readouterr().out
    assert status == 0
    assert "│ Nova: evacuate servers " in out
    assert out.endswith(" OK, 5 ?\n")
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_nothing_is_changed(check, site: Site, cloud: SimCloud, server: SimServer) -> None:
    before = (site.directory / "masakari.sqlite").read_bytes()
    site.set("host_failure", add_reserved_host_to_aggregate="true")

    check()

    writes = {kind for kind in server.stats.kinds if " GET " not in kind}
    assert writes == ASKED_BY_DEFAULT | {
        "nova POST /os-aggregates/2147483647/action add_host",
        "nova POST /os-aggregates/2147483647/action remove_host",
    }
    assert cloud.ledger.evacuations == []
    assert (site.directory / "masakari.sqlite").read_bytes() == before
    assert {p.name for p in site.directory.iterdir()} <= {
        *("masakari.sqlite", "masakari.sqlite-wal", "masakari.sqlite-shm", "masakari.conf")
    }


def test_user_without_the_admin_role(check, site: Site) -> None:
    site.set("keystone_authtoken", username="demo")
    site.set("host_failure", add_reserved_host_to_aggregate="true")
    site.set("instance_failure", max_relocations="1")

    status, found = check()

    assert status == 3
    assert those(found, "FAIL") == [
        "Nova: list compute services",
        "Nova: list the servers of all projects",
        "Nova: list evacuations",
        "Nova: list aggregates",
        "Nova: disable and enable compute services",
        "Nova: evacuate servers",
        "Nova: add hosts to aggregates",
        "Nova: remove hosts from aggregates",
    ]
    assert those(found, "WARN") == [
        "Keystone: validate tokens",
        "Nova: lock and unlock servers",
        "Nova: reset the state of servers",
        "Nova: stop and start servers",
        "Nova: migrate servers, confirm and reboot",
    ]
    assert found["Nova: evacuate servers"][1] == (
        "Policy doesn't allow os_compute_api:os-evacuate to be performed (HTTP 403): give the user "
        "the admin role in its project."
    )


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("os-evacuate", "evacuate servers"),
        ("os-services:update", "disable and enable compute services"),
        ("os-migrations:index:all_projects", "list evacuations"),
        ("servers:allow_all_filters", "list the servers of all projects"),
        ("os-instance-actions:list", "list what was done to servers"),
    ],
)
def test_one_rule_of_the_policy_refuses(check, server: SimServer, rule: str, name: str) -> None:
    server.policy.denied.add(f"os_compute_api:{rule}")

    status, found = check()

    assert (status, those(found, "FAIL")) == (3, [f"Nova: {name}"])


def test_rule_that_cannot_be_tried_is_never_called_right(check, server: SimServer) -> None:
    server.policy.denied.add("os_compute_api:os-lock-server:lock")

    assert check()[1]["Nova: lock and unlock servers"][0] == "?"


def test_no_server_to_ask_about(check, site: Site) -> None:
    empty = SimCloud(SystemClock())
    empty.add_host("compute1")
    with SimServer(empty) as server:
        site.set("keystone_authtoken", auth_url=server.auth_url)

        status, found = check()

    assert status == 0
    assert found["Nova: evacuate servers"] == (
        "?",
        "not provable, there is no server to ask about; Nova's default policy allows it to our "
        "role admin.",
    )


def test_server_that_is_deleted_meanwhile_proves_nothing(
    check, site: Site, cloud: SimCloud, server: SimServer
) -> None:
    cloud.add_fault(Fault("server", error=404))
    try:
        status, found = check()
    finally:
        cloud.clear_faults()

    assert status == 0
    assert found["Nova: show servers"][0] == "?"


def test_server_on_a_dead_host_is_not_asked_about(check, site: Site) -> None:
    cloud = SimCloud(SystemClock())
    cloud.add_host("compute1")
    cloud.add_server("compute1", "vm1")
    cloud.set_service_state("compute1", False)
    with SimServer(cloud) as server:
        site.set("keystone_authtoken", auth_url=server.auth_url)

        assert check()[1]["Nova: evacuate servers"][0] == "?"


def test_tokens_of_another_user_prove_that_tokens_are_validated(check, site: Site) -> None:
    site.set("DEFAULT", os_privileged_user_name="admin", os_privileged_user_password=SECRET)

    assert check()[1]["Keystone: validate tokens"] == ("OK", "")


def test_keystone_away(check, site: Site) -> None:
    site.set("keystone_authtoken", auth_url="http://127.0.0.1:1/v3")

    assert those(check()[1], "FAIL") == [
        "Keystone: credentials for Nova",
        "Keystone: validate tokens",
        "Nova: endpoint",
    ]


def test_bus_away(check, site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    site.set("DEFAULT", transport_url=f"rabbit://m:{SECRET}@127.0.0.1:{port}/")

    verdict, details = check()[1]["Message bus"]

    assert verdict == "FAIL"
    assert "Connection refused: look at [DEFAULT] transport_url" in details


def test_transport_of_another_kind_is_a_bad_option(check, site: Site) -> None:
    site.set("DEFAULT", transport_url=f"carrier-pigeon://m:{SECRET}@h/")

    verdict, details = check()[1]["Message bus"]

    assert verdict == "FAIL"
    assert details.startswith("[DEFAULT] transport_url: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_database_that_cannot_be_written(check, site: Site) -> None:
    (site.directory / "masakari.sqlite").chmod(0o400)

    verdict, details = check()[1]["Database: rights"]

    assert verdict == "FAIL"
    assert "readonly database" in details


class Hasty(SystemClock):
    """Nobody sleeps on it."""

    def sleep(self, seconds: float) -> None:
        pass


def test_database_away_is_told_by_all_that_need_it(conf: cfg.ConfigOpts) -> None:
    url = f"mysql+pymysql://m:{SECRET}@127.0.0.1:1/m"
    conf.set_override("connection", url, group="database")

    for check in (stores.database, stores.rights, stores.taskflow, stores.taskflow_rights):
        found = finding_of("", check, conf, Hasty())

        assert str(found.verdict) == "FAIL"
        assert "Connection refused" in found.details
        assert SECRET not in found.details


# ---- monitors


@pytest.fixture
def monitors(site: Site) -> Callable[..., str]:
    """The name of a file that configures a monitor of that user."""

    def write(user: str, **more: str) -> str:
        return site.write("masakarimonitors.conf", {"api": {**site.who(user), **more}})

    return write


def test_monitors_whose_api_does_not_answer(check, monitors) -> None:
    found = check("--monitors-config", monitors("masakari"))[1]

    assert found["Monitors: create notifications"][0] == "FAIL"
    assert found["Monitors: list segments and hosts"][0] == "FAIL"


def test_monitors_configuration_that_cannot_be_read(check, site: Site) -> None:
    path = str(site.directory / "none.conf")

    verdict, details = check("--monitors-config", path)[1]["Monitors: configuration"]

    assert verdict == "FAIL"
    assert path in details
