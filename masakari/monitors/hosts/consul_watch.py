"""The push source consul: blocking queries, which Consul answers when a node's health changes.

Each agent of [consul] is asked for the checks of nodes that are critical; beside the answer it
gives an index, and it keeps the next question with that index waiting until there is news.  That
may be of checks that were not asked for, as all share the index, so the answers are compared.  (The
list of members, by which the driver judges, cannot be waited for.)
"""

import threading
from collections.abc import Mapping
from typing import Self

import requests
from oslo_config import cfg

from masakari import causes
from masakari import clock as clock_
from masakari.monitors import core
from masakari.monitors.hosts import consul, waiting
from masakari.monitors.pushes import Wake

NAME = "consul"
PATH = "/v1/health/state/critical"
OF_NODES = 'ServiceID == ""'
"""Consul's filter: checks of services come and go with the services."""
PATIENCE_S = waiting.WAIT_S + waiting.WAIT_S / 16 + consul.TIMEOUT_S
"""An agent adds up to a sixteenth to the time for which it keeps a question."""

Checks = frozenset[tuple[str, str]]
"""(node, ID of the check) of those that are critical"""


class ConsulWatch:
    """Waits at each agent in a thread of its own."""

    def __init__(self, agents: Mapping[str, str], clock: clock_.Clock, wake: Wake) -> None:
        """*agents* is {network: host:port}."""
        self._agents = agents
        self._clock = clock
        self._wake = wake
        self._stop = clock.event()

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, clock: clock_.Clock, wake: Wake) -> Self:
        """The source that [consul] describes.  Raises ConfigInvalid."""
        return cls(consul.addresses(conf), clock, wake)

    def start(self) -> None:
        """As pushes.Source."""
        for network, address in self._agents.items():
            threading.Thread(
                target=self._watch,
                args=(network, address),
                name=f"{NAME}-{network}",
                daemon=True,  # a question that waits at the agent cannot be broken off
            ).start()

    def stop(self) -> None:
        """As pushes.Source."""
        self._stop.set()

    def _watch(self, network: str, address: str) -> None:
        def changed(_before: Checks, _after: Checks) -> None:
            self._wake(NAME, f"Consul's health on the {network} network has changed")

        who = f"Consul's agent on the {network} network"
        waiting.watch(who, _Agent(address).wait, changed, self._clock, self._stop)


class _Agent:
    """One agent; for one thread."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}{PATH}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._index: int | None = None
        """What it knew when it answered last."""

    def wait(self) -> Checks:
        """Those that are critical, when that may have changed, or after a while.  Raises Blind."""
        params = {"filter": OF_NODES}
        if self._index is not None:
            params |= {"index": str(self._index), "wait": f"{waiting.WAIT_S}s"}
        before, self._index = self._index, None  # after trouble from the beginning
        try:
            answer = self._session.get(self._url, params=params, timeout=PATIENCE_S)
        except requests.RequestException as e:
            raise core.Blind(causes.of_network(e) or str(e) or type(e).__name__) from None
        index, critical = _read(answer)
        # as Consul's documentation wants it: an index that goes back is no index
        self._index = index if before is None or index >= before else None
        return critical


def _read(answer: requests.Response) -> tuple[int, Checks]:
    if answer.status_code != requests.codes.ok:
        raise core.Blind(f"it answers {answer.status_code} to {PATH}")
    index = answer.headers.get("X-Consul-Index", "")
    if not index.isdecimal() or not int(index):
        raise core.Blind(f"its answer to {PATH} has no X-Consul-Index")
    try:
        return int(index), frozenset((check["Node"], check["CheckID"]) for check in answer.json())
    except (ValueError, LookupError, TypeError):
        raise core.Blind(f"its answer to {PATH} is no list of checks") from None
