"""A whole system on one simulated clock: API, engines, host monitors, database, bus, cloud.

All of it is the production code; only cloud, clock, bus and the way to the API are simulated.  The
methods are the words of the scenario language (`masakari.sim.script`).
"""

import functools
import pathlib
import random
import tempfile
import types
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any, Self

from oslo_config import cfg

from masakari import conf as options
from masakari import db
from masakari.api.app import make_app
from masakari.db import migration, progress, session
from masakari.engine.service import Engine
from masakari.engine.world import World
from masakari.monitors import hostmonitor, report
from masakari.monitors.hosts.second_opinion import Opinion, Sign
from masakari.sim import outage
from masakari.sim.clock import SimClock, SimExecutor
from masakari.sim.cloud import Call, Fault, Outcome, Settings, SimCloud
from masakari.sim.language import ScriptError
from masakari.sim.processes import ApiServer, Bus, Process, Response
from masakari.sim.story import Story
from masakari.states import OPEN_STATUSES, NotificationStatus

QUIET_S = 180.0
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
        self._segment = ""
        self._segments: dict[str, str] = {}
        self._with_monitors = True
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        directory = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._configure(directory / "masakari.sqlite")
        self._auditor = self._database()
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

    # ---- the stage

    def option(self, name: str, value: str) -> None:
        """Set a configuration option, GROUP.NAME or NAME; before everything else."""
        group, _, option = name.rpartition(".")
        try:
            self.conf.set_override(option, value, group or None)
        except (cfg.NoSuchOptError, cfg.NoSuchGroupError, ValueError) as e:
            raise ScriptError(f"option {name}: {e}") from None

    def nova(self, name: str, limit: float) -> None:
        """Set how the simulated Nova behaves; the names are those of sim.site.Settings."""
        if not hasattr(self.cloud.settings, name):
            raise ScriptError(f"Nova has no setting {name}")
        setattr(self.cloud.settings, name, limit)

    def segment(self, name: str, method: str) -> None:
        """Register a segment; the hosts that follow belong to it."""
        body = {"name": name, "recovery_method": method, "service_type": "compute"}
        answer = self._operate("POST", "/v1/segments", {"segment": body})
        self._segment = name
        self._segments[name] = answer.body["segment"]["uuid"]
        self.story.names.know(self._segments[name], name)

    def host(self, hosts: list[str], segment: str | None = None) -> None:
        """Compute hosts, registered in the last segment or in the one named."""
        for name in hosts:
            self.unregistered(name.split())
            uuid = self._segments[segment or self._segment]
            body = {"name": name, "type": "COMPUTE", "control_attributes": "SSH"}
            answer = self._operate("POST", f"/v1/segments/{uuid}/hosts", {"host": body})
            self.story.names.know(answer.body["host"]["uuid"], name)

    def unregistered(self, hosts: list[str]) -> None:
        """Compute hosts that Nova knows and Masakari does not."""
        for name in hosts:
            self.cloud.add_host(name)

    def vm(
        self,
        vms: list[str],
        host: str,
        *,
        state: str = "active",
        task: str | None = None,
        ha: str | None = None,
        locked: str | None = None,
    ) -> None:
        """VMs on a host."""
        for name in vms:
            uuid = self.cloud.add_server(
                host,
                name,
                vm_state=state,
                task_state=task,
                metadata={"HA_Enabled": "True"} if ha else {},
                locked=locked is not None,
            )
            self.story.names.know(uuid, name)

    def engine(self, name: str) -> None:
        """An engine; without any, there is one named engine-a."""
        self.engines[name] = process = Process(
            self.clock, name, functools.partial(self._make_engine, name)
        )

        def recover(uuid: str) -> None:
            if isinstance(process.service, Engine):
                process.service.recover(uuid)

        self.bus.listen(process, recover)

    def monitor(self, name: str) -> None:
        """A host monitor; without any, there is one named hostmon."""
        self.monitors[name] = Process(self.clock, name, functools.partial(self._make_monitor, name))

    def no_monitor(self) -> None:
        """There is no host monitor."""
        self._with_monitors = False

    def begin(self) -> None:
        """The stage is set: engines and monitors start."""
        if not self.engines:
            self.engine("engine-a")
        if not self.monitors and self._with_monitors:
            self.monitor("hostmon")
        for process in [*self.engines.values(), *self.monitors.values()]:
            process.start()
        self.bus.deliver()

    # ---- what happens to the cloud

    def power(self, hosts: list[str], state: str) -> None:
        """Cut or restore the power of hosts."""
        for name in hosts:
            (self.cloud.power_off if state == "off" else self.cloud.power_on)(name)

    def network(self, host: str, state: str) -> None:
        """Cut or heal a host's network; its VMs go on running."""
        (self.cloud.cut_network if state == "cut" else self.cloud.heal_network)(host)

    def compute(self, host: str, state: str) -> None:
        """Stop or start nova-compute on a host; its VMs go on running."""
        (self.cloud.stop_compute if state == "stopped" else self.cloud.start_compute)(host)

    def fails(self, vms: list[str], times: float = 1) -> None:
        """The next evacuations of VMs fail on their destination."""
        for name in vms:
            self.cloud.add_fault(
                Fault("evacuate", server=name, times=int(times), outcome=Outcome.FAIL)
            )

    def hangs(self, vms: list[str]) -> None:
        """The next evacuation of each VM never ends."""
        for name in vms:
            self.cloud.add_fault(Fault("evacuate", server=name, outcome=Outcome.HANG))

    def takes(self, vms: list[str], duration: float) -> None:
        """The evacuation of VMs takes so many seconds."""
        for name in vms:
            self.cloud.add_fault(Fault("evacuate", server=name, times=None, duration_s=duration))

    def answers(self, code: float, duration: float, verb: str = "*") -> None:
        """Nova answers every request (or one verb of cloud.Cloud) with an HTTP error."""
        now = self.clock.monotonic()
        self.cloud.add_fault(
            Fault(verb, error=int(code), times=None, start=now, until=now + duration)
        )

    def evacuated_by_hand(self, vms: list[str]) -> None:
        """An operator has Nova evacuate VMs, and answers for the host being dead."""
        for name in vms:
            vm = self.cloud.vm(name)
            self.cloud.ledger.proof(vm.host, self.clock.now())
            self.cloud.evacuate(vm.id)

    def delete(self, vms: list[str]) -> None:
        """Their owner deletes VMs."""
        for name in vms:
            self.cloud.delete_server(name)

    # ---- what happens to Masakari

    def kill(self, name: str) -> None:
        """kill -9 an engine, a monitor or the API."""
        self._process(name).kill()

    def kill_at(self, name: str, when: str, verb: str, vm: str | None = None) -> None:
        """kill -9 an engine right before or after Nova has done what it asks next."""

        def die(_: Call) -> None:
            if self.clock.group() == name and armed:
                armed.clear()
                self.story.say("sim", f"kill {name}")
                self.engines[name].kill()
                self.clock.checkpoint()

        armed = [True]
        self.cloud.add_fault(Fault(verb, server=vm, when=when, times=None, hook=die))

    def start(self, name: str) -> None:
        """Start an engine, a monitor or the API again."""
        self._process(name).start()
        self.bus.deliver()

    def stop(self, name: str) -> None:
        """Stop an engine or a monitor in good order."""
        process = self._process(name)
        if isinstance(process, ApiServer):
            raise ScriptError("the API can only be killed")
        process.stop()

    def restart(self, name: str) -> None:
        """kill -9 and start again at once."""
        self.kill(name)
        self.start(name)

    def bus_fault(self, fault: str, times: float) -> None:
        """The next messages get lost, or are delivered twice."""
        if fault == "loses":
            self.bus.lose += int(times)
        else:
            self.bus.double += int(times)

    def away(self, name: str, duration: float) -> None:
        """The database, the bus or the API does not answer for so many seconds."""
        back: Callable[[], object]
        if name == "database":
            self.outage.begin()
            back = self.outage.end
        elif name == "bus":
            self.bus.is_up = False
            back = functools.partial(setattr, self.bus, "is_up", True)
        else:
            self.api.kill()
            back = self.api.start

        def end() -> None:
            self.story.say("sim", f"{name} is back")
            back()

        self.clock.call_at(self.clock.monotonic() + duration, end, name="back", group="sim")

    def report(self, host: str, event: str, status: str = "NORMAL") -> None:
        """An operator posts a notification about a host."""
        payload = {
            "event": event.upper(),
            "host_status": status.upper(),
            "cluster_status": "OFFLINE" if event == "stopped" else "ONLINE",
        }
        self._post("COMPUTE_HOST", host, payload)

    def report_process(self, process: str, host: str) -> None:
        """An operator posts a notification about a process."""
        self._post("PROCESS", host, {"process_name": process, "event": "STOPPED"})

    def set_segment(self, name: str, state: str) -> None:
        """An operator switches recovery on or off for a segment."""
        body = {"segment": {"enabled": state == "enabled"}}
        self._tell("PUT", f"/v1/segments/{self._segments[name]}", body)

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
        """The last lines: what became of each notification and of each VM."""
        for n in self.notifications():
            self.story.conclude(f"notification {n.notification_uuid}: {n.status} ({n.message})")
        running = self.cloud.running()
        for vm in sorted(self.cloud.vms.values(), key=lambda vm: vm.serial):
            where = ", ".join(running.get(vm.name, [])) or "nowhere"
            locked = ", locked" if vm.locked else ""
            self.story.conclude(f"{vm.name}: {vm.vm_state} on {vm.host}{locked}; runs on {where}")

    # ---- within

    def _configure(self, path: pathlib.Path) -> None:
        options.register(self.conf)
        options.register_monitors(self.conf)
        self.conf([], project="masakari", default_config_files=[], default_config_dirs=[])
        self.conf.set_override("connection", f"sqlite:///{path}", "database")
        for name, value in DEFAULTS.items():
            self.option(name, value)  # type: ignore[arg-type]
        path.write_bytes(_empty_database())

    def _database(self) -> session.Database:
        database = outage.connect(self.conf, self.clock, self.outage)
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
            database=self._database(),
            progress=self._progress(),
            cloud=self.cloud,
            engine=self.bus,
        )

    def _make_engine(self, name: str, incarnation: int) -> Engine:
        return Engine(
            World(
                conf=self.conf,
                database=self._database(),
                progress=self._progress(),
                cloud=self.cloud,
                clock=self.clock,
                pool=lambda threads, what: SimExecutor(self.clock, threads, what),
                owner=f"{name}#{incarnation}",
            )
        )

    def _make_monitor(self, name: str, incarnation: int) -> "_HostMonitor":
        return _HostMonitor(self, name)

    def _process(self, name: str) -> Process | ApiServer:
        if name == self.api.name:
            return self.api
        try:
            return {**self.engines, **self.monitors}[name]
        except KeyError:
            raise ScriptError(f"there is no engine or monitor {name}") from None

    def _post(self, kind: str, host: str, payload: Mapping[str, str]) -> None:
        now = self.clock.now().isoformat(timespec="microseconds")
        self._tell(
            "POST",
            "/v1/notifications",
            {
                "notification": {
                    "type": kind,
                    "hostname": host,
                    "generated_time": now,
                    "payload": dict(payload),
                }
            },
        )

    def _operate(self, method: str, path: str, body: dict[str, Any]) -> Response:
        answer = self.api.request(method, path, body)
        if answer.status >= 400:
            raise ScriptError(f"{method} {path}: {answer.status} {answer.body}")
        return answer

    def _tell(self, method: str, path: str, body: dict[str, Any]) -> None:
        """Ask the API and say what it answered."""
        answer = self.api.request(method, path, body)
        text = str(answer.status)
        if answer.status >= 400:
            text += " " + str(next(iter(answer.body.values()))["message"])
        self.story.say("api", f"answers {text}")

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


class _HostMonitor:
    """A host monitor as a process of the simulation."""

    def __init__(self, system: System, name: str) -> None:
        self._stop = system.clock.event()
        self._ended = system.clock.event()
        self._monitor = hostmonitor.build(
            system.conf,
            system.clock,
            cloud=system.cloud,
            masakari=_Masakari(system),
            second_opinion=_Knocks(system.cloud),
        )

    def start(self) -> None:
        """Watch until `stop`."""
        self._monitor.run(self._stop)
        self._ended.set()

    def stop(self) -> None:
        """Return when the loop has ended."""
        self._stop.set()
        self._ended.wait()


class _Masakari:
    """report.Masakari: the simulated API."""

    def __init__(self, system: System) -> None:
        self._api = system.api

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
        message = ""
        if answer.status >= 400:
            message = next(iter(answer.body.values()))["message"]
        return report.Answer(answer.status, answer.reason, message)

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


class _Knocks:
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
