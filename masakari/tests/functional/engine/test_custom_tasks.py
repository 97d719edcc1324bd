"""Tasks of a third party, built and installed as an operator does, in a real masakari-engine."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from masakari import tests
from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait

pytestmark = pytest.mark.functional

PROJECT = pathlib.Path(tests.__file__).parent / "example_tasks"
BIN = pathlib.Path(sys.executable).parent

CONFIG = (
    AUTHTOKEN
    + """\
[DEFAULT]
transport_url = fake://
auth_strategy = noauth2
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 1
state_path = {directory}
wait_period_after_service_update = 20
[engine]
sweep_interval = 0.2
[instance_failure]
process_all_instances = true
"""
)
CUSTOM = """\
[taskflow_driver_recovery_flows]
{option} = {flow}
[acme]
most_vms = {most_vms}
"""
SETTINGS = Settings(evacuation_s=0.5, report_interval_s=0.5, service_down_time_s=2)
VM_FAILED = {"event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A directory in which the example project is installed."""
    project = tmp_path_factory.mktemp("acme") / "project"  # the build leaves files in it
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    target = project.parent / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, project], check=True)
    return target


class Engine(Program):
    """masakari-engine with a second configuration file."""

    def __init__(self, config, custom, log):
        super().__init__("masakari-engine", config, log)
        self.command = self._command = [*self._command, "--config-file", custom]


class Deployment:
    """An API and an engine on one SQLite file; `cloud` is what really happens."""

    def __init__(self, directory):
        self.cloud = SimCloud(SystemClock(), SETTINGS)
        for n in (1, 2, 3):
            self.cloud.add_host(f"compute{n}")
        for n in (1, 2):
            self.cloud.add_server("compute1", f"vm{n}")
        self._nova = SimServer(self.cloud)
        port = free_port()
        self.api = Api(f"http://127.0.0.1:{port}/v1")
        self._config = directory / "masakari.conf"
        self._config.write_text(
            CONFIG.format(port=port, directory=directory, keystone=self._nova.auth_url)
        )
        self._custom = directory / "masakari-custom-recovery-methods.conf"
        self._server = Program("masakari-api", self._config, directory / "api.log")
        self.engine = Engine(self._config, self._custom, directory / "engine.log")

    def __enter__(self):
        self._nova.start()
        return self

    def __exit__(self, *_):
        for program in (self.engine, self._server):
            program.stop()
        self._nova.stop()

    def configure(self, flow, option="host_auto_failure_recovery_tasks", most_vms=500):
        self._custom.write_text(CUSTOM.format(option=option, flow=flow, most_vms=most_vms))

    def start(self):
        manage = [BIN / "masakari-manage", "--config-file", self._config]
        subprocess.run([*manage, "db", "sync"], check=True)
        self._server.start()
        self.engine.start()
        wait("the API answers", lambda: self.api.call("GET", "/segments")[0] == 200, 90)

    def register(self, method="auto", reserved=()):
        segment = {"name": "rack1", "recovery_method": method, "service_type": "compute"}
        uuid = self.create("/segments", "segment", segment)["uuid"]
        for name in ("compute1", *reserved):
            host = {"name": name, "type": "COMPUTE", "control_attributes": "SSH"}
            host["reserved"] = name in reserved
            self.create(f"/segments/{uuid}/hosts", "host", host)

    def create(self, path, kind, body):
        status, answer = self.api.call("POST", path, {kind: body})
        assert status in (201, 202), answer
        return answer[kind]

    def report(self, type_, payload):
        """The notification as soon as nothing more is tried, for now."""
        body = {
            "type": type_,
            "hostname": "compute1",
            "generated_time": SystemClock().now().isoformat(),
            "payload": payload,
        }
        return self.end(self.create("/notifications", "notification", body)["notification_uuid"])

    def host_dies(self):
        self.cloud.power_off("compute1")
        return self.end(self.api.report("compute1"))

    def end(self, uuid):
        def notification():
            return self.api.call("GET", f"/notifications/{uuid}")[1]["notification"]

        wait("it ends", lambda: notification()["status"] not in ("new", "running"), 90)
        return notification()


@pytest.fixture
def deployment(tmp_path, site, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(site))
    with Deployment(tmp_path) as deployment:
        yield deployment


def shown(notification):
    """[(name, state, progress, messages)] of the steps."""
    return [
        (d["name"], d["state"], d["progress"], [p["message"] for p in d["progress_details"]])
        for d in notification["recovery_workflow_details"]
    ]


def test_tasks_of_a_third_party_run_among_ours_and_show_what_they_do(deployment):
    deployment.configure(
        """
        pre:['acme_tell_host_task','disable_compute_service_task'],
        main:['acme_limit_task','prepare_HA_enabled_instances_task'],
        post:['evacuate_instances_task']"""
    )
    deployment.start()
    deployment.register()

    n = deployment.host_dies()

    assert n["status"] == "finished", n["message"]
    steps = shown(n)
    assert [(name, state, progress) for name, state, progress, _ in steps] == [
        ("TellHostTask", "SUCCESS", 1.0),
        ("DisableComputeServiceTask", "SUCCESS", 1.0),
        ("LimitTask", "SUCCESS", 1.0),
        ("PrepareHAEnabledInstancesTask", "SUCCESS", 1.0),
        ("EvacuateInstancesTask", "SUCCESS", 1.0),
    ]
    request = n["recovery_workflow_details"][0]["progress_details"][0]["request_id"]
    assert request.startswith("req-")
    assert steps[0][3] == [
        "Counting the VMs of host compute1.",
        f"Host compute1 has failed with 2 VMs: notification {n['notification_uuid']}, "
        f"request {request}.",
    ]
    assert steps[2][3] == ["2 VMs are few enough."]
    assert "compute1" not in {
        host for hosts in deployment.cloud.running().values() for host in hosts
    }


def test_task_that_raises_ends_the_try_with_its_sentence_and_nothing_is_moved(deployment):
    deployment.configure(
        "pre:['acme_tell_host_task','acme_limit_task','disable_compute_service_task'],"
        "main:['prepare_HA_enabled_instances_task'],post:['evacuate_instances_task']",
        most_vms=1,
    )
    deployment.start()
    deployment.register()

    n = deployment.host_dies()

    assert n["status"] == "error"
    assert ": Host compute1 has 2 VMs, ACME allows 1. Next: try 2 of 5" in n["message"]
    (_, told, *_), (_, refused, *_, messages) = shown(n)
    assert (told, refused) == ("SUCCESS", "FAILURE")
    assert messages[-1].endswith("Host compute1 has 2 VMs, ACME allows 1.")
    assert deployment.cloud.ledger.evacuations == []


def test_task_of_the_reserved_hosts_flow_knows_which_one_it_is(deployment):
    deployment.configure(
        "pre:['disable_compute_service_task'],"
        "main:['prepare_HA_enabled_instances_task','acme_tell_reserved_host_task',"
        "'evacuate_instances_task'],post:['acme_tell_host_task']",
        option="host_rh_failure_recovery_tasks",
    )
    deployment.start()
    deployment.register("reserved_host", ["compute3"])

    n = deployment.host_dies()

    assert n["status"] == "finished", n["message"]
    told = {name: messages for name, _, _, messages in shown(n)}
    assert told["TellReservedHostTask"] == [
        "Reserved host compute3, of compute3, is to take the VMs of host compute1."
    ]
    assert told["TellHostTask"][1].startswith("Host compute1 has failed with 0 VMs")
    assert {tuple(hosts) for hosts in deployment.cloud.running().values()} == {("compute3",)}


OTHERS = {
    "VM": (
        "instance_failure_recovery_tasks",
        "pre:['acme_tell_vm_task','stop_instance_task'],main:['start_instance_task'],"
        "post:['confirm_instance_active_task']",
        VM_FAILED,
        "VM vm1 has failed: {uuid}.",
    ),
    "PROCESS": (
        "process_failure_recovery_tasks",
        "main:['disable_compute_node_task','confirm_compute_node_disabled_task'],"
        "post:['acme_tell_process_task']",
        {"event": "STOPPED", "process_name": "nova-compute"},
        "Process nova-compute on host compute1 has failed: {uuid}.",
    ),
}


@pytest.mark.parametrize("type_", OTHERS)
def test_tasks_of_a_third_party_in_the_flows_of_vms_and_processes(deployment, type_):
    option, flow, payload, message = OTHERS[type_]
    deployment.configure(flow, option)
    deployment.start()
    deployment.register()
    if type_ == "VM":
        payload = {**payload, "instance_uuid": deployment.cloud.vm("vm1").id}
        deployment.cloud.crash("vm1")

    n = deployment.report(type_, payload)

    assert n["status"] == "finished", n["message"]
    assert message.format(uuid=n["notification_uuid"]) in [
        message for *_, messages in shown(n) for message in messages
    ]


BROKEN = {
    "its library is missing": (
        "pre:['acme_pager_task'],main:['no_op'],post:[]",
        "task 'acme_pager_task' (acme_ha.pager:PagerTask) cannot be loaded: "
        "ModuleNotFoundError: No module named 'acme_pager'",
    ),
    "nobody has it": (
        "main:['acme_tell_hosts_task']",
        "no installed package has a task 'acme_tell_hosts_task'",
    ),
}


@pytest.mark.parametrize(("flow", "problem"), BROKEN.values(), ids=BROKEN)
def test_task_that_cannot_be_loaded_stops_the_start_and_is_named(deployment, flow, problem):
    deployment.configure(flow)

    done = subprocess.run(
        deployment.engine.command, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 78
    assert done.stderr.strip().splitlines()[-1] == (
        "masakari-engine: [taskflow_driver_recovery_flows] host_auto_failure_recovery_tasks: "
        + problem
    )
    assert "Traceback" not in done.stderr
