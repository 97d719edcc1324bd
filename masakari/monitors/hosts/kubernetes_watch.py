"""The push source kubernetes: a watch of the nodes, which the API server keeps open."""

import threading
from collections.abc import Mapping
from typing import Self

from oslo_config import cfg

from masakari import clock as clock_
from masakari.monitors.hosts import kubeconfig, kubernetes, waiting
from masakari.monitors.hosts.kubernetes import Nodes
from masakari.monitors.judge import State
from masakari.monitors.pushes import Wake

NAME = "kubernetes"
NAMED = 3


class KubernetesWatch:
    """Watches in a thread of its own, with a connection of its own."""

    def __init__(self, nodes: Nodes, clock: clock_.Clock, wake: Wake) -> None:
        """Nobody watches yet."""
        self._nodes = nodes
        self._clock = clock
        self._wake = wake
        self._stop = clock.event()

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, clock: clock_.Clock, wake: Wake) -> Self:
        """The source that [kubernetes] describes.  Raises ConfigInvalid."""
        nodes = Nodes(kubeconfig.connect(conf), conf.kubernetes.monitoring_node_labels)
        return cls(nodes, clock, wake)

    def start(self) -> None:
        """As pushes.Source."""
        # daemon: a watch that waits at the server cannot be broken off
        threading.Thread(target=self._watch, name=NAME, daemon=True).start()

    def stop(self) -> None:
        """As pushes.Source."""
        self._stop.set()

    def _watch(self) -> None:
        def ask() -> Mapping[str, State]:
            return kubernetes.states(self._nodes.wait(waiting.WAIT_S))

        def changed(before: Mapping[str, State], after: Mapping[str, State]) -> None:
            nodes = sorted(n for n in {*before, *after} if before.get(n) != after.get(n))
            self._wake(NAME, f"Kubernetes has another state of {_sentence(nodes)}")

        waiting.watch("Kubernetes", ask, changed, self._clock, self._stop)


def _sentence(nodes: list[str]) -> str:
    more = len(nodes) - NAMED
    return ", ".join(nodes[:NAMED]) + (f" and {more} more" if more > 0 else "")
