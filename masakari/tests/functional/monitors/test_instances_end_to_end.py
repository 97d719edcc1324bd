"""From the death of a QEMU process to what Nova is asked: real libvirt, our real programs.

Nova is simulated; where it starts a VM the test starts the guest.
"""

import collections
import signal

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait

pytestmark = pytest.mark.functional

CONFIG = (
    AUTHTOKEN
    + """\
[DEFAULT]
auth_strategy = noauth2
masakari_api_listen_port = {port}
state_path = {directory}
hostname = compute1
[api]
auth_url = {keystone}
auth_type = password
username = masakari
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
endpoint_override = http://127.0.0.1:{port}
[instance_failure]
process_all_instances = true
max_restarts = 1
max_relocations = 1
[libvirt]
connection_uri = "{uri}"
[callback]
retry_interval = 0.5
"""
)


@pytest.fixture
def cloud():
    cloud = SimCloud(SystemClock(), Settings())
    for n in (1, 2):
        cloud.add_host(f"compute{n}")
    with SimServer(cloud) as server:
        cloud.auth_url = server.auth_url
        yield cloud


@pytest.fixture
def programs(tmp_path, libvirtd, cloud):
    """{name: program} of what runs, and the API."""
    port = free_port()
    config = tmp_path / "masakari.conf"
    values = {"port": port, "directory": tmp_path, "keystone": cloud.auth_url, "uri": libvirtd.uri}
    config.write_text(CONFIG.format(**values))
    api = Api(f"http://127.0.0.1:{port}/v1")
    found = {
        name: Program(f"masakari-{name}", config, tmp_path / f"{name}.log")
        for name in ("standalone", "instancemonitor")
    }
    try:
        found["standalone"].start()
        wait("the API answers", lambda: api.call("GET", "/segments")[0] == 200, 90)
        api.register(["compute1", "compute2"])
        yield api, found
    finally:
        for program in found.values():
            program.stop()


def test_vms_are_restarted_then_relocated_then_left_in_error(libvirtd, cloud, guest, programs):
    api, running = programs
    vm, *others = [cloud.add_server("compute1", f"web{n}") for n in range(1, 7)]
    monitor = running["instancemonitor"]
    domain, *_ = [guest(uuid=each) for each in (vm, *others)]
    monitor.start().wait_until_said("all domains are compared with what was known")

    def die(number, *together):
        for each in (vm, *together):
            libvirtd.qemu(each).send_signal(signal.SIGKILL)
            cloud.crash(each)
        for each in (vm, *together):
            wait("it is reported", lambda each=each: len(ended(api, each)) == number, 60)
            wait("it has ended", lambda each=each: ended(api, each)[-1] != "", 90)
        return ended(api, vm)[-1]

    # all at once: each is recovered, and once
    assert die(1, *others).startswith("finished")
    assert (cloud.server(vm).host, cloud.server(vm).vm_state) == ("compute1", "active")
    runs = collections.Counter(run.server_id for run in cloud.ledger.runs)
    assert runs == dict.fromkeys((vm, *others), 2)
    domain.create()

    assert die(2).startswith("finished")
    assert (cloud.server(vm).host, cloud.server(vm).vm_state) == ("compute2", "active")

    # this host stands for the other one, too
    monitor.stop()
    config = monitor.log.parent / "masakari.conf"
    config.write_text(config.read_text().replace("hostname = compute1", "hostname = compute2"))
    domain.create()
    monitor.start()
    wait("it looks again", lambda: monitor.log.read_text().count("are compared") == 2, 60)
    assert die(3).startswith("failed crash-loop")
    assert cloud.server(vm).vm_state == "error"
    assert "Traceback" not in monitor.log.read_text()
    promises.keep(cloud)
    assert len(api.notifications()) == 3 + len(others)


def ended(api, vm):
    """["status message"] of the VM's notifications, oldest first; empty while it goes on."""
    rows = sorted(api.notifications(), key=lambda row: row["id"])
    return [
        f"{row['status']} {row['message']}"
        if row["status"] in ("finished", "failed", "ignored")
        else ""
        for row in rows
        if row["payload"]["instance_uuid"] == vm
    ]
