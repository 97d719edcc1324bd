"""A whole system on one simulated clock: API, engines, host monitors, database, bus, cloud.

All of it is the production code; only cloud, clock, bus and the way to the API are simulated.
"""

import functools
import pathlib
import random
import tempfile
import types
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

from oslo_config import cfg

from masakari import conf as options
from masakari import db
from masakari.api.app import make_app
from masakari.db import migration, progress, session
from masakari.engine.service import Engine
from masakari.engine.world import World
from masakari.sim import outage
from masakari.sim.clock import SimClock, SimExecutor
from masakari.sim.cloud import Call, Fault, Settings, SimCloud
from masakari.sim.language import ScriptError
from masakari.sim.monitoring import HostMonitor
from masakari.sim.processes import ApiServer, Bus, Process
from masakari.sim.story import Story
from masakari.states import OPEN_STATUSES, NotificationStatus

QUIET_S = 100.0
"""After so long without a line nothing more is expected to happen."""

DEFAULTS = {
    "auth_strategy": "noauth2",
    "host.monitoring_driver": "nova",
    "host.monitoring_interval": 10,
    "host.monitoring_samples": 3,
    "hostname": "controller",
}


class System:
    """The system of one scenario.  `with` it: at the end every thread and file is gone."""

    def __init__(self, clock: SimClock, echo: Callable[[str], None] | None = None) -> None:
        random.seed(1)  # the components' jitter
        self.clock = clock
        self.story = Story(clock, echo)
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
        self.unproven: list[str] = []
        """Evacuations for which no proof was stored when Nova was asked."""
        self.peak_in_flight: dict[str, int] = {}
        """Evacuations at a time, by the host that they leave."""
        self.segments: dict[str, str] = {}
        """{name: uuid}, in the order of their registration"""
        self.registered_hosts: list[str] = []
        self.default_monitor: str | None = "hostmon"
        """The monitor that there is if none is added."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        directory = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._configure(directory / "masakari.sqlite")
        # who checks is not disturbed by what is simulated
        self._auditor = self.database(outage.Outage(self.clock))
        self.api = ApiServer(self.clock, self._make_app)
        self._stack.enter_context(self.story)
        self.cloud.add_fault(Fault(times=None, hook=lambda _: self.clock.checkpoint()))
        self.cloud.add_fault(Fault("evacuate", times=None, hook=self._audit_evacuate))
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
            self.clock, name, functools.partial(self._make_engine, name)
        )

        def recover(uuid: str) -> None:
            if isinstance(process.service, Engine):
                process.service.recover(uuid)

        self.bus.listen(process, recover)

    def add_monitor(self, name: str) -> None:
        """There is a host monitor of that name; it starts with `begin`."""
        self.monitors[name] = Process(self.clock, name, self._make_monitor)

    def begin(self) -> None:
        """The stage is set: engines and monitors start."""
        if not self.engines:
            self.add_engine("engine-a")
        if not self.monitors and self.default_monitor:
            self.add_monitor(self.default_monitor)
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

    def operate(self, method: str, path: str, body: dict[str, Any]) -> None:
        """An operator asks the API for something; what it answers is told."""
        answer = self.api.request(method, path, body)
        self.story.say("api", f"answers {answer.status} {answer.message}".strip())

    # ---- what came out

    def is_idle(self) -> bool:
        """Nobody has anything left to do, as far as can be seen."""
        quiet = self.clock.monotonic() - self.story.last_at >= QUIET_S
        return quiet and self.outage.is_over and not self.open_notifications()

    def notifications(self) -> list[db.models.Notification]:
        """All, oldest first."""
        page = db.query.Page(1000, None, ("created_at", "id"), ("asc", "asc"))
        return db.notifications.page(self._auditor, page)

    def open_notifications(self) -> list[db.models.Notification]:
        """Those that are not settled."""
        return [n for n in self.notifications() if n.status in OPEN_STATUSES]

    def moves(self, n: db.models.Notification) -> list[db.models.VMove]:
        """The moves of all attempts of a notification."""
        return [
            move
            for attempt in range(1, n.attempt + 1)
            for move in db.vmoves.of_attempt(self._auditor, n.notification_uuid, attempt)
        ]

    def tell_outcome(self) -> None:
        """The last lines: what became of each notification, each VM, and odd hosts."""
        for n in self.notifications():
            self.story.conclude(f"notification {n.notification_uuid}: {n.status} ({n.message})")
        running = self.cloud.running()
        for vm in sorted(self.cloud.vms.values(), key=lambda vm: vm.serial):
            where = ", ".join(running.get(vm.name, [])) or "nowhere"
            locked = ", locked" if vm.locked else ""
            self.story.conclude(f"{vm.name}: {vm.vm_state} on {vm.host}{locked}; runs on {where}")
        self._tell_hosts()

    def _tell_hosts(self) -> None:
        """Each registered host that is not up, enabled and in service."""
        for name in self.registered_hosts:
            service = self.cloud.compute_services(name)[0]
            odd = [service.state] if service.is_down else []
            odd += [] if service.is_enabled else [service.status]
            if db.hosts.get_by_name(self._auditor, name).on_maintenance:
                odd.append("on maintenance")
            if odd:
                self.story.conclude(f"{name}: {', '.join(odd)}")

    # ---- within

    def _configure(self, path: pathlib.Path) -> None:
        options.register(self.conf)
        options.register_monitors(self.conf)
        self.conf([], project="masakari", default_config_files=[], default_config_dirs=[])
        self.conf.set_override("connection", f"sqlite:///{path}", "database")
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
        )

    def _make_engine(self, name: str, incarnation: int) -> Engine:
        return Engine(
            World(
                conf=self.conf,
                database=self.database(),
                progress=self._progress(),
                cloud=self.cloud,
                clock=self.clock,
                pool=lambda threads, what: SimExecutor(self.clock, threads, what),
                owner=f"{name}#{incarnation}",
            )
        )

    def _make_monitor(self, incarnation: int) -> HostMonitor:
        return HostMonitor(self.conf, self.clock, self.cloud, self.api)

    def _audit_evacuate(self, call: Call) -> None:
        """Nova is asked to evacuate: was the proof stored before?  How many are under way?"""
        if self.clock.group() not in self.engines or call.host is None:
            return
        proven = [
            n
            for n in self.notifications()
            if n.status == NotificationStatus.RUNNING and n.proof and n.proof["host"] == call.host
        ]
        if not proven:
            self.unproven.append(f"{call.server_name} from {call.host}")
        else:
            self.cloud.ledger.proof(call.host, self.clock.now())
        flying = sum(
            move.source == call.host and move.status in ("accepted", "pre-migrating")
            for move in self.cloud.moves.values()
        )
        self.peak_in_flight[call.host] = max(self.peak_in_flight.get(call.host, 0), flying + 1)


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
