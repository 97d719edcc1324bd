"""The driver consul against agents of ours that speak HTTP; none is in Debian or on PyPI."""

import contextlib
import http.server
import json
import socket
import threading

import pytest

from masakari import errors
from masakari.monitors import core
from masakari.monitors.hosts import consul
from masakari.monitors.judge import State
from masakari.monitors.matrix import Signal
from masakari.sim.clock import SimClock
from masakari.tests.unit.monitors.drivers import Watched, configured, seen

HOSTS = ("compute1", "compute2", "compute3")
ALIVE, LEAVING, LEFT, FAILED = 1, 2, 3, 4


class Agent:
    """What one agent says."""

    def __init__(self):
        self.members = dict.fromkeys(HOSTS, ALIVE)
        self.leader = "10.0.0.1:8300"
        self.says = None
        """Instead of its members: (status, body)."""

    def answer(self, path):
        if path == "/v1/status/leader":
            return 200, json.dumps(self.leader).encode()
        if path != "/v1/agent/members":
            return 404, b""
        if self.says is not None:
            return self.says
        members = [{"Name": name, "Status": status} for name, status in self.members.items()]
        return 200, json.dumps(members).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = self.server.agent.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(agent):
    """Its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.agent = agent
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


@pytest.fixture
def clusters():
    """{network: its agent}, and the options that name them."""
    agents = {network: Agent() for network in consul.NETWORKS}
    with contextlib.ExitStack() as stack:
        options = {
            f"agent_{network}": stack.enter_context(serving(agent))
            for network, agent in agents.items()
        }
        yield agents, options


def probe(clock, *hosts, **options):
    return consul.ConsulProbe.from_conf(
        configured("consul", **options), Watched(*(hosts or HOSTS)), clock
    )


def states(probe_):
    return {host: state for host, (state, _) in seen(probe_).items()}


@pytest.mark.parametrize(
    ("failed", "state"),
    [
        ((), State.ONLINE),
        (("manage",), State.DOUBTFUL),
        (("tenant",), State.DOUBTFUL),
        (("manage", "tenant"), State.DOUBTFUL),
        (("storage",), State.OFFLINE),
        (("manage", "storage"), State.OFFLINE),
        (("tenant", "storage"), State.OFFLINE),
        (("manage", "tenant", "storage"), State.OFFLINE),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)
def test_look_without_a_file_the_storage_network_decides(clusters, clock, failed, state):
    agents, options = clusters
    for network in failed:
        agents[network].members["compute1"] = FAILED

    found = seen(probe(clock, **options))

    assert found["compute1"][0] is state
    for network in consul.NETWORKS:
        word = "down" if network in failed else "up"
        assert f"{network} {word}" in found["compute1"][1]
    assert {found["compute2"][0], found["compute3"][0]} == {State.ONLINE}


@pytest.mark.parametrize("status", [LEAVING, LEFT, 0, None, "alive"])
def test_look_who_did_not_fail_is_unknown(clusters, clock, status):
    agents, options = clusters
    for agent in agents.values():
        agent.members["compute1"] = status

    assert states(probe(clock, **options))["compute1"] is State.UNKNOWN


def test_look_who_is_no_member_is_unknown(clusters, clock):
    agents, options = clusters
    for agent in agents.values():
        del agent.members["compute1"]

    assert states(probe(clock, **options))["compute1"] is State.UNKNOWN


def test_look_missing_from_one_cluster_shifts_nobody(clusters, clock):
    agents, options = clusters
    del agents["manage"].members["compute1"]
    agents["tenant"].members["compute1"] = FAILED

    found = seen(probe(clock, **options))["compute1"]

    assert found == (State.DOUBTFUL, "in Consul: manage unknown, tenant down, storage up")


@pytest.mark.parametrize(
    "says",
    [(500, b"no"), (403, b"Permission denied"), (200, b"[{"), (200, b"{}"), (200, b'["x"]')],
    ids=repr,
)
def test_look_an_agent_that_does_not_say_makes_nobody_dead(clusters, clock, says):
    agents, options = clusters
    agents["storage"].says = says
    for agent in agents.values():
        agent.members["compute1"] = FAILED

    state, detail = seen(probe(clock, **options))["compute1"]

    assert state is State.DOUBTFUL
    assert "manage down, tenant down, storage unknown (" in detail


def test_look_a_cluster_without_leader_says_nothing(clusters, clock):
    agents, options = clusters
    agents["storage"].leader = ""
    agents["storage"].members = {"compute1": FAILED, "compute2": FAILED, "compute3": ALIVE}

    state, detail = seen(probe(clock, **options))["compute1"]

    assert state is State.ONLINE
    assert "storage unknown (Consul's agent does not say: its cluster has no leader)" in detail


def test_look_a_network_without_anybody_accuses_nobody(clusters, clock):
    agents, options = clusters
    agents["storage"].members = dict.fromkeys(HOSTS, FAILED)

    assert set(states(probe(clock, **options)).values()) == {State.ONLINE}


def test_look_no_agent_that_can_tell_is_blind(clusters, clock):
    agents, options = clusters
    agents["manage"].says = (500, b"")
    agents["tenant"].leader = ""
    agents["storage"].members = {}

    with pytest.raises(core.Blind) as caught:
        probe(clock, **options).look()

    assert str(caught.value) == (
        "manage: Consul's agent does not say: it answers 500 to /v1/agent/members; "
        "tenant: Consul's agent does not say: its cluster has no leader; "
        "storage: not one watched host is up there"
    )


def test_look_agent_away_is_blind(clock):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(core.Blind, match="does not say: Connection refused"):
        probe(clock, agent_manage=f"127.0.0.1:{port}").look()


def test_look_names_differ_in_case_and_domain(clusters, clock):
    agents, options = clusters
    agents["manage"].members = {"COMPUTE1.example.com": FAILED, "compute2.example.com": ALIVE}
    options = {"agent_manage": options["agent_manage"]}

    assert states(probe(clock, "compute1", "compute2.example.com", **options)) == {
        "compute1": State.OFFLINE,
        "compute2.example.com": State.ONLINE,
    }


def test_of_hosts_two_members_of_a_name_are_nobody():
    members = {"compute1.a": Signal.DOWN, "compute1.b": Signal.UP}

    assert consul.of_hosts(members, ["compute1"]) == {"compute1": Signal.UNKNOWN}


def test_look_two_agents_must_agree(clusters, clock):
    agents, options = clusters
    del options["agent_storage"]
    agents["manage"].members["compute1"] = FAILED
    agents["manage"].members["compute2"] = agents["tenant"].members["compute2"] = FAILED

    assert states(probe(clock, **options)) == {
        "compute1": State.DOUBTFUL,
        "compute2": State.OFFLINE,
        "compute3": State.ONLINE,
    }


def test_look_with_a_file_its_matrix_decides(clusters, clock, tmp_path):
    agents, options = clusters
    file = tmp_path / "matrix.yaml"
    file.write_text(
        "sequence: [tenant, manage]\nmatrix:\n"
        "  - {health: [up, up], action: []}\n  - {health: [up, down], action: []}\n"
        "  - {health: [down, up], action: [recovery]}\n"
        "  - {health: [down, down], action: [recovery]}\n"
    )
    agents["tenant"].members["compute1"] = FAILED
    agents["storage"].members["compute2"] = FAILED

    found = states(probe(clock, matrix_config_file=str(file), **options))

    assert found == {
        "compute1": State.OFFLINE,
        "compute2": State.ONLINE,
        "compute3": State.ONLINE,
    }


def test_from_conf_file_names_an_agent_that_is_not_configured(clock, tmp_path):
    file = tmp_path / "matrix.yaml"
    file.write_text("sequence: [storage]\nmatrix: []\n")

    with pytest.raises(errors.ConfigInvalid, match="no signal 'storage'; there is: manage"):
        probe(clock, agent_manage="consul1", matrix_config_file=str(file))


def test_from_conf_without_agents_raises(clock):
    with pytest.raises(errors.ConfigInvalid, match=r"^\[consul\] agent_manage: no agent"):
        probe(clock)


@pytest.mark.parametrize(
    "address", ["a:b", "a:0", "a:65536", ":8500", "http://a", "fd00::1", "[fd00::1]:x"]
)
def test_from_conf_bad_address_names_the_option(clock, address):
    with pytest.raises(errors.ConfigInvalid, match=r"^\[consul\] agent_tenant: "):
        probe(clock, agent_tenant=address)


@pytest.mark.parametrize("address", ["consul1", "consul1:8501", "10.0.0.1", "[fd00::1]:8500"])
def test_from_conf_takes_addresses(clock, address):
    probe(clock, agent_tenant=address)
