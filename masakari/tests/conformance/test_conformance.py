"""What OpenStack's Masakari answered, asked of our own programs on SQLite and on MariaDB."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.conformance import player, recorded
from masakari.tests.conformance.compare import differences
from masakari.tests.functional.program import Program, free_port, wait

pytestmark = pytest.mark.functional

CONFIG = """\
[DEFAULT]
transport_url = {bus}
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 1
state_path = {directory}
wait_period_after_service_update = 0
process_unfinished_notifications_interval = 3600
[database]
connection = {database}
[keystone_authtoken]
auth_type = password
auth_url = {keystone}
www_authenticate_uri = {root}
username = masakari
password = secret
project_name = service
default_domain_id = default
[host]
monitoring_driver = nova
monitoring_interval = 3600
"""


@contextlib.contextmanager
def deployed(directory, *names, database, bus):
    """The programs run before a simulated cloud; yields (URL of the API, URL of the simulator)."""
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(SimServer(SimCloud(SystemClock(), Settings())))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        config = directory / "masakari.conf"
        config.write_text(
            CONFIG.format(
                bus=bus,
                port=port,
                directory=directory / "state",
                database=database,
                keystone=sim.auth_url,
                root=sim.url,
            )
        )
        manage = Path(sys.executable).parent / "masakari-manage"
        subprocess.run([manage, "--config-file", config, "db", "sync"], check=True)
        for name in names:
            program = Program(name, config, directory / f"{name}.log").start()
            stack.callback(program.stop)
            program.wait_until_said("listening on")
        wait("the API answers", lambda: is_up(url), 60)
        yield url, sim.url


def is_up(url):
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(url, timeout=10).ok
    return False


@pytest.fixture
def on_sqlite(tmp_path):
    with deployed(
        tmp_path,
        "masakari-standalone",
        database=f"sqlite:///{tmp_path}/masakari.sqlite",
        bus="fake://",
    ) as urls:
        yield urls


@pytest.fixture
def on_mariadb(tmp_path, mariadb_url, rabbit_url):
    with deployed(
        tmp_path, "masakari-api", "masakari-engine", database=mariadb_url, bus=rabbit_url
    ) as urls:
        yield urls


@pytest.mark.parametrize("servers", ["on_sqlite", "on_mariadb"])
def test_answers_differ_only_as_documented(request, servers):
    url, sim = request.getfixturevalue(servers)
    was = recorded.answers()

    answers = player.Player(recorded.cases(), url=url, sim=sim).play()
    found = {f"{case}: {asked}": differences(was[case], now) for case, asked, now in answers}

    differing = {case: sorted(lines) for case, lines in found.items() if lines}
    assert differing == {case: sorted(lines) for case, lines in recorded.meant().items()}
    print(f"{len(found) - len(differing)} cases the same, {len(differing)} differ, as documented")
