"""The driver consul: hosts as the members of up to three Consul clusters, one on each network.

===========================================  ====================================
the member, as the agent on a network has it  the host is on that network
===========================================  ====================================
alive                                        up
failed                                       down
left, leaving, or not there                  unknown: nobody has seen it die
(the agent does not answer, or its cluster   unknown
has no leader: it may be cut off itself)
===========================================  ====================================

What that means together, a matrix says.  A network on which not one watched host is up says more
about the agent than about the hosts: nobody is down there.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import requests
from oslo_config import cfg

from masakari import causes, errors
from masakari import clock as clock_
from masakari.monitors import core, judge, matrix, names, watchlist
from masakari.monitors.hosts.together import STATE_OF
from masakari.monitors.matrix import Signal

LOG = logging.getLogger(__name__)

NETWORKS = ("manage", "tenant", "storage")
PORT = 8500
TIMEOUT_S = 10
ALIVE, FAILED = 1, 4
"""Of Serf's member states, as /v1/agent/members gives them."""

_SIGNALS = {ALIVE: Signal.UP, FAILED: Signal.DOWN}
STORAGE_DECIDES = {
    "sequence": list(NETWORKS),
    "matrix": [
        {"health": [manage, tenant, storage], "action": ["recovery"] if storage == "down" else []}
        for manage in ("up", "down")
        for tenant in ("up", "down")
        for storage in ("up", "down")
    ],
}
"""The matrix of OpenStack's driver, where all three agents are configured and there is no file."""


class Agent:
    """One agent of Consul."""

    def __init__(self, address: str) -> None:
        """*address* is host[:port]."""
        self._url = f"http://{address}"
        self._session = requests.Session()
        self._session.trust_env = False

    def members(self) -> Mapping[str, Signal]:
        """{name of the member: what the agent says of it}.  Raises Blind."""
        try:
            if not self._get("/v1/status/leader"):
                raise core.Blind("its cluster has no leader")
            return {
                str(member["Name"]): _SIGNALS.get(member["Status"], Signal.UNKNOWN)
                for member in self._get("/v1/agent/members")
            }
        except (ValueError, KeyError, TypeError):  # ValueError: JSON, too
            raise core.Blind("it gave no usable answer") from None
        except requests.RequestException as error:
            raise core.Blind(causes.of_network(error) or type(error).__name__) from None

    def _get(self, path: str) -> Any:  # JSON
        answer = self._session.get(self._url + path, timeout=TIMEOUT_S)
        if answer.status_code != requests.codes.ok:
            raise core.Blind(f"it answers {answer.status_code} to {path}")
        return answer.json()


class ConsulProbe:
    """Looks at the members of all clusters."""

    def __init__(
        self,
        agents: Mapping[str, Agent],
        rule: matrix.Rule,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
    ) -> None:
        """Ask *agents*, {network: agent}."""
        self._agents = agents
        self._rule = rule
        self._hosts = hosts
        self._clock = clock

    @classmethod
    def from_conf(
        cls,
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        **_given: Any,  # what other drivers are given
    ) -> Self:
        """The probe that [consul] describes.  Raises ConfigInvalid."""
        agents = {network: Agent(address) for network, address in addresses(conf).items()}
        return cls(agents, _rule(conf, agents), hosts, clock)

    def look(self) -> Sequence[judge.Sample]:
        """One sample for each watched host.  Raises Blind if no agent can tell anything."""
        watched = sorted(self._hosts.read())
        if not watched:
            return []
        seen: dict[str, Mapping[str, Signal]] = {}
        trouble: dict[str, str] = {}
        for network, agent in self._agents.items():
            try:
                found = of_hosts(agent.members(), watched)
            except core.Blind as error:
                trouble[network] = f"Consul's agent does not say: {error}"
                continue
            if Signal.UP in found.values():
                seen[network] = found
            else:
                trouble[network] = "not one watched host is up there"
        if not seen:
            raise core.Blind("; ".join(f"{name}: {why}" for name, why in trouble.items()))
        at = self._clock.now()
        return [self._sample(host, seen, trouble, at) for host in watched]

    def _sample(
        self,
        host: str,
        seen: Mapping[str, Mapping[str, Signal]],
        trouble: Mapping[str, str],
        at: Any,  # the clock's
    ) -> judge.Sample:
        signals = {
            network: seen[network][host] if network in seen else Signal.UNKNOWN
            for network in self._agents
        }
        said = [
            f"{network} {signal}" + (f" ({trouble[network]})" if network in trouble else "")
            for network, signal in signals.items()
        ]
        state = STATE_OF[self._rule.meaning(signals)]
        return judge.Sample(host, state, at, f"in Consul: {', '.join(said)}")


def addresses(conf: cfg.ConfigOpts) -> dict[str, str]:
    """{network: host:port of its agent}, at least one.  Raises ConfigInvalid."""
    given = {network: conf.consul[f"agent_{network}"] for network in NETWORKS}
    found = {
        network: _with_port(address, f"agent_{network}")
        for network, address in given.items()
        if address
    }
    if not found:
        raise errors.ConfigInvalid(
            group="consul", option="agent_manage", problem="no agent is configured"
        )
    return found


def of_hosts(members: Mapping[str, Signal], hosts: Collection[str]) -> dict[str, Signal]:
    """{host: what *members* say of it}, by names that may differ in case or domain."""
    known = names.match(hosts, members)
    return {host: members[known[host]] if host in known else Signal.UNKNOWN for host in hosts}


def _rule(conf: cfg.ConfigOpts, agents: Mapping[str, Agent]) -> matrix.Rule:
    """What the signals mean together."""
    path = conf.consul.matrix_config_file
    if path:
        return matrix.load(path, agents, group="consul", option="matrix_config_file")
    if len(agents) == len(NETWORKS):
        return matrix.parse(STORAGE_DECIDES, NETWORKS)
    return matrix.Agreement()


def _with_port(address: str, option: str) -> str:
    """host:port.  Raises ConfigInvalid."""
    name, _, port = address.rpartition(":") if address.count(":") == 1 else (address, "", str(PORT))
    if address.startswith("["):
        name, _, port = address.partition("]")
        name, port = f"{name}]", port.removeprefix(":") or str(PORT)
    is_port = port.isdecimal() and 0 < int(port) < 65536
    if not name or "/" in name or not is_port or (":" in name and not name.startswith("[")):
        raise errors.ConfigInvalid(
            group="consul", option=option, problem=f"{address!r} is not host[:port]"
        )
    return f"{name}:{port}"
