"""A third party's tasks, installed beside Masakari, take part in a recovery."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from masakari import tests

pytestmark = pytest.mark.realcloud

PROJECT = pathlib.Path(tests.__file__).parent / "example_tasks"
DEAD = "compute-1"
FLOWS = (
    "[taskflow_driver_recovery_flows]",
    "host_auto_failure_recovery_tasks = "
    "pre:['acme_tell_host_task','disable_compute_service_task'],"
    "main:['acme_limit_task','prepare_HA_enabled_instances_task'],"
    "post:['evacuate_instances_task']",
    "instance_failure_recovery_tasks = "
    "pre:['acme_tell_vm_task','stop_instance_task'],"
    "main:['start_instance_task'],post:['confirm_instance_active_task']",
)


@pytest.fixture
def options(tmp_path, monkeypatch):
    """The project is built, installed, and named in the configuration."""
    project, site = tmp_path / "project", tmp_path / "site"
    shutil.copytree(PROJECT, project)  # the build leaves files in it
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", site]
    subprocess.run([sys.executable, "-m", "pip", "install", *how, project], check=True)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    return FLOWS


def test_task_is_told_of_a_dead_host(bed, deployment, ha):
    ids = bed.boot(DEAD, 3)
    ha.register()

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert [(name, state, progress) for name, state, progress, _ in ha.steps(uuid)] == [
        ("TellHostTask", "SUCCESS", 1.0),
        ("DisableComputeServiceTask", "SUCCESS", 1.0),
        ("LimitTask", "SUCCESS", 1.0),
        ("PrepareHAEnabledInstancesTask", "SUCCESS", 1.0),
        ("EvacuateInstancesTask", "SUCCESS", 1.0),
    ]
    assert f"Host {DEAD} has failed with 3 VMs: notification {uuid}" in ha.steps(uuid)[0][3][-1]
    assert {(status, host == DEAD) for status, host in bed.where(ids)} == {("ACTIVE", False)}


def test_task_is_told_of_a_failed_vm(bed, deployment, ha):
    [victim] = bed.boot(DEAD, 1)
    ha.register()
    bed.crash(victim)

    uuid = ha.report_vm(victim)
    ha.wait_until_settled(uuid)

    name, state, progress, messages = ha.steps(uuid)[0]
    assert (name, state, progress) == ("TellVmTask", "SUCCESS", 1.0)
    assert messages == [f"VM {bed.server(victim).name} has failed: {uuid}."]
    assert bed.server(victim).status == "ACTIVE"
