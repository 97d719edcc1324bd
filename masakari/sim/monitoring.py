"""Monitors in the simulation: a host monitor as a process, and the instance monitors of all hosts.

The host monitor is the production code, with its way to the API and its second opinion.  Instance
monitors are no more than what one of them does when it sees a guest die.
"""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

from oslo_config import cfg

from masakari.metrics import Meter
from masakari.monitors import hostmonitor, report
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.sim.clock import SimClock
from masakari.sim.cloud import SimCloud
from masakari.sim.processes import ApiServer, Response
from masakari.states import Reason


class HostMonitor:
    """A host monitor as a process of the simulation."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        clock: SimClock,
        cloud: SimCloud,
        api: ApiServer,
        meter: Meter,
        *,
        name: str,
    ) -> None:
        self._stop = clock.event()
        self._ended = clock.event()
        self._monitor = hostmonitor.build(
            conf,
            clock,
            cloud=cloud,
            masakari=Masakari(api, name),
            second_opinion=Knocks(cloud),
            meter=meter,
        )

    def start(self) -> None:
        """Watch until `stop`."""
        self._monitor.run(self._stop)
        self._ended.set()

    def stop(self) -> None:
        """Return when the loop has ended."""
        self._monitor.end(self._stop)
        self._ended.wait()


class Masakari:
    """report.Masakari: the simulated API."""

    def __init__(self, api: ApiServer, monitor: str) -> None:
        self._api = api
        self._monitor = monitor

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
            answer = self._api.request(method, path, body, monitor=self._monitor)
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


class InstanceMonitors:
    """Each host's monitor reports guests that have died, as long as its host lives.

    It asks again while the API does not answer or the host is on maintenance.
    """

    NAME = "instmon"
    TRIES = 12
    PAUSE_S = 10.0

    def __init__(
        self, clock: SimClock, cloud: SimCloud, api: ApiServer, say: Callable[[str, str], None]
    ) -> None:
        self._clock = clock
        self._cloud = cloud
        self._api = api
        self._say = say

    def guest_died(self, server_id: str, name: str, host: str) -> None:
        """The guest of the VM has died on the host; returns at once."""
        died_at = self._clock.now().isoformat(timespec="microseconds")
        body = {
            "type": "VM",
            "hostname": host,
            "generated_time": died_at,
            "payload": {
                "event": "LIFECYCLE",
                "instance_uuid": server_id,
                "vir_domain_event": "STOPPED_FAILED",
            },
        }
        tell = functools.partial(self._tell, name, host, body)
        self._clock.spawn(tell, name=name, group=self.NAME)

    def _tell(self, name: str, host: str, body: Mapping[str, Any]) -> None:
        for left in reversed(range(self.TRIES)):
            if not self._cloud.reachable(host):
                return
            try:
                answer = self._api.request("POST", "/v1/notifications", {"notification": body})
            except OSError as e:
                outcome, is_final = str(e), False
            else:
                outcome = f"{answer.status} {answer.message}".strip()
                is_final = answer.status < 500 and answer.reason != Reason.MAINTENANCE
            again = "" if is_final or not left else f"; again in {self.PAUSE_S:g} s"
            self._say(
                self.NAME, f"{host}: the guest of {name} has died: reported ({outcome}){again}"
            )
            if is_final:
                return
            self._clock.sleep(self.PAUSE_S)
