"""The drivers default and simple: hosts as Pacemaker's cluster sees them.

========================================  ==========================================================
the node                                  the host is
========================================  ==========================================================
online, its Pacemaker has joined          online
online and pending                        doubtful: Corosync lives, Pacemaker does not run there
unclean, or being fenced                  unknown: the cluster has not fenced it yet
remote, its connection is starting        unknown, though online; fenced or off: offline
offline, switched off while we watched    offline: the fencing is the proof
offline, rebooted while we watched        offline for REBOOTED_S, likewise; then unknown, as it may
                                          be up again, without Pacemaker
offline, its power is off                 offline: the BMC that the cluster knows is the proof
offline, was not stopped in order, and    offline: the operator answers for it; a remote one when
[host] disable_ipmi_check                 the cluster has tried in vain to reach it
offline, stopped in order                 unknown
offline otherwise                         unknown: asked again each round
none of the cluster's                     unknown
========================================  ==========================================================

A cluster without quorum says nothing, nor does one that cannot be asked, or answers half.
"""

import logging
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from oslo_config import cfg

from masakari import clock as clock_
from masakari.monitors import core, judge, names, watchlist
from masakari.monitors.hosts import bmc, ipmi
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import State
from masakari.states import HostProof

LOG = logging.getLogger(__name__)

TIMEOUT_S = 20.0
PARALLEL = 16
REBOOTED_S = 300.0
"""So long a fencing by reboot is a proof, since we saw it first; longer if looks are rare."""
CRM_MON = (
    ("crm_mon", "--output-as=xml", "--one-shot"),
    ("crm_mon", "--as-xml", "--one-shot"),
)
"""Today's, and that of Pacemaker before 2.0.3."""
RESOURCES = ("cibadmin", "--query", "--scope", "resources")
Commands = Sequence[Sequence[str]]
Ask = Callable[[Commands], ET.Element]
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Fencing:
    """One that succeeded."""

    completed: str
    """When, in the cluster's words."""
    action: str
    """off or reboot"""


@dataclass(frozen=True, slots=True)
class Node:
    """One node as the cluster sees it."""

    name: str
    is_online: bool
    is_pending: bool
    is_unclean: bool
    is_expected: bool
    """It was not stopped in order; a remote one: the cluster has tried in vain to reach it."""
    is_remote: bool
    is_connecting: bool
    """A remote one that the cluster calls online as it tries to reach it."""
    fencings: frozenset[Fencing]


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the cluster says."""

    has_quorum: bool
    nodes: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Said:
    """What the cluster, or a BMC that it knows, says of a node."""

    state: State
    detail: str
    proof: HostProof | None = None


class PacemakerProbe:
    """Asks the cluster on whose node it runs; needs the group haclient."""

    def __init__(
        self,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        *,
        only_remotes: bool,
        needs_proof: bool,
        ipmi_timeout_s: float,
        rebooted_s: float = REBOOTED_S,
        ask: Ask | None = None,
    ) -> None:
        """Nobody has looked yet; *ask* replaces `ask_cluster`.

        A fencing by reboot is a proof for *rebooted_s* seconds.
        """
        self._ask = ask or ask_cluster
        self._hosts = hosts
        self._clock = clock
        self._only_remotes = only_remotes
        self._needs_proof = needs_proof
        self._ipmi_timeout_s = ipmi_timeout_s
        self._rebooted_s = rebooted_s
        self._past: dict[str, frozenset[Fencing]] = {}
        """{node: its fencings when it was seen alive last}"""
        self._since: dict[str, dict[Fencing, float]] = {}
        """{node: {a later one: when we saw it first, on the monotonic clock}}"""

    @classmethod
    def from_conf(
        cls, conf: cfg.ConfigOpts, hosts: watchlist.Watchlist, clock: clock_.Clock, **_given: Any
    ) -> Self:
        """The probe that [host] describes."""
        return cls(
            hosts,
            clock,
            only_remotes=conf.host.restrict_to_remotes,
            needs_proof=not conf.host.disable_ipmi_check,
            ipmi_timeout_s=conf.host.ipmi_timeout,
            rebooted_s=max(REBOOTED_S, 2 * _decides_s(conf)),
        )

    def look(self) -> Sequence[judge.Sample]:
        """One sample for each watched host, and witnesses for other nodes.  Raises Blind."""
        watched = self._hosts.read()
        if not watched:
            return []
        cluster = parse(self._ask(CRM_MON))
        if not cluster.has_quorum:
            raise core.Blind("this part of the cluster has no quorum")
        nodes = [n for n in cluster.nodes if n.is_remote or not self._only_remotes]
        found = {node: self._judge(node) for node in nodes}
        self._ask_power(found)
        at = self._clock.now()
        samples = []
        known = names.match(watched, [node.name for node in nodes])
        hosts = {name: host for host, name in known.items()}
        for node, said in found.items():
            host = hosts.get(node.name)
            samples.append(
                judge.Sample(
                    host or node.name,
                    said.state,
                    at,
                    said.detail,
                    witness=host is None,
                    proof=said.proof,
                )
            )
        for host in sorted(watched - known.keys()):
            samples.append(
                judge.Sample(host, State.UNKNOWN, at, "the cluster has no node of that name")
            )
        return samples

    def _judge(self, node: Node) -> Said:
        """What the cluster alone says of it."""
        fenced = self._fenced(node)
        if node.is_unclean:
            return Said(State.UNKNOWN, "unclean: the cluster has not fenced it yet")
        if node.is_online:
            self._past[node.name] = node.fencings
            if node.is_pending:
                return Said(State.DOUBTFUL, "Corosync lives, and Pacemaker does not run there")
            return Said(State.ONLINE, "online in the cluster")
        if fenced:
            return self._judge_fenced(fenced)
        if node.is_connecting:
            return Said(State.UNKNOWN, "the cluster tries to reach it, and has not done so yet")
        return self._judge_offline(node)

    def _fenced(self, node: Node) -> Mapping[Fencing, float]:
        """{fencing since it was seen alive: when we saw that first, on the monotonic clock}"""
        now = self._clock.monotonic()
        new = node.fencings - self._past.get(node.name, node.fencings)
        known = self._since.get(node.name, {})
        self._since[node.name] = {fencing: known.get(fencing, now) for fencing in new}
        return self._since[node.name]

    def _judge_fenced(self, fenced: Mapping[Fencing, float]) -> Said:
        last = max(fenced, key=lambda fencing: (fenced[fencing], fencing.completed))
        detail = f"offline in the cluster, which has fenced it ({last.completed})"
        if last.action == "reboot" and self._clock.monotonic() - fenced[last] >= self._rebooted_s:
            return Said(State.UNKNOWN, f"{detail} by reboot: it may be up again, without Pacemaker")
        return Said(State.OFFLINE, detail, HostProof.FENCED)

    def _judge_offline(self, node: Node) -> Said:
        if not node.is_expected:
            why = (
                "the cluster has not tried in vain to reach it"
                if node.is_remote
                else "was stopped in order or fenced long ago"
            )
            return Said(State.UNKNOWN, f"offline, and {why}")
        if self._needs_proof:
            return Said(State.UNKNOWN, "offline in the cluster, and nothing proves that it is dead")
        return Said(State.OFFLINE, "offline in the cluster")

    def _ask_power(self, found: dict[Node, Said]) -> None:
        """Who is offline and may live is dead if its BMC says that the power is off."""
        open_ = {
            node.name: node
            for node, said in found.items()
            if said.state is State.UNKNOWN and not node.is_online
        }
        if not open_ or not self._needs_proof:
            return
        try:
            controllers = fencing_controllers(self._ask([RESOURCES]))
        except core.Blind as e:
            LOG.debug("no BMC is known: %s", e)
            return
        known = {name: fields for name, fields in controllers.items() if name in open_}
        for name, reading in ask_power(known, self._ipmi_timeout_s).items():
            node = open_[name]
            detail = f"{found[node].detail}; {reading.detail}"
            if reading.state is State.OFFLINE:
                found[node] = Said(State.OFFLINE, detail, HostProof.POWER_OFF)
            else:
                found[node] = Said(found[node].state, detail)


def _decides_s(conf: cfg.ConfigOpts) -> float:
    """So long it takes to believe a death, in seconds."""
    host = conf.host
    return float(host.monitoring_samples * host.monitoring_interval + host.death_delay)


def ask_cluster(commands: Commands) -> ET.Element:
    """The document that the first of *commands* that succeeds prints.  Raises Blind."""
    trouble = ""
    for command in commands:
        try:
            done = subprocess.run(  # noqa: S603  # no shell, no argument from outside
                command,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            if done.returncode == 0:
                return ET.fromstring(done.stdout)  # noqa: S314  # of our own cluster
            said = (done.stderr or done.stdout).decode(errors="replace").split()
            trouble = " ".join(said)[:200] or f"exit status {done.returncode}"
        except subprocess.TimeoutExpired:
            raise core.Blind(f"{command[0]} has not answered in {TIMEOUT_S:g} s") from None
        except OSError as e:
            trouble = e.strerror or str(e)
        except ET.ParseError as e:
            trouble = f"no whole XML ({e})"
    raise core.Blind(f"the cluster cannot be asked: {commands[0][0]}: {trouble}")


def parse(document: ET.Element) -> Cluster:
    """What crm_mon has said.  Raises Blind where something is missing."""
    dc = document.find("summary/current_dc")
    listed = document.findall("nodes/node")
    if dc is None or not listed:
        raise core.Blind("the cluster's answer has no designated controller, or no nodes")
    starting = {
        row.get("id", "")
        for row in document.iter("resource")
        if row.get("role") == "Starting" or row.get("pending")
    }
    stopped = {
        row.get("id", "")
        for row in document.iter("resource")
        if row.get("role") == "Stopped" and row.get("target_role") != "Stopped"
    }
    failed = {
        row.get("id", "")
        for row in document.iter("resource_history")
        if row.get("fail-count", "0") != "0"
    }
    fencings, being_fenced = _fencings(document)
    nodes = [
        _node(row, fencings, being_fenced, starting=starting, given_up=failed & stopped)
        for row in listed
    ]
    return Cluster(dc.get("with_quorum") == "true", nodes)


def _fencings(document: ET.Element) -> tuple[Mapping[str, Collection[Fencing]], Collection[str]]:
    """{node: those that succeeded}, and the nodes that are being fenced."""
    found: dict[str, set[Fencing]] = {}
    pending = set()
    for event in document.iter("fence_event"):
        action, target = event.get("action", ""), event.get("target", "")
        if action not in ("off", "reboot"):
            continue
        if event.get("status") == "success":
            found.setdefault(target, set()).add(Fencing(event.get("completed", ""), action))
        elif event.get("status") == "pending":
            pending.add(target)
    return found, pending


def _node(
    row: ET.Element,
    fencings: Mapping[str, Collection[Fencing]],
    being_fenced: Collection[str],
    *,
    starting: Collection[str],
    given_up: Collection[str],
) -> Node:
    name = row.get("name")
    if not name or row.get("online") not in ("true", "false"):
        raise core.Blind("the cluster's answer has a node without name or state")
    is_remote = row.get("type") == "remote"
    # A remote node is online when its connection, a resource of its name, is started, or is to be;
    # after a fencing also while it is being monitored for the first time, and nobody answers.
    is_connecting = is_remote and name in starting
    # It is never expected to be up: what tells is that its connection has failed and stays stopped.
    is_expected = name in given_up if is_remote else row.get("expected_up", "true") == "true"
    return Node(
        name,
        is_online=row.get("online") == "true" and not is_connecting,
        is_pending=row.get("pending") == "true",
        # a remote node that is being fenced is called clean
        is_unclean=row.get("unclean") == "true" or name in being_fenced,
        is_expected=is_expected,
        is_remote=is_remote,
        is_connecting=is_connecting,
        fencings=frozenset(fencings.get(name, ())),
    )


def fencing_controllers(resources: ET.Element) -> dict[str, bmc.Controller]:
    """{node: its BMC}, of the cluster's stonith resources, grouped or not."""
    found = {}
    for primitive in resources.iter("primitive"):
        if primitive.get("class") != "stonith":
            continue
        values = {pair.get("name", ""): pair.get("value", "") for pair in primitive.iter("nvpair")}

        def value(*names: str, values: Mapping[str, str] = values) -> str:
            return next((values[name] for name in names if values.get(name)), "")

        fields: dict[str, Any] = {
            "address": value("ip", "ipaddr"),
            "username": value("username", "login", "userid"),
            "password": value("password", "passwd"),
        }
        if not all(fields.values()) or fields["address"].startswith("-"):
            continue
        port = value("ipport")
        cipher = value("cipher")
        fields |= {"port": int(port)} if port.isdecimal() else {}
        fields |= {"cipher_suite": int(cipher)} if cipher.isdecimal() else {}
        for host in value("hostname", "pcmk_host_list").replace(",", " ").split():
            found[host] = bmc.Controller(fields)
    return found


def ask_power(controllers: Mapping[str, bmc.Controller], timeout_s: float) -> Mapping[str, Reading]:
    """What each BMC says of the power, several asked at a time."""
    if not controllers:
        return {}
    return bmc.ask_all(
        list(controllers), controllers, lambda _, c: ipmi.ask(c.fields, timeout_s), PARALLEL
    )
