"""The driver coordination: hosts that are members of a group, on real backends."""

import signal
import subprocess
import sys
import uuid

import pytest

from masakari.clock import SystemClock, wait_until
from masakari.monitors import core
from masakari.monitors.hosts.coordination import CoordinationProbe
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.monitors.judge import State
from masakari.tests import servers
from masakari.tests.functional.engine.test_health import ask
from masakari.tests.functional.program import LOGS, free_port
from masakari.tests.unit.monitors.drivers import Watched, configured, seen

pytestmark = pytest.mark.functional
CLOCK = SystemClock()
URLS = {
    "etcd": "etcd3+http://127.0.0.1:{port}?timeout=5&membership_timeout=2",
    "redis": f"redis://:{servers.PASSWORD}@127.0.0.1:{{port}}?timeout=5&membership_timeout=2",
    "zookeeper": "zookeeper://127.0.0.1:{port}?timeout=2",
}
BOTH = {"compute1": State.ONLINE, "compute2": State.ONLINE}


class Hosts:
    """A second opinion: hosts in `silent` do not answer."""

    def __init__(self):
        self.silent = set()

    def ask(self, hosts):
        return {h: Opinion(Sign.SILENT if h in self.silent else Sign.ALIVE, "") for h in hosts}


@pytest.fixture(params=[*URLS])
def kind(request):
    return request.param


@pytest.fixture
def gate(server, kind):
    with servers.Gate(server(kind).port) as made:
        yield made


@pytest.fixture
def options(gate, kind):
    return {
        "backend_url": URLS[kind].format(port=gate.port),
        "group": f"hosts-{uuid.uuid4()}",
    }


@pytest.fixture
def health_ports():
    """{host: port of the heartbeat's health}"""
    return {name: free_port() for name in BOTH}


@pytest.fixture
def heartbeats(options, tmp_path, health_ports):
    """{host: the process that says that it lives}"""
    made = {}
    for name in BOTH:
        text = f"[DEFAULT]\nhostname = {name}\n[heartbeat]\ninterval = 0.3\n"
        text += "".join(f"{option} = {value}\n" for option, value in options.items())
        text += f"[health]\nheartbeat_port = {health_ports[name]}\n"
        (tmp_path / name).write_text(text)
        program = "import sys\nfrom masakari.cmd.heartbeat import main\nsys.exit(main())"
        LOGS.add(tmp_path / f"{name}.log")
        log = (tmp_path / f"{name}.log").open("w")
        argv = [sys.executable, "-c", program, "--config-file", str(tmp_path / name)]
        made[name] = subprocess.Popen(argv, stdout=log, stderr=log)
        log.close()
    yield made
    for process in made.values():
        process.kill()
        process.wait(10)


def becomes(probe, expected):
    def is_so():
        try:
            return {h: state for h, (state, _) in seen(probe).items()} == expected
        except core.Blind:
            return False

    assert wait_until(CLOCK, is_so, 40, 0.2), seen(probe)


def blind(probe, reason):
    try:
        probe.look()
    except core.Blind as error:
        return reason in str(error)
    return False


def test_member_that_is_killed_is_no_member_any_more(
    gate, options, heartbeats, tmp_path, health_ports
):
    hosts = Hosts()
    probe = CoordinationProbe.from_conf(
        configured("heartbeat", **options), Watched(*BOTH), CLOCK, second_opinion=hosts
    )
    becomes(probe, BOTH)

    heartbeats["compute1"].kill()
    becomes(probe, BOTH | {"compute1": State.DOUBTFUL})
    hosts.silent = {"compute1"}
    becomes(probe, BOTH | {"compute1": State.OFFLINE})

    def is_ready(status):
        return ask(health_ports["compute2"], "/healthz/ready")[0] == status

    assert wait_until(CLOCK, lambda: is_ready(200), 40, 0.2)
    gate.shut()
    assert wait_until(CLOCK, lambda: blind(probe, "backend does not answer: "), 40, 0.2)
    assert wait_until(CLOCK, lambda: is_ready(503), 40, 0.2)
    gate.open()
    becomes(probe, BOTH | {"compute1": State.OFFLINE})

    heartbeats["compute2"].send_signal(signal.SIGTERM)
    assert heartbeats["compute2"].wait(30) == 0
    # its goodbye may have been lost with the gate: then the membership runs out by itself
    assert wait_until(CLOCK, lambda: blind(probe, "not one of 2 hosts is a member"), 40, 0.2)
    said = (tmp_path / "compute2.log").read_text()
    assert "heartbeats reach the backend" in said
    assert servers.PASSWORD not in said
