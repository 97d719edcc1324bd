"""A whole system on one simulated clock: API, engines, host monitors, database, bus, cloud.

All of it is the production code; only cloud, clock, bus and the way to the API are simulated.
"""

import contextlib
import functools
import json
import pathlib
import random
import tempfile
import types
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

from oslo_config import cfg

from masakari import conf as options
from masakari import db, locks
from masakari.api.app import make_app
from masakari.contacts import Contacts
from masakari.db import migration, progress, session
from masakari.engine import exclusions, flows
from masakari.engine.service import Engine
from masakari.engine.world import World
from masakari.errors import HostNameUnknown
from masakari.metrics import Tally
from masakari.pulse import Pulse
from masakari.sim import audit, cloud_rows, outage
from masakari.sim.clock import SimClock, SimExecutor
from masakari.sim.cloud import Fault, Settings, SimCloud
from masakari.sim.hearing import Hearing
from masakari.sim.language import ScriptError
from masakari.sim.monitoring import HostMonitor, InstanceMonitors
from masakari.sim.processes import ApiServer, Bus, Process
from masakari.sim.story import Story
from masakari.states import OPEN_STATUSES

QUIET_S = 100.0
"""After so long without a line nothing more is expected to happen."""

RESERVED = "reserved for masakari"
"""Why operators disable the compute service of a spare host."""

DEFAULTS = {
    "auth_strategy": "noauth2",
    "host.monitoring_driver": "nova",
    "host.monitoring_interval": 10,
    "host.monitoring_samples": 3,
    "hostname": "controller",
    # scenarios wait for long, and have hosts that nobody registers
    "alarms.waiting_age": 864000,
    "alarms.hosts_interval": 0,
}


class System:
    """The system of one scenario.  `with` it: at the end every thread and file is gone."""

    def __init__(self, clock: SimClock, echo: Callable[[str], None] | None = None) -> None:
        random.seed(1)  # the components' jitter
        self.clock = clock
        self.story = Story(clock, echo)
        self.hearing = Hearing(clock)
        self.counted = Tally()
        """By all processes together."""
        self.cloud = SimCloud(
            clock,
            Settings(
                service_down_time_s=60,
                report_interval_s=10,
                evacuation_s=10,
                boot_s=20,
                power_change_s=2,
                latency_s=0.02,
            ),
        )
        self.conf = cfg.ConfigOpts()
        self.outage = outage.Outage(clock)
        self.bus = Bus(clock, self._announced)
        self.engines: dict[str, Process] = {}
        self.monitors: dict[str, Process] = {}
        self.segments: dict[str, str] = {}
        """{name: uuid}, in the order of their registration"""
        self.registered_hosts: dict[str, str] = {}
        """{name: path in the API}, in the order of their registration"""
        self.reserved_hosts: list[str] = []
        """Those that were registered as reserved."""
        self.rules: dict[str, Any] = {}
        """What the exclusions file says at the start; empty: there is no file."""
        self._aggregates_at_first: dict[str, frozenset[str]] = {}
        """{host: names of the aggregates in which it was when the stage was set}"""
        self._exclusions: dict[str, exclusions.Exclusions] = {}
        """In force in each engine."""
        self._excluded: exclusions.Exclusions | None = None
        """In force all the time; None: they were replaced."""
        self._held: dict[str, object] = {}
        """The locks that engines hold."""
        self._locks: dict[str, locks.MemoryLocks] = {}
        """As each engine sees them."""
        self.default_monitor: str | None = "hostmon"
        """The monitor that there is if none is added."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._directory = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.story.names.know_place(str(self._directory), "/etc/masakari")
        self._configure(self._directory / "masakari.sqlite")
        # who checks is not disturbed by what is simulated
        self._auditor = self.database(outage.Outage(self.clock))
        self.api = ApiServer(self.clock, self._make_app)
        self.instance_monitors = InstanceMonitors(self.clock, self.cloud, self.api, self.story.say)
        self._stack.enter_context(self.story)
        self.cloud.add_fault(Fault(times=None, hook=lambda _: self.clock.checkpoint()))
        self.audit = audit.Audit(
            self.cloud,
            self.clock,
            self._auditor,
            self.engines,
            self.notifications,
            only_observes=self.only_observes,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.clock.close()
        self._stack.close()

    # ---- its parts

    def add_engine(self, name: str) -> None:
        """There is an engine of that name; it starts with `begin`."""
        self.engines[name] = process = Process(
            self.clock,
            name,
            functools.partial(self._make_engine, name),
            died=functools.partial(self._free_locks, name),
        )

        def recover(uuid: str) -> None:
            if isinstance(process.service, Engine):
                process.service.recover(uuid)

        self.bus.listen(process, recover)

    def add_monitor(self, name: str) -> None:
        """There is a host monitor of that name; it starts with `begin`."""
        make = functools.partial(self._make_monitor, name)
        self.monitors[name] = Process(self.clock, name, make)

    def begin(self) -> None:
        """The stage is set: engines and monitors start."""
        if not self.engines:
            self.add_engine("engine-a")
        if not self.monitors and self.default_monitor:
            self.add_monitor(self.default_monitor)
        if self.rules:
            self._write_exclusions(json.dumps(self.rules))
        self._excluded = exclusions.load(self.conf.engine.exclusions_file)
        self._aggregates_at_first = {name: self._aggregates_of(name) for name in self.cloud.hosts}
        for process in [*self.engines.values(), *self.monitors.values()]:
            process.start()
        self.bus.deliver()

    def process(self, name: str) -> Process | ApiServer:
        """The engine, the monitor or the API of that name.  Raises ScriptError."""
        if name == self.api.name:
            return self.api
        try:
            return {**self.engines, **self.monitors}[name]
        except KeyError:
            raise ScriptError(f"there is no engine or monitor {name}") from None

    def register(self, path: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """A segment or host, as the API shows it after having made it.  Raises ScriptError."""
        answer = self.api.request("POST", path, {kind: body})
        if answer.status >= 400:
            raise ScriptError(f"POST {path}: {answer.status} {answer.message}")
        made: dict[str, Any] = answer.body[kind]
        self.story.names.know(made["uuid"], made["name"])
        return made

    def operate(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """An operator asks the API for something; what it answers is told."""
        answer = self.api.request(method, path, body)
        self.story.say("api", f"answers {answer.status} {answer.message}".strip())

    def reload_exclusions(self, text: str) -> None:
        """The exclusions file says *text*, and each engine that is up gets SIGHUP."""
        self._write_exclusions(text)
        self._excluded = None
        for process in self.engines.values():
            if process.is_up:
                reload = self._exclusions[process.name].reload
                self.clock.spawn(reload, name="SIGHUP", group=process.name)

    # ---- what came out

    def is_idle(self) -> bool:
        """Nobody has anything left to do, as far as can be seen."""
        quiet = self.clock.monotonic() - self.story.last_at >= QUIET_S
        return quiet and self.outage.is_over and not self.open_notifications()

    def notifications(self) -> list[db.models.Notification]:
        """All, oldest first."""
        return db.notifications.every(self._auditor)

    def open_notifications(self) -> list[db.models.Notification]:
        """Those that are not settled."""
        return [n for n in self.notifications() if n.status in OPEN_STATUSES]

    def moves(self, n: db.models.Notification) -> list[db.models.VMove]:
        """The moves of all attempts of a notification, in all their chapters, latest first."""
        return db.vmoves.previous(self._auditor, n.notification_uuid, n.attempt + 1, 1)

    def hosts(self) -> list[db.models.Host]:
        """Those that are registered, in the order of their registration."""
        found = []
        for name in self.registered_hosts:
            with contextlib.suppress(HostNameUnknown):  # it was deregistered
                found.append(db.hosts.get_by_name(self._auditor, name))
        return found

    def only_observes(self) -> bool:
        """Whether nothing may be done: all is only observed, and nothing was begun before."""
        hosts = self.hosts()
        everywhere = self.conf.engine.observe_only
        return (everywhere or all(h.failover_segment.observe_only for h in hosts)) and not any(
            h.maintenance_by or h.reserved_for for h in hosts
        )

    def excluded(self, server_id: str) -> str | None:
        """Why the VM was never to be touched, if so it was all the time."""
        if self._excluded is None:
            return None
        return self._excluded.server(cloud_rows.server(self.cloud.vms[server_id]))

    def joined(self, host: str) -> list[str]:
        """The names of the aggregates in which the host is and was not when the stage was set."""
        return sorted(self._aggregates_of(host) - self._aggregates_at_first.get(host, frozenset()))

    # ---- within

    def _aggregates_of(self, host: str) -> frozenset[str]:
        aggregates = self.cloud.aggregate_records.values()
        return frozenset(a.name for a in aggregates if host in a.hosts)

    def _write_exclusions(self, text: str) -> None:
        path = self._directory / "exclusions.yaml"
        path.write_text(text)
        self.conf.set_override("exclusions_file", str(path), "engine")

    def _configure(self, path: pathlib.Path) -> None:
        options.register(self.conf)
        options.register_monitors(self.conf)
        self.conf([], project="masakari", default_config_files=[], default_config_dirs=[])
        self.conf.set_override("connection", f"sqlite:///{path}", "database")
        # only simulated machines lose power here
        self.conf.set_override("sqlite_synchronous", False, "database")
        for name, value in DEFAULTS.items():
            group, _, option = name.rpartition(".")
            self.conf.set_override(option, value, group or None)
        path.write_bytes(_empty_database())

    def database(self, state: outage.Outage | None = None) -> session.Database:
        """The database with new connections, as a process has them."""
        database = outage.connect(self.conf, self.clock, state or self.outage)
        self._stack.callback(database.dispose)
        return database

    def _progress(self) -> outage.SimBackend:
        backend = progress.connect(self.conf, self.clock)
        self._stack.callback(backend.close)
        return outage.SimBackend(backend, self.outage)

    def _announced(self, uuid: str, remark: str) -> None:
        """The bus has a message about a notification: a new one has its number from now on."""
        self.story.names.number("notification", uuid)
        if remark:
            self.story.say("bus", f"notification {uuid}: {remark}")

    def _make_app(self) -> Any:  # a WSGI callable
        return make_app(
            self.conf,
            database=self.database(),
            progress=self._progress(),
            cloud=self.cloud,
            engine=self.bus,
            events=self.hearing,
            meter=self.counted,
        )

    def _make_engine(self, name: str, incarnation: int) -> Engine:
        self._exclusions[name] = exclusions.load(self.conf.engine.exclusions_file)
        self._locks[name] = locks.MemoryLocks(self._held)
        return Engine(
            World(
                conf=self.conf,
                database=self.database(),
                progress=self._progress(),
                cloud=self.cloud,
                clock=self.clock,
                pool=lambda threads, what: SimExecutor(self.clock, threads, what),
                owner=f"{name}#{incarnation}",
                locks=self._locks[name],
                exclusions=self._exclusions[name],
                flows=flows.load(self.conf),
                pulse=Pulse(self.clock),
                contacts=Contacts(self.clock),
                meter=self.counted,
                events=self.hearing,
            )
        )

    def _free_locks(self, engine: str) -> None:
        """The lock backend has noticed that the engine is dead."""
        self._locks[engine].close()

    def _make_monitor(self, name: str, _incarnation: int) -> HostMonitor:
        return HostMonitor(self.conf, self.clock, self.cloud, self.api, self.counted, name=name)


@functools.cache
def _empty_database() -> bytes:
    """An SQLite file with all tables."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "empty.sqlite"
        conf = cfg.ConfigOpts()
        options.register(conf)
        conf([], project="masakari", default_config_files=[], default_config_dirs=[])
        conf.set_override("connection", f"sqlite:///{path}", "database")
        migration.sync(conf)
        return path.read_bytes()
