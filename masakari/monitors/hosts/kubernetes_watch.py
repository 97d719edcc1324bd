"""The push source kubernetes: a watch of the nodes, which the API server keeps open."""

import threading
from typing import Self

from oslo_config import cfg

from masakari import clock as clock_
from masakari.monitors import core
from masakari.monitors.hosts import kubeconfig, kubernetes
from masakari.monitors.hosts.kubernetes import Nodes
from masakari.monitors.pushes import Wake
from masakari.outage import Outage

NAME = "kubernetes"
WAIT_S = 60
"""So long the server keeps a watch open; the next one goes on from there."""
PAUSE_S = 5.0
AT_MOST_EACH_S = 1.0
"""No watch begins sooner after the one before; what happens meanwhile it gives at once."""
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
        outage = Outage("Kubernetes", self._clock, "it is looked at each monitoring_interval")
        known = None
        while not self._stop.is_set():
            began = self._clock.monotonic()
            try:
                found = kubernetes.states(self._nodes.wait(WAIT_S))
            except core.Blind as e:
                outage.failed(str(e))
                self._stop.wait(PAUSE_S)
                continue
            outage.answered(began)
            if known is not None and found != known and not self._stop.is_set():
                changed = sorted(n for n in found | known if found.get(n) != known.get(n))
                self._wake(NAME, f"Kubernetes has another state of {_sentence(changed)}")
            known = found
            self._stop.wait(max(0.0, AT_MOST_EACH_S - (self._clock.monotonic() - began)))


def _sentence(nodes: list[str]) -> str:
    more = len(nodes) - NAMED
    return ", ".join(nodes[:NAMED]) + (f" and {more} more" if more > 0 else "")
