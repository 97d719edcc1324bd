"""How the programs begin and end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from masakari.tests.functional.program import Program, free_port, wait

pytestmark = pytest.mark.functional

CONFIG = """\
[DEFAULT]
transport_url = fake://
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 2
state_path = {directory}
[api]
endpoint_override = http://127.0.0.1:{port}
[host]
monitoring_driver = nova
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:9/v3
username = masakari
password = secret
project_name = service
default_domain_id = default
"""
SAYS = {
    "masakari-api": "listening on",
    "masakari-engine": "listening on the message bus",
    "masakari-standalone": "listening on the message bus",
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "masakari.conf"
    path.write_text(CONFIG.format(port=free_port(), directory=tmp_path / "state"))
    manage = Path(sys.executable).parent / "masakari-manage"
    subprocess.run([manage, "--config-file", path, "db", "sync"], check=True)
    return path


@pytest.mark.parametrize("name", SAYS)
def test_ctrl_c_ends_like_sigterm(config, tmp_path, name):
    program = Program(name, config, tmp_path / "log").start()
    try:
        program.wait_until_said(SAYS[name])

        program.signal(signal.SIGINT)

        wait("it has ended", lambda: program.returncode is not None, 20)
    finally:
        program.kill()
    assert program.returncode == 0
    assert not program.said("Traceback")


def test_standalone_starts_without_warnings(config, tmp_path):
    program = Program("masakari-standalone", config, tmp_path / "log").start()
    try:
        program.wait_until_said(SAYS["masakari-standalone"])
    finally:
        program.stop()
    assert not program.said("keystonemiddleware")


@pytest.mark.parametrize("name", ["masakari-engine", "masakari-standalone"])
def test_refused_configuration_leaves_nothing_behind(tmp_path, name):
    path = tmp_path / "masakari.conf"
    text = CONFIG.format(port=free_port(), directory=tmp_path / "state")
    path.write_text(text.replace("auth_url = http", "auth_url = ftp"))
    program = Program(name, path, tmp_path / "log").start()

    wait("it has ended", lambda: program.returncode is not None, 30)

    assert program.returncode == 78
    assert program.said(f"{name}: [keystone_authtoken] auth_url: ")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", [*SAYS, "masakari-hostmonitor", "masakari-manage"])
def test_help_says_what_it_is_for(name):
    done = subprocess.run(
        [Path(sys.executable).parent / name, "--help"], capture_output=True, text=True, check=True
    )

    assert len(done.stdout.split("\n\n")[1].split()) > 5
