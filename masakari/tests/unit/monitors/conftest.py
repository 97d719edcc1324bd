"""A host monitor on simulated time, between a simulated cloud and an API with a script."""

import collections
import dataclasses
import datetime
from collections.abc import Callable, Collection, Iterator, Mapping

import pytest
from oslo_config import cfg

import masakari.conf
from masakari.monitors import hostmonitor, memory, report
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.pulse import Pulse
from masakari.sim import clock as sim_clock
from masakari.sim import cloud as sim_cloud

DUPLICATE_S = 180

Scripted = report.Answer | report.Unanswered


@dataclasses.dataclass(frozen=True)
class Heard:
    """A notification that the API accepted."""

    at: float
    host: str
    event: str
    generated_time: datetime.datetime


class ScriptedMasakari:
    """The API by the contract: registry, maintenance, duplicates; `script` says otherwise first."""

    def __init__(self, clock: sim_clock.SimClock) -> None:
        self._clock = clock
        self.registered: set[str] = set()
        self.on_maintenance: set[str] = set()
        self.is_up = True
        self.script: collections.deque[Scripted] = collections.deque()
        self.always: dict[str, Scripted] = {}
        """{host: what is said of it when the script is at its end}"""
        self.asked: list[tuple[float, str, str]] = []
        self.heard: list[Heard] = []

    def watched(self) -> list[str]:
        self._check()
        return sorted(self.registered)

    def notify(self, notification: report.Notification) -> report.Answer:
        host, payload = notification["hostname"], notification["payload"]
        assert isinstance(host, str)
        assert isinstance(payload, Mapping)
        self.asked.append((self._clock.monotonic(), host, payload["event"]))
        self._check()
        if self.script:
            said: Scripted | None = self.script.popleft()
        else:
            said = self.always.get(host)
        if said is not None:
            if isinstance(said, report.Unanswered):
                raise said
            return said
        return self._answer(notification, host, payload["event"])

    def _answer(self, notification: report.Notification, host: str, event: str) -> report.Answer:
        time = datetime.datetime.fromisoformat(str(notification["generated_time"]))
        if host not in self.registered:
            return report.Answer(400, "unknown-host", f"Host with name {host} could not be found.")
        if host in self.on_maintenance:
            return report.Answer(409, "maintenance", f"Host {host} is on maintenance.")
        window = time - datetime.timedelta(seconds=DUPLICATE_S)
        for earlier in self.heard:
            if (earlier.host, earlier.event) == (host, event) and earlier.generated_time >= window:
                return report.Answer(409, "duplicate", "An equal notification exists.")
        self.heard.append(Heard(self._clock.monotonic(), host, event, time))
        return report.Answer(202)

    def _check(self) -> None:
        if not self.is_up:
            raise report.Unanswered("connection refused", maybe_heard=False)

    @property
    def told(self) -> list[tuple[str, str]]:
        """(host, event) of what was accepted."""
        return [(heard.host, heard.event) for heard in self.heard]


class SiteOpinion:
    """Asks the simulated hosts; those in `deaf` never answer."""

    def __init__(self, cloud: sim_cloud.SimCloud) -> None:
        self._cloud = cloud
        self.deaf: set[str] = set()
        self.called: dict[str, str] = {}
        """{name: what the cloud calls that host}"""

    def ask(self, hosts: Collection[str]) -> Mapping[str, Opinion]:
        return {host: self._knock(host) for host in hosts}

    def _knock(self, name: str) -> Opinion:
        host = self.called.get(name, name)
        if host not in self._cloud.hosts:
            return Opinion(Sign.UNKNOWN, f"{host} could not be resolved")
        if host not in self.deaf and self._cloud.reachable(host):
            return Opinion(Sign.ALIVE, f"{host}:22 answers")
        return Opinion(Sign.SILENT, f"{host}:22 does not answer")


class World:
    """What a test sets up, breaks and looks at; time passes with `run`."""

    def __init__(self, clock: sim_clock.SimClock) -> None:
        self.clock = clock
        self.cloud = sim_cloud.SimCloud(clock, sim_cloud.Settings(retries=0))
        self.masakari = ScriptedMasakari(clock)
        self.opinion = SiteOpinion(self.cloud)
        self.pulse = Pulse(clock)
        self.kept: memory.Memory | None = None
        self.conf = cfg.ConfigOpts()
        masakari.conf.register_monitors(self.conf)
        self.conf([], project="masakarimonitors", default_config_files=[], default_config_dirs=[])
        self.option("hostname", "controller")
        self.option("monitoring_driver", "nova", "host")
        self.option("monitoring_interval", 10, "host")
        self.option("monitoring_samples", 2, "host")
        self._number = 0

    def option(self, name: str, value: object, group: str | None = None) -> None:
        """Set a configuration option; before `start`."""
        self.conf.set_override(name, value, group)

    def hosts(self, *names: str, registered: bool = True) -> None:
        """Hosts of the cloud that Masakari watches, or not."""
        for name in names:
            self.cloud.add_host(name)
        if registered:
            self.masakari.registered.update(names)

    def start(self) -> Callable[[], None]:
        """A monitor runs; what is returned kills it."""
        self._number += 1
        group = f"monitor-{self._number}"
        self.monitor = monitor = hostmonitor.build(
            self.conf,
            self.clock,
            cloud=self.cloud,
            masakari=self.masakari,
            second_opinion=self.opinion,
            pulse=self.pulse,
            kept=self.kept,
        )
        stop = self.clock.event()
        self.clock.spawn(lambda: monitor.run(stop), name="main", group=group)
        return lambda: self.clock.kill(group)

    def push(self, why: str = "somebody has said so") -> None:
        """The monitor that was started last is told to look."""
        self.monitor.push("test", why)

    def run(self, seconds: float) -> None:
        """So much time passes."""
        self.clock.sleep(seconds)


@pytest.fixture
def world() -> Iterator[World]:
    with sim_clock.SimClock() as clock:
        yield World(clock)
