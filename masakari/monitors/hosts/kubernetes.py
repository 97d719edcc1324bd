"""The driver kubernetes: hosts as the conditions of their nodes tell, with a second opinion.

======================================  =========================================================
the node                                its host is
======================================  =========================================================
is Ready                                online
is not Ready (its kubelet says so)      doubtful: somebody there said it
has not been heard of (Ready: Unknown)  what it shows itself, as the driver nova asks for it:
                                        kubelet, or the way to the API server, may be ill instead
is not there                            unknown
======================================  =========================================================

The nodes are listed once; then each look takes in what has changed since, by a short watch.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import requests
from oslo_config import cfg

from masakari import causes
from masakari import clock as clock_
from masakari import cloud as cloud_
from masakari.monitors import core, judge, names, watchlist
from masakari.monitors.hosts import kubeconfig
from masakari.monitors.hosts import second_opinion as opinion_
from masakari.monitors.hosts.confirmation import confirm
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import State

NODES = "/api/v1/nodes"
PAGE = 500
WATCH_S = 1
"""So long a watch waits for changes; what happened before it began it gives at once."""
TIMEOUT_S = 10
"""For each word of an answer; a watch may be silent for so much longer than it lasts."""
GONE = 410
"""The changes since our version are not known any more."""
MISSING = Reading(State.UNKNOWN, "Kubernetes has no node of that name")


class Expired(Exception):
    """The nodes have to be listed again."""


class Nodes:
    """The nodes as the API server has them."""

    def __init__(self, api: kubeconfig.Api, labels: str) -> None:
        """Those that have *labels*, a selector; all if it is empty."""
        self._api = api
        self._selector = {"labelSelector": labels} if labels else {}
        self._version: str | None = None
        self._found: dict[str, Reading] = {}

    def read(self) -> Mapping[str, Reading]:
        """{node: what its conditions say} as of now.  Raises Blind."""
        return self._read(WATCH_S)

    def wait(self, wait_s: int) -> Mapping[str, Reading]:
        """As `read`, but when the state of a node has changed, or after *wait_s* seconds."""
        return self._read(wait_s, until_change=True)

    def _read(self, wait_s: int, *, until_change: bool = False) -> Mapping[str, Reading]:
        try:
            if self._version is not None:
                try:
                    self._follow(self._version, wait_s, until_change=until_change)
                except Expired:
                    self._version = None
            if self._version is None:
                self._list()
        except Expired:  # between two pages
            raise core.Blind(
                "the Kubernetes API forgets what it lists before it was read"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._version = None
            raise core.Blind(
                f"the Kubernetes API gave no usable answer ({type(error).__name__})"
            ) from None
        except OSError as error:  # of requests, too
            why = causes.refused_certificate(error) or causes.of_network(error)
            raise core.Blind(
                f"the Kubernetes API does not answer ({why or type(error).__name__})"
            ) from None
        return self._found

    def _list(self) -> None:
        found: dict[str, Reading] = {}
        page: dict[str, str] = {"limit": str(PAGE)}
        while True:
            with self._get({**self._selector, **page}, TIMEOUT_S) as answer:
                document = answer.json()
            for node in document["items"]:
                found[node["metadata"]["name"]] = read(node)
            more = document["metadata"].get("continue")
            if not more:
                break
            page["continue"] = more
        self._found, self._version = found, str(document["metadata"]["resourceVersion"])

    def _follow(self, version: str, wait_s: int, *, until_change: bool) -> None:
        """What has changed since *version* is taken in.  Raises Expired."""
        before = states(self._found)
        parameters = {
            **self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(wait_s),
        }
        for event in self._events(parameters, wait_s):
            node = event["object"]
            if event["type"] == "ERROR":
                raise Expired
            self._version = str(node["metadata"]["resourceVersion"])
            if event["type"] == "DELETED":
                self._found.pop(node["metadata"]["name"], None)
            elif event["type"] in ("ADDED", "MODIFIED"):
                self._found[node["metadata"]["name"]] = read(node)
            if until_change and states(self._found) != before:
                return

    def _events(self, parameters: Mapping[str, str], wait_s: int) -> Iterator[Any]:
        until = time.monotonic() + 2 * wait_s
        with self._get(parameters, wait_s + TIMEOUT_S) as answer:
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)
                if time.monotonic() >= until:  # the next look goes on from here
                    return

    def _get(self, parameters: Mapping[str, str], timeout_s: float) -> requests.Response:
        """A streamed answer.  Raises Blind, Expired, or what requests raises."""
        answer = self._api.get(NODES, parameters, timeout_s)
        if answer.status_code == GONE:
            answer.close()
            raise Expired
        if answer.status_code != requests.codes.ok:
            answer.close()
            raise core.Blind(f"the Kubernetes API answers {answer.status_code} to {NODES}")
        return answer


def read(node: Mapping[str, Any]) -> Reading:
    """What a node's conditions say of its host; OFFLINE: it is to be asked itself."""
    for condition in node.get("status", {}).get("conditions") or ():
        if condition["type"] != "Ready":
            continue
        reason = condition.get("reason") or "no reason given"
        if condition["status"] == "True":
            return Reading(State.ONLINE, "the node is ready")
        if condition["status"] == "False":
            return Reading(State.DOUBTFUL, f"the node says that it is not ready ({reason})")
        return Reading(State.OFFLINE, f"the node has not been heard of ({reason})")
    return Reading(State.UNKNOWN, "the node has no condition Ready")


def states(nodes: Mapping[str, Reading]) -> dict[str, State]:
    """{node: its state}"""
    return {node: reading.state for node, reading in nodes.items()}


class KubernetesProbe:
    """Looks at the nodes, and asks the hosts of those that are not heard of."""

    def __init__(
        self,
        nodes: Nodes,
        second_opinion: opinion_.SecondOpinion,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
    ) -> None:
        """Nobody has looked yet."""
        self._nodes = nodes
        self._second_opinion = second_opinion
        self._hosts = hosts
        self._clock = clock

    @classmethod
    def from_conf(
        cls,
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        *,
        cloud: cloud_.Cloud | None = None,  # what other drivers are given
        second_opinion: opinion_.SecondOpinion | None = None,
    ) -> Self:
        """The probe that [kubernetes] describes.  Raises ConfigInvalid."""
        nodes = Nodes(kubeconfig.connect(conf), conf.kubernetes.monitoring_node_labels)
        return cls(nodes, second_opinion or opinion_.connect(conf), hosts, clock)

    def look(self) -> Sequence[judge.Sample]:
        """One sample for each watched host.  Raises Blind."""
        watched = sorted(self._hosts.read())
        if not watched:
            return []
        nodes = self._nodes.read()
        known = names.match(watched, nodes)
        found = {host: nodes[known[host]] if host in known else MISSING for host in watched}
        readings = confirm(found, self._second_opinion)
        at = self._clock.now()
        return [
            judge.Sample(host, reading.state, at, reading.detail)
            for host, reading in readings.items()
        ]
