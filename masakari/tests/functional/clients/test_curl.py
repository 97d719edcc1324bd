"""A monitor that somebody has written with curl and a shell in mind."""

import itertools
import json
import shutil
import subprocess

import pytest

from masakari.clock import SystemClock
from masakari.tests.functional.program import wait

pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(
        shutil.which("curl") is None,
        reason="curl is not installed; as root on Debian, make test installs it",
    ),
]

HOST = {
    # pacemaker
    "default": {"event": "STOPPED", "cluster_status": "OFFLINE", "host_status": "NORMAL"},
    # kubernetes
    "without cluster status": {"event": "STOPPED", "host_status": "NORMAL"},
}


def quoted(text):
    """As a value in curl's configuration."""
    return json.dumps(text)  # curl understands the same escapes


def curl(method, url, headers, body=None):
    """(status, headers, document); nothing secret is an argument of the command."""
    lines = [f"request = {method}", f"url = {quoted(url)}", "include", "silent", "show-error"]
    lines += [f"header = {quoted(f'{name}: {value}')}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"data = {quoted(json.dumps(body))}")
    done = subprocess.run(
        ["curl", "--config", "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    head, _, document = done.stdout.replace("\r\n", "\n").partition("\n\n")
    first, *rest = head.split("\n")
    found = dict(line.lower().split(": ", 1) for line in rest)
    return int(first.split()[1]), found, json.loads(document or "null")


class Monitor:
    """Has a token, knows where the API is, and reports."""

    def __init__(self, auth_url, user="masakari"):
        self._auth = {
            "identity": {
                "methods": ["password"],
                "password": {
                    "user": {"name": user, "domain": {"id": "default"}, "password": "secret"}
                },
            },
            "scope": {"project": {"name": "service", "domain": {"id": "default"}}},
        }
        kind = {"Content-Type": "application/json"}
        status, headers, answer = curl(
            "POST", f"{auth_url}/auth/tokens", kind, {"auth": self._auth}
        )
        assert status == 201
        self.headers = kind | {"X-Auth-Token": headers["x-subject-token"]}
        (service,) = (s for s in answer["token"]["catalog"] if s["type"] == "instance-ha")
        self.url = next(e["url"] for e in service["endpoints"] if e["interface"] == "public")

    def call(self, method, path, body=None, **headers):
        return curl(method, self.url + path, self.headers | headers, body)

    def report(self, type_, host, payload, **more):
        """(status, headers, document) of a report."""
        notification = {
            "type": type_,
            "hostname": host,
            "generated_time": SystemClock().now().isoformat(),  # naive, with microseconds
            "payload": payload,
        }
        return self.call("POST", "/notifications", {"notification": notification | more})

    def settled(self, reported):
        """The notification that was accepted, once it is settled."""
        status, _, answer = reported
        assert status == 202, answer
        uuid = answer["notification"]["notification_uuid"]
        seen = {}

        def is_settled():
            seen.update(self.call("GET", f"/notifications/{uuid}")[2]["notification"])
            return seen["status"] not in ("new", "running")

        wait(f"notification {uuid} is settled", is_settled, 60)
        return seen


@pytest.fixture
def monitor(deployment):
    return Monitor(deployment.auth_url)


@pytest.fixture(scope="module")
def rack(deployment):
    """Adds a host to the cloud and to the segment; its name."""
    admin = deployment.connect()
    segment = admin.create_segment(name="rack", recovery_method="auto", service_type="COMPUTE")
    numbers = itertools.count()

    def add(**more):
        name = f"node{next(numbers)}"
        deployment.cloud.add_host(name)
        admin.create_host(segment.uuid, name=name, type="COMPUTE", control_attributes="ssh", **more)
        return name

    return add


@pytest.fixture
def host(rack):
    """One more host of the cloud, which is registered."""
    return rack()


@pytest.mark.parametrize("payload", HOST.values(), ids=HOST)
def test_dead_host_is_recovered(deployment, host, monitor, payload):
    server = deployment.cloud.add_server(host, f"web-{host}")
    deployment.power_off(host)

    settled = monitor.settled(monitor.report("COMPUTE_HOST", host, payload))

    assert settled["status"] == "finished", settled["message"]
    assert settled["payload"] == payload
    (place,) = deployment.cloud.running()[f"web-{host}"]
    assert place != host
    path = f"/notifications/{settled['notification_uuid']}/vmoves"
    (move,) = monitor.call("GET", path)[2]["vmoves"]
    assert (move["instance_uuid"], move["status"]) == (server, "succeeded")
    assert move["dest_host"] == place


def test_power_that_is_not_known_to_be_off_is_left_alone(deployment, host, monitor):
    unsure = HOST["default"] | {"host_status": "UNKNOWN"}

    settled = monitor.settled(monitor.report("COMPUTE_HOST", host, unsure))

    assert settled["status"] == "ignored"


def test_host_that_has_started_needs_no_recovery(host, monitor):
    started = {"event": "STARTED", "cluster_status": "ONLINE", "host_status": "NORMAL"}

    settled = monitor.settled(monitor.report("COMPUTE_HOST", host, started))

    assert settled["status"] == "finished"


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ({"event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}, "finished"),
        ({"event": "IO_ERROR", "vir_domain_event": "IO_ERROR_REPORT"}, "finished"),
        ({"event": "QEMU_GUEST_AGENT_ERROR", "vir_domain_event": "STOPPED_FAILED"}, "finished"),
        ({"event": "LIFECYCLE", "vir_domain_event": "STOPPED_SHUTDOWN"}, "ignored"),
        ({"event": "REBOOT", "vir_domain_event": "UNKNOWN"}, "ignored"),
    ],
)
def test_vm_that_failed_is_started_where_that_helps(deployment, host, monitor, events, status):
    name = f"web-{host}"
    server = deployment.cloud.add_server(host, name, metadata={"HA_Enabled": "True"})
    deployment.cloud.crash(server)

    settled = monitor.settled(monitor.report("VM", host, {"instance_uuid": server} | events))

    assert settled["status"] == status, settled["message"]
    assert (name in deployment.cloud.running()) is (status == "finished")


def test_process_that_stopped_takes_its_host_out_of_service(deployment, host, monitor):
    payload = {"event": "STOPPED", "process_name": "nova-compute"}

    settled = monitor.settled(monitor.report("PROCESS", host, payload))

    assert settled["status"] == "finished", settled["message"]
    (service,) = deployment.cloud.compute_services(host=host)
    assert service.status == "disabled"


PROCESS = {"event": "STOPPED", "process_name": "libvirtd"}


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T01:02:03.123456",
        "2026-01-01 01:02:03",
        "2026-01-01T01:02:03Z",
        "2026-01-01T02:02:03.5+01:00",
    ],
)
def test_times_of_every_style_are_understood(host, monitor, time):
    status, _, answer = monitor.report("PROCESS", host, PROCESS, generated_time=time)

    assert status == 202, answer
    assert answer["notification"]["generated_time"].startswith("2026-01-01T01:02:03")
    monitor.settled((status, _, answer))


def test_second_report_is_a_duplicate_and_says_so(host, monitor):
    at = {"generated_time": "2026-01-01T00:00:00"}
    first = monitor.report("PROCESS", host, PROCESS, **at)

    status, headers, answer = monitor.report("PROCESS", host, PROCESS, **at)

    assert (status, list(answer)) == (409, ["conflictingRequest"])
    assert headers["x-masakari-reason"] == "duplicate"
    monitor.settled(first)


def test_host_on_maintenance_is_refused_and_says_so(rack, monitor):
    host = rack(on_maintenance=True)

    status, headers, answer = monitor.report("COMPUTE_HOST", host, HOST["default"])

    assert (status, list(answer)) == (409, ["conflictingRequest"])
    assert headers["x-masakari-reason"] == "maintenance"


VM = {"event": "LIFECYCLE", "instance_uuid": "no uuid", "vir_domain_event": "STOPPED_FAILED"}


@pytest.mark.parametrize(
    ("type_", "payload", "names"),
    [
        ("COMPUTE_HOST", {"event": "stopped"}, "notification.payload.event"),
        ("COMPUTE_HOST", {}, "notification.payload.event"),
        ("PROCESS", {"event": "STOPPED"}, "notification.payload.process_name"),
        ("VM", VM, "notification.payload.instance_uuid"),
        ("HOST", HOST["default"], "notification.type"),
    ],
)
def test_report_that_is_no_good_is_refused_by_name(host, monitor, type_, payload, names):
    status, _, answer = monitor.report(type_, host, payload)

    assert (status, list(answer)) == (400, ["badRequest"])
    assert names in answer["badRequest"]["message"]


def test_host_that_nobody_registered_is_refused_by_name(monitor):
    status, headers, answer = monitor.report("COMPUTE_HOST", "elsewhere", HOST["default"])

    assert (status, list(answer)) == (400, ["badRequest"])
    assert "elsewhere" in answer["badRequest"]["message"]
    assert headers["x-masakari-reason"] == "unknown-host"


def test_body_that_is_not_json_is_refused(monitor):
    answered = monitor.call("POST", "/notifications", "text", **{"Content-Type": "text/xml"})

    assert answered[0] == 415
    assert list(answered[2]) == ["badMediaType"]


def test_token_that_keystone_does_not_know_is_refused(monitor):
    status, headers, _ = monitor.call("GET", "/notifications", **{"X-Auth-Token": "stale"})

    assert status == 401
    assert headers["www-authenticate"].startswith("keystone uri=")


def test_user_without_the_role_is_refused(deployment):
    status, _, answer = Monitor(deployment.auth_url, "demo").report(
        "COMPUTE_HOST", "node", HOST["default"]
    )

    assert (status, list(answer)) == (403, ["forbidden"])
