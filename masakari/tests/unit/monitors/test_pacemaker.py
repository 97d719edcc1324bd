"""The driver of Pacemaker's cluster: what it makes of what the cluster says."""

import pathlib
import xml.etree.ElementTree as ET

import pytest

import masakari.tests
from masakari.monitors import core
from masakari.monitors.hosts import pacemaker
from masakari.monitors.hosts.pacemaker import PacemakerProbe, ask_cluster, fencing_controllers
from masakari.monitors.judge import State
from masakari.sim.clock import SimClock
from masakari.states import HostProof

ATTRIBUTES = {
    "online": "true",
    "standby": "false",
    "pending": "false",
    "unclean": "false",
    "expected_up": "true",
    "type": "member",
}
OFFLINE = {"online": "false"}
STOPPED = {"online": "false", "expected_up": "false"}
RESOURCES = """
<resources>
  <group id="g"><primitive id="a" class="stonith" type="external/ipmi"><instance_attributes id="i">
    <nvpair id="1" name="hostname" value="n2"/><nvpair id="2" name="userid" value="admin"/>
    <nvpair id="3" name="passwd" value="secret"/><nvpair id="4" name="ipaddr" value="10.0.0.2"/>
  </instance_attributes></primitive></group>
  <primitive id="b" class="stonith" type="fence_ipmilan"><instance_attributes id="j">
    <nvpair id="5" name="pcmk_host_list" value="n3 n4"/><nvpair id="6" name="username" value="u"/>
    <nvpair id="7" name="password" value="secret"/><nvpair id="8" name="ip" value="10.0.0.3"/>
    <nvpair id="9" name="ipport" value="6230"/><nvpair id="10" name="cipher" value="3"/>
  </instance_attributes></primitive>
  <primitive id="c" class="ocf" type="Dummy"/>
</resources>"""


def answer(nodes, fenced=(), *, quorum="true", action="off"):
    root = ET.Element("pacemaker-result")
    ET.SubElement(ET.SubElement(root, "summary"), "current_dc", with_quorum=quorum)
    listed = ET.SubElement(root, "nodes")
    for name, attributes in nodes.items():
        ET.SubElement(listed, "node", {**ATTRIBUTES, **attributes, "name": name})
    history = ET.SubElement(root, "fence_history")
    for target, completed, status in fenced:
        event = {"target": target, "completed": completed, "status": status, "action": action}
        ET.SubElement(history, "fence_event", event)
    return root


class Cluster:
    """Answers as it is told; `resources` to cibadmin."""

    def __init__(self):
        self.says = answer({})
        self.resources = ET.fromstring("<resources/>")

    def ask(self, commands):
        found = self.says if commands is pacemaker.CRM_MON else self.resources
        if isinstance(found, Exception):
            raise found
        return found


class Hosts:
    def __init__(self, *names):
        self.names = frozenset(names)

    def read(self):
        return self.names


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def look(cluster):
    """{host: (state, detail)} of one look; options before the first."""
    with SimClock() as clock:
        probes = []

        def look(*watched, **options):
            if not probes:
                values = {"only_remotes": False, "needs_proof": True, "ipmi_timeout_s": 1.0}
                values |= options
                probes.append(PacemakerProbe(Hosts(*watched), clock, ask=cluster.ask, **values))
            return {s.subject: (s.state, s.detail) for s in probes[0].look() if not s.witness}

        yield look


@pytest.mark.parametrize(
    ("node", "needs_proof", "state"),
    [
        ({}, True, State.ONLINE),
        ({"standby": "true"}, True, State.ONLINE),
        ({"pending": "true", "standby": "true"}, True, State.DOUBTFUL),
        ({"unclean": "true"}, True, State.UNKNOWN),
        ({"online": "false", "unclean": "true"}, True, State.UNKNOWN),
        ({"online": "false", "unclean": "true"}, False, State.UNKNOWN),
        (OFFLINE, True, State.UNKNOWN),
        (OFFLINE, False, State.OFFLINE),
        (STOPPED, True, State.UNKNOWN),
        (STOPPED, False, State.UNKNOWN),
        ({"type": "remote"}, True, State.ONLINE),
    ],
)
def test_what_a_node_is(cluster, look, node, needs_proof, state):
    cluster.says = answer({"n1": {}, "n2": node})

    assert look("n1", "n2", needs_proof=needs_proof)["n2"][0] is state


def test_fencing_is_the_proof(cluster):
    with SimClock() as clock:
        probe = PacemakerProbe(
            Hosts("n1", "n2"),
            clock,
            only_remotes=False,
            needs_proof=False,
            ipmi_timeout_s=1,
            ask=cluster.ask,
        )
        fenced = [("n2", "12:00", "success")]
        proofs = []
        for says in (
            answer({"n1": {}, "n2": {}}),
            answer({"n1": {}, "n2": OFFLINE}),
            answer({"n1": {}, "n2": OFFLINE}, fenced),
            answer({"n1": {}, "n2": {}}, fenced),
        ):
            cluster.says = says
            proofs.append({s.subject: s.proof for s in probe.look()}["n2"])

    assert proofs == [None, None, HostProof.FENCED, None]


@pytest.mark.parametrize("needs_proof", [True, False])
@pytest.mark.parametrize(("action", "at_last"), [("reboot", "unknown"), ("off", "offline")])
def test_fencing_by_reboot_is_a_proof_for_a_while(cluster, action, at_last, needs_proof):
    with SimClock() as clock:
        probe = PacemakerProbe(
            Hosts("n1", "n2"),
            clock,
            only_remotes=False,
            needs_proof=needs_proof,
            ipmi_timeout_s=1,
            ask=cluster.ask,
        )

        def look(node, *times):
            fenced = [("n2", time, "success") for time in times]
            cluster.says = answer({"n1": {}, "n2": node}, fenced, action=action)
            return next(str(s.state) for s in probe.look() if s.subject == "n2")

        found = [look({}), look(OFFLINE, "12:00")]
        clock.sleep(pacemaker.REBOOTED_S - 1)
        found.append(look(OFFLINE, "12:00"))
        clock.sleep(1)
        found.append(look(OFFLINE, "12:00"))
        again = [look(OFFLINE, "12:00", "12:06"), look({}, "12:06"), look(OFFLINE, "12:06")]

    assert found == ["online", "offline", "offline", at_last]
    # another one is another proof; one that it was back after is none
    assert again == ["offline", "online", "offline" if not needs_proof else "unknown"]


CONNECTING = [{"role": "Starting"}, {"role": "Started", "pending": "Monitoring"}]
"""As Pacemaker 2.1 has shown the connection of a remote node that was off."""


def connected(says, **connection):
    """The remote node r1 has that connection."""
    resources = ET.SubElement(says, "resources")
    connection["resource_agent"] = "ocf:pacemaker:remote"
    ET.SubElement(resources, "resource", {"id": "r1", **connection})
    return says


def test_remote_node_that_was_reached_is_alive(cluster, look):
    cluster.says = connected(answer({"n1": {}, "r1": {"type": "remote"}}), role="Started")

    assert look("n1", "r1")["r1"][0] is State.ONLINE


@pytest.mark.parametrize("connection", CONNECTING)
def test_remote_node_that_is_to_be_reached_is_not_alive_for_that(cluster, look, connection):
    remote = {"type": "remote"}
    cluster.says = connected(answer({"n1": {}, "r1": remote}), **connection)

    assert look("n1", "r1", needs_proof=False)["r1"] == (
        State.UNKNOWN,
        "the cluster tries to reach it, and has not done so yet",
    )


@pytest.mark.parametrize("connection", CONNECTING)
def test_remote_node_that_was_fenced_is_dead_while_it_is_to_be_reached(cluster, look, connection):
    remote = {"type": "remote"}
    cluster.says = answer({"n1": {}, "r1": remote})
    look("n1", "r1")

    fenced = [("r1", "12:00", "success")]
    cluster.says = connected(answer({"n1": {}, "r1": remote}, fenced), **connection)

    assert look()["r1"][0] is State.OFFLINE


CAPTURED = {
    capture.attrib["of"]: capture[0]
    for capture in ET.parse(pathlib.Path(masakari.tests.__file__).parent / "crm_mon_remote.xml")
    .getroot()
    .findall("capture")
}


@pytest.mark.parametrize(
    ("said", "needs_proof", "states"),
    [
        (
            ["online", "being fenced", "fenced", "fenced, being reached", "back"],
            True,
            ["online", "unknown", "offline", "offline", "online"],
        ),
        (["online", "being fenced", "fenced"], False, ["online", "unknown", "offline"]),
        (
            ["online", "lost, no fencing", "being reached, no fencing", "given up, no fencing"],
            False,
            ["online", "unknown", "unknown", "offline"],
        ),
        (["online", "given up, no fencing"], True, ["online", "unknown"]),
        (["not reached yet", "online"], False, ["unknown", "online"]),
        (["online", "stopped in order"], False, ["online", "unknown"]),
    ],
)
def test_remote_node_of_a_real_cluster(cluster, look, said, needs_proof, states):
    found = []
    for each in said:
        cluster.says = CAPTURED[each]
        found.append(str(look("r1", needs_proof=needs_proof, only_remotes=True)["r1"][0]))

    assert found == states


def test_node_that_was_fenced_while_we_watched_is_dead(cluster, look):
    cluster.says = answer({"n1": {}, "n2": {}})
    look("n1", "n2")
    cluster.says = answer({"n1": {}, "n2": {**OFFLINE, "unclean": "true"}})
    assert look()["n2"][0] is State.UNKNOWN

    cluster.says = answer({"n1": {}, "n2": STOPPED}, [("n2", "12:00", "success")])

    assert look()["n2"] == (
        State.OFFLINE,
        "offline in the cluster, which has fenced it (12:00)",
    )


@pytest.mark.parametrize("event", [("n2", "11:00", "success"), ("n2", "12:00", "failed")])
def test_fencing_of_another_time_or_that_failed_proves_nothing(cluster, look, event):
    before = [("n2", "11:00", "success")]
    cluster.says = answer({"n1": {}, "n2": {}}, before)
    look("n1", "n2")

    cluster.says = answer({"n1": {}, "n2": OFFLINE}, [*before, event])

    assert look()["n2"][0] is State.UNKNOWN


def test_fencing_before_we_watched_proves_nothing(cluster, look):
    cluster.says = answer({"n1": {}, "n2": STOPPED}, [("n2", "12:00", "success")])

    assert look("n1", "n2")["n2"][0] is State.UNKNOWN


def test_only_remotes(cluster, look):
    cluster.says = answer({"n1": {}, "r1": {"type": "remote"}})

    found = look("n1", "r1", only_remotes=True)

    assert found["r1"][0] is State.ONLINE
    assert found["n1"] == (State.UNKNOWN, "the cluster has no node of that name")


def test_names_are_matched_whatever_case_and_domain(cluster, look):
    cluster.says = answer({"N1.example.com": {}, "n2.example.com": {}})

    found = look("n1", "n2", "n3")

    assert {host: state for host, (state, _) in found.items()} == {
        "n1": State.ONLINE,
        "n2": State.ONLINE,
        "n3": State.UNKNOWN,
    }


def test_node_of_another_domain_is_another_host(cluster, look):
    cluster.says = answer({"n1": {}, "n2.b": OFFLINE})

    found = look("n1", "n2", needs_proof=False)

    assert found["n2"] == (State.UNKNOWN, "the cluster has no node of that name")


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (answer({"n1": {}}, quorum="false"), "has no quorum"),
        (answer({}), "no nodes"),
        (ET.fromstring("<crm_mon/>"), "no designated controller"),
        (answer({"n1": {"online": "maybe"}}), "without name or state"),
        (core.Blind("no whole XML"), "no whole XML"),
    ],
)
def test_cluster_that_cannot_tell_accuses_nobody(cluster, look, says, why):
    cluster.says = says

    with pytest.raises(core.Blind, match=why):
        look("n1")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("/nonexistent/crm_mon",), "No such file"),
        (("false",), "exit status 1"),
        (("echo", "<nodes><node"), "no whole XML"),
        (("true",), "no whole XML"),
        (("sh", "-c", "echo Connection refused >&2; exit 102"), "Connection refused"),
    ],
)
def test_command_that_fails_is_told(command, why):
    with pytest.raises(core.Blind, match=why):
        ask_cluster([command])


def test_older_command_is_tried():
    assert ask_cluster([("false",), ("echo", "<crm_mon/>")]).tag == "crm_mon"


def test_controllers_are_those_of_the_fencing_resources():
    found = fencing_controllers(ET.fromstring(RESOURCES))

    assert found.keys() == {"n2", "n3", "n4"}
    assert found["n2"].fields["address"] == "10.0.0.2"
    assert found["n3"].fields["port"] == 6230
    assert "secret" not in str(found)


def test_cib_that_cannot_be_read_leaves_it_unknown(cluster, look):
    cluster.says = answer({"n1": {}, "n2": OFFLINE})
    cluster.resources = core.Blind("no rights")

    assert look("n1", "n2")["n2"][0] is State.UNKNOWN
