"""A host monitor in the simulation: its process, its way to the API, its second opinion."""

from collections.abc import Collection, Mapping
from typing import Any

from oslo_config import cfg

from masakari.monitors import hostmonitor, report
from masakari.monitors.hosts.second_opinion import Opinion, Sign
from masakari.sim.clock import SimClock
from masakari.sim.cloud import SimCloud
from masakari.sim.processes import ApiServer, Response


class HostMonitor:
    """A host monitor as a process of the simulation."""

    def __init__(
        self, conf: cfg.ConfigOpts, clock: SimClock, cloud: SimCloud, api: ApiServer
    ) -> None:
        self._stop = clock.event()
        self._ended = clock.event()
        self._monitor = hostmonitor.build(
            conf, clock, cloud=cloud, masakari=Masakari(api), second_opinion=Knocks(cloud)
        )

    def start(self) -> None:
        """Watch until `stop`."""
        self._monitor.run(self._stop)
        self._ended.set()

    def stop(self) -> None:
        """Return when the loop has ended."""
        self._stop.set()
        self._ended.wait()


class Masakari:
    """report.Masakari: the simulated API."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def watched(self) -> list[str]:
        """As the SDK's."""
        found = []
        for segment in self._ask("GET", "/v1/segments").body["segments"]:
            if segment["enabled"]:
                hosts = self._ask("GET", f"/v1/segments/{segment['uuid']}/hosts").body["hosts"]
                found += [host["name"] for host in hosts]
        return found

    def notify(self, notification: report.Notification) -> report.Answer:
        """As the SDK's."""
        answer = self._ask("POST", "/v1/notifications", {"notification": dict(notification)})
        return report.Answer(answer.status, answer.reason, answer.message)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Response:
        try:
            answer = self._api.request(method, path, body)
        except ConnectionRefusedError as e:
            raise report.Unanswered(str(e), maybe_heard=False) from e
        except OSError as e:
            raise report.Unanswered(str(e)) from e
        if method == "GET" and answer.status != 200:
            raise report.Unanswered(f"{method} {path}: status {answer.status}")
        return answer


class Knocks:
    """second_opinion.SecondOpinion: whether hosts of the simulated cloud answer."""

    def __init__(self, cloud: SimCloud) -> None:
        self._cloud = cloud

    def ask(self, hosts: Collection[str]) -> Mapping[str, Opinion]:
        """An opinion on each of *hosts*."""
        return {host: self._knock(host) for host in hosts}

    def _knock(self, host: str) -> Opinion:
        if self._cloud.reachable(host):
            return Opinion(Sign.ALIVE, f"{host} answers")
        return Opinion(Sign.SILENT, f"{host} does not answer")
