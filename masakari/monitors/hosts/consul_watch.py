"""The push source consul: blocking queries, which Consul answers when a node's health changes.

Each agent of [consul] is asked for the checks of nodes that are critical; beside the answer it
gives an index, and it keeps the next question with that index waiting until there is news.  That
may be of checks that were not asked for, as all share the index, so the answers are compared.  (The
list of members, by which the driver judges, cannot be waited for.)
"""

import logging
import threading
from collections.abc import Mapping
from typing import Self

import requests
from oslo_config import cfg

from masakari import causes
from masakari import clock as clock_
from masakari.monitors.hosts import consul
from masakari.monitors.pushes import Wake
from masakari.outage import Outage

LOG = logging.getLogger(__name__)

NAME = "consul"
PATH = "/v1/health/state/critical"
OF_NODES = 'ServiceID == ""'
"""Consul's filter: checks of services come and go with the services."""
WAIT_S = 60
"""So long an agent keeps a question; it adds up to a sixteenth of that."""
PATIENCE_S = WAIT_S + WAIT_S / 16 + consul.TIMEOUT_S
PAUSE_S = 5.0
AT_MOST_EACH_S = 1.0
"""An agent is not asked more often; what happens meanwhile is in its next answer."""


Checks = frozenset[tuple[str, str]]
"""(node, ID of the check) of those that are critical"""


class Unusable(Exception):
    """The agent answered, but not as Consul does."""


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
        outage = Outage(
            f"Consul's agent on the {network} network",
            self._clock,
            "it is looked at each monitoring_interval",
        )
        session = requests.Session()
        session.trust_env = False
        index: int | None = None
        known: Checks | None = None
        while not self._stop.is_set():
            began = self._clock.monotonic()
            asked_at = outage.now()
            try:
                found, critical = self._ask(session, address, index)
            except (requests.RequestException, Unusable) as e:
                index = known = None  # what happened meanwhile is not known
                outage.failed(causes.of_network(e) or str(e) or type(e).__name__)
                self._stop.wait(PAUSE_S)
                continue
            outage.answered(asked_at)
            if known not in (None, critical) and not self._stop.is_set():
                self._wake(NAME, f"Consul's health on the {network} network has changed")
            known = critical
            # as Consul's documentation wants it: an index that goes back is no index
            index = found if index is None or found >= index else None
            self._stop.wait(max(0.0, AT_MOST_EACH_S - (self._clock.monotonic() - began)))

    @staticmethod
    def _ask(session: requests.Session, address: str, index: int | None) -> tuple[int, Checks]:
        """(index, checks) of now; with *index* when that is another one, or after a while."""
        params = {"filter": OF_NODES}
        if index is not None:
            params |= {"index": str(index), "wait": f"{WAIT_S}s"}
        answer = session.get(f"http://{address}{PATH}", params=params, timeout=PATIENCE_S)
        if answer.status_code != requests.codes.ok:
            raise Unusable(f"it answers {answer.status_code} to {PATH}")
        found = answer.headers.get("X-Consul-Index", "")
        if not found.isdecimal() or not int(found):
            raise Unusable(f"its answer to {PATH} has no X-Consul-Index")
        try:
            critical = frozenset((check["Node"], check["CheckID"]) for check in answer.json())
        except (ValueError, LookupError, TypeError):
            raise Unusable(f"its answer to {PATH} is no list of checks") from None
        return int(found), critical
