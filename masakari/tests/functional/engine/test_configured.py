"""The engine and the files that it reads besides its configuration."""

import pathlib
import signal
import subprocess
import sys

import pytest

from masakari.tests.functional.program import Program, free_port, wait

pytestmark = pytest.mark.functional

CONFIG = """\
[DEFAULT]
transport_url = fake://
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
state_path = {directory}/state
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
[engine]
exclusions_file = {directory}/exclusions.yaml
{more}
"""


@pytest.fixture
def exclusions(tmp_path):
    path = tmp_path / "exclusions.yaml"
    path.write_text("hosts: [compute1]\n")
    return path


@pytest.fixture
def make(tmp_path, exclusions):
    """The program of that name, with *more* options."""
    programs = []

    def call(name, more=""):
        config = tmp_path / "masakari.conf"
        config.write_text(CONFIG.format(port=free_port(), directory=tmp_path, more=more))
        program = Program(name, config, tmp_path / "log")
        programs.append(program)
        return program

    yield call
    for program in programs:
        program.kill()


NAMES = ["masakari-engine", "masakari-standalone"]


@pytest.mark.parametrize("name", NAMES)
def test_sighup_reads_the_exclusions_again_and_junk_changes_nothing(make, exclusions, name):
    program = make(name)
    manage = pathlib.Path(sys.executable).parent / "masakari-manage"
    config = exclusions.parent / "masakari.conf"
    subprocess.run([manage, "--config-file", config, "db", "sync"], check=True)
    program.start().wait_until_said("listening on the message bus")

    exclusions.write_text("hosts: [compute1]\nnames: [12]\n")
    program.signal(signal.SIGHUP)
    program.wait_until_said(
        f"the exclusions stay as they were: {exclusions}, line 2: names: 12 is not text"
    )
    exclusions.write_text("hosts: [compute1, compute2]\n")
    program.signal(signal.SIGHUP)
    program.wait_until_said(f"{exclusions}: 2 exclusions are in force")

    program.stop()
    assert program.returncode == 0
    assert not program.said("Traceback")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "case",
    [
        ("hosts: 1", "", "[engine] exclusions_file: {file}, line 1: hosts: 1 is not a list"),
        (
            "",
            "[taskflow_driver_recovery_flows]\n"
            "instance_failure_recovery_tasks = main:['no_such_task']",
            "[taskflow_driver_recovery_flows] instance_failure_recovery_tasks: ",
        ),
        (
            "",
            "[coordination]\nbackend_url = etcd:hunter2@nowhere",
            "[coordination] backend_url: it begins with none of ",
        ),
    ],
    ids=["exclusions", "flows", "locks"],
)
def test_what_cannot_be_used_ends_the_start_and_leaves_nothing_behind(make, exclusions, name, case):
    text, more, sentence = case
    exclusions.write_text(text)
    program = make(name, more).start()

    wait("it has ended", lambda: program.returncode is not None, 30)

    assert program.returncode == 78
    assert program.said(f"{name}: {sentence.format(file=exclusions)}")
    assert not program.said("hunter2")
    assert not program.said("Traceback")
    assert not (exclusions.parent / "state").exists()


def test_engine_says_once_that_the_kind_of_storage_is_not_set(make):
    warning = "[host_failure] ephemeral_storage is not set"
    program = make("masakari-standalone").start()
    program.wait_until_said("listening on the message bus")
    assert program.log.read_text().count(warning) == 1
    program.stop()

    program.log.unlink()
    program = make("masakari-standalone", "[host_failure]\nephemeral_storage = shared").start()
    program.wait_until_said("listening on the message bus")
    assert not program.said(warning)
