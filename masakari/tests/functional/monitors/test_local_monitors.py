"""The programs of a compute host: health, metrics and reload of each as a process of its own."""

import signal

import pytest

from masakari.tests.functional.engine.test_health import ask, scrape
from masakari.tests.functional.program import Program, free_port, wait

pytestmark = pytest.mark.functional

PROGRAMS = ("instancemonitor", "introspectiveinstancemonitor", "processmonitor")
OF_LIBVIRT = PROGRAMS[:2]
ROUNDS = ("masakari_monitor_rounds_total", ("ok",))
LIST = "- {process_name: libvirtd, unit: libvirtd}\n"
CONFIG = """\
[DEFAULT]
state_path = {directory}
hostname = compute1
[api]
auth_type = none
endpoint_override = http://127.0.0.1:{nobody}
[libvirt]
connection_uri = "{uri}"
reconcile_interval = 1
[process]
process_list_path = {directory}/process_list.yaml
check_interval = 3600
[health]
"""


@pytest.fixture
def programs(tmp_path, libvirtd):
    """{name: (program, the port of its health)} of what runs."""
    ports = {name: free_port() for name in PROGRAMS}
    values = {"directory": tmp_path, "uri": libvirtd.uri, "nobody": free_port()}
    config = tmp_path / "masakarimonitors.conf"
    health = "".join(f"{name}_port = {port}\n" for name, port in ports.items())
    config.write_text(CONFIG.format(**values) + health)
    (tmp_path / "process_list.yaml").write_text(LIST)
    found = {
        name: (Program(f"masakari-{name}", config, tmp_path / f"{name}.log"), port)
        for name, port in ports.items()
    }
    try:
        for program, _ in found.values():
            program.start()
        yield found
    finally:
        for program, _ in found.values():
            program.stop()


def wait_until(programs, names, status):
    for name in names:
        port = programs[name][1]
        wait(f"{name}: {status}", lambda port=port: ask(port, "/healthz/ready")[0] == status, 60)


def test_programs_say_how_they_are_and_read_their_list_again(programs, libvirtd, tmp_path):
    wait_until(programs, PROGRAMS, 200)
    for name, (_, port) in programs.items():
        assert ask(port, "/healthz/live")[0] == 200, name
        wait(f"{name}: rounds", lambda port=port: scrape(port).get(ROUNDS, 0) >= 1, 60)

    libvirtd.kill_daemon()
    wait_until(programs, OF_LIBVIRT, 503)
    wait_until(programs, ["processmonitor"], 200)
    for name, (_, port) in programs.items():
        assert ask(port, "/healthz/live")[0] == 200, name
    libvirtd.start_daemon()
    wait_until(programs, OF_LIBVIRT, 200)

    (tmp_path / "process_list.yaml").write_text(LIST + LIST.replace("libvirtd", "another"))
    program = programs["processmonitor"][0]
    program.signal(signal.SIGHUP)
    program.wait_until_said("has changed: 2 processes are watched")

    for name, (program, _) in programs.items():
        program.stop()
        assert program.returncode == 0, name
