"""masakari-manage check asks the real Keystone, Nova, RabbitMQ and MariaDB; nothing is changed."""

import json
import pathlib
import subprocess
import sys

import pytest

from masakari.tests.functional.realcloud import programs

pytestmark = pytest.mark.realcloud

MEMBER, PASSWORD = "masakari-member", "secret-of-member"
UNPROVABLE = {
    "Nova: lock and unlock servers",
    "Nova: reset the state of servers",
    "Nova: stop and start servers",
    "Nova: migrate servers, confirm and reboot",
}
OPTIONS = (
    "[host_failure]",
    "add_reserved_host_to_aggregate = true",
    "[instance_failure]",
    "max_relocations = 1",
)


@pytest.fixture
def options():
    return OPTIONS


@pytest.fixture
def server(bed):
    """A server in the administrator's project."""
    (uuid,) = bed.boot(sorted(bed.hosts)[0], 1)
    return uuid


@pytest.fixture
def check(bed, deployment, tmp_path):
    """Runs the command: (exit status, {check: (verdict, details)})."""

    def run(config):
        tool = pathlib.Path(sys.executable).parent / "masakari-manage"
        monitors = tmp_path / "masakarimonitors.conf"
        command = [tool, "--config-file", config, "check"]
        done = subprocess.run(
            [*command, "--format", "json", "--monitors-config", monitors],
            capture_output=True,
            text=True,
            check=False,
        )
        for secret in (PASSWORD, bed.env["REALCLOUD_SERVICE_PASSWORD"]):
            assert secret not in done.stdout + done.stderr
        assert done.stdout, done.stderr
        table = subprocess.run(command, capture_output=True, text=True, check=False)
        print(table.stdout)  # pytest -s shows it
        found = json.loads(done.stdout)["checks"]
        return done.returncode, {c["check"]: (c["verdict"], c["details"]) for c in found}

    return run


def those(found, verdict):
    return {name: details for name, (word, details) in found.items() if word == verdict}


def test_all_is_well_for_an_administrator(bed, deployment, server, check):
    before = (bed.service(sorted(bed.hosts)[0]), bed.actions(server), bed.migrations(server))
    deployment.engine.wait_until_said("listening on the message bus")

    status, found = check(deployment.config)

    assert (status, those(found, "FAIL")) == (0, {})
    assert found["Nova: evacuate servers"] == ("OK", "")
    assert found["Nova: disable and enable compute services"] == ("OK", "")
    assert found["Nova: add hosts to aggregates"] == ("OK", "")
    assert found["Nova: remove hosts from aggregates"] == ("OK", "")
    assert found["Monitors: create notifications"] == ("OK", "")
    assert found["Message bus"] == ("OK", "")
    assert set(those(found, "?")) == UNPROVABLE | {"Keystone: validate tokens"}
    after = (bed.service(sorted(bed.hosts)[0]), bed.actions(server), bed.migrations(server))
    assert (after[0].status, *after[1:]) == (before[0].status, *before[1:])


def test_member_may_do_none_of_what_can_be_tried(bed, deployment, server, check, tmp_path):
    project = bed.env["OS_PROJECT_NAME"]
    bed.command_line("user", "create", MEMBER, "--password", PASSWORD, "--or-show")
    bed.command_line("role", "add", "member", "--user", MEMBER, "--project", project)
    env = bed.env | {
        "REALCLOUD_SERVICE_USER": MEMBER,
        "REALCLOUD_SERVICE_PASSWORD": PASSWORD,
        "REALCLOUD_SERVICE_PROJECT": project,
    }
    config = tmp_path / "member.conf"
    ours = "\n".join(programs.keystone(bed.env))
    theirs = "\n".join(programs.keystone(env))
    text = pathlib.Path(deployment.config).read_text()
    assert ours in text
    config.write_text(text.replace(ours, theirs))

    status, found = check(config)

    assert status == 3
    assert set(those(found, "FAIL")) == {
        "Nova: list compute services",
        "Nova: list the servers of all projects",
        "Nova: list evacuations",
        "Nova: list aggregates",
        "Nova: disable and enable compute services",
        "Nova: evacuate servers",
        "Nova: add hosts to aggregates",
        "Nova: remove hosts from aggregates",
    }
    assert "os_compute_api:os-evacuate" in found["Nova: evacuate servers"][1]
    assert set(those(found, "WARN")) >= UNPROVABLE
    assert bed.actions(server) == ["create"]
