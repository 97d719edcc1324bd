"""A host with systemd on which our programs are installed, and a simulated cloud beside it."""

import contextlib

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.program import AUTHTOKEN, free_port
from masakari.tests.functional.services import host as host_

CONFIG = (
    """\
[DEFAULT]
transport_url = fake://
auth_strategy = noauth2
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 2
[engine]
sweep_interval = 1
"""
    + AUTHTOKEN
)
MONITOR = """\
[api]
auth_url = {keystone}
username = masakari
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
endpoint_override = http://127.0.0.1:{port}
[host]
monitoring_driver = nova
monitoring_interval = 1
"""


EMPTY = "/var/lib/empty-masakari"
"""A state directory whose database has no rows."""


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """Systemd runs, the programs are installed, nothing is configured."""
    if reason := host_.missing():
        pytest.skip(reason)
    host = host_.Host(tmp_path_factory.mktemp("host"))
    with contextlib.ExitStack() as stack:
        stack.callback(host.remove)
        host.start()
        host.install()
        host.run(
            "runuser", "-u", "masakari", "--", "/opt/masakari/bin/masakari-manage", "db", "sync"
        )
        host.run("cp", "-a", "/var/lib/masakari", EMPTY)
        yield host


@pytest.fixture(scope="session")
def cloud():
    """The URL of a simulated Keystone, whose Nova has three hosts."""
    cloud = SimCloud(SystemClock(), Settings())
    for n in (1, 2, 3):
        cloud.add_host(f"compute{n}")
    server = SimServer(cloud)
    server.start()
    yield server.auth_url
    server.stop()


@pytest.fixture
def host(machine, cloud):
    """As `machine`, with configuration files and an empty database; nothing runs."""
    port = free_port()
    machine.port = port
    values = {"port": port, "keystone": cloud}
    machine.write("/etc/masakari/masakari.conf", CONFIG.format(**values))
    machine.write("/etc/masakarimonitors/masakarimonitors.conf", MONITOR.format(**values))
    machine.run("cp", "-aT", EMPTY, "/var/lib/masakari")
    machine.forget_journal()
    yield machine
    machine.systemctl("stop", "masakari-*")
    machine.run("sh", "-c", "rm -rf /etc/systemd/system/*.service.d /var/lib/masakari/*")
    machine.systemctl("daemon-reload")
    machine.systemctl("reset-failed")
