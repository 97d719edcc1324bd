"""The simulator's own HTTP interface, below `/sim`: build, break and look.

POST   /sim/reset           hosts, servers and settings, see `Control.reset`
GET    /sim/config          PUT: change some of them
PUT    /sim/hosts/NAME      {"state": "down" or "up", "status": …, "forced_down": …}: Nova's
                            opinion at once
POST   /sim/hosts/NAME/WHAT power_off, power_on, cut_network, heal_network, stop_compute or
                            start_compute
POST   /sim/servers/ID/crash  the guest dies where it runs
GET    /sim/state           hosts (with the port of their listener) and servers
GET    /sim/ledger          who runs what, what was violated, who is left locked
POST   /sim/proof           {"host": NAME}: proof of its death is on record now
GET    /sim/stats           requests by kind, peak in flight, evacuations; POST /sim/clear
POST   /sim/faults          one `faults.Fault`; DELETE: none any more
"""

import collections
import dataclasses
import random
import threading
import uuid
from collections.abc import Callable
from typing import Any

from masakari.sim.cloud import SimCloud
from masakari.sim.faults import ApiError, Fault, Outcome
from masakari.sim.keystone import Keystone
from masakari.sim.wire import Json, Request, Response

BREAKS = ("power_off", "power_on", "cut_network", "heal_network", "stop_compute", "start_compute")
SETTINGS = {
    "evac_time": "evacuation_s",
    "power_time": "power_change_s",
    "latency": "latency_s",
    "service_down_time": "service_down_time_s",
    "report_interval": "report_interval_s",
    "boot_time": "boot_s",
    "page_max": "max_limit",
}
"""{name in the control interface: name in site.Settings}"""
KEYSTONE = ("keystone_latency", "keystone_error")
SERVERS = uuid.UUID("6f6e6f76-6173-696d-0000-000000000000")
"""The ids of servers follow from their host and number; masakari/tests/conformance names one."""
FAULTS = ("evac_error_pct", "evac_error_ids", "err500_pct", "reset_pct")


class Stats:
    """Requests by kind and by answer, and how many were under way at once; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self.kinds: collections.Counter[str] = collections.Counter()
            self.codes: collections.Counter[str] = collections.Counter()
            self._in_flight = getattr(self, "_in_flight", 0)
            self.peak = self._in_flight

    def begin(self, kind: str) -> None:
        """A request has come."""
        with self._lock:
            self.kinds[kind] += 1
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)

    def end(self, kind: str, status: int) -> None:
        """It has been answered."""
        with self._lock:
            self.codes[f"{kind.split(maxsplit=1)[0]} {status}"] += 1
            self._in_flight -= 1


class Control:
    """Answers what stands below `/sim`."""

    def __init__(
        self,
        cloud: SimCloud,
        keystone: Keystone,
        stats: Stats,
        rebuilt: Callable[[], None],
        port_of: Callable[[str], int],
    ) -> None:
        self._cloud = cloud
        self._keystone = keystone
        self._stats = stats
        self._rebuilt = rebuilt
        self._port_of = port_of
        self._faults: dict[str, Any] = {}  # Any: numbers and a list, as JSON has them
        self.keystone_latency_s = 0.0

    def answer(self, request: Request) -> Response:
        """Route a request."""
        what = request.path.removeprefix("/sim/")
        try:
            return Response(200, self._route(request, what.split("/")))
        except KeyError as error:
            return Response(404, {"error": f"there is no {error}"})
        except (TypeError, ValueError) as error:
            return Response(400, {"error": str(error)})
        except ApiError as error:
            return Response(error.code, {"error": error.message})

    def _route(self, request: Request, parts: list[str]) -> Json:
        reads: dict[str, Callable[[], Json]] = {
            "stats": self.stats,
            "config": self.config,
            "state": self.state,
            "ledger": self.ledger,
        }
        changes: dict[str, Callable[[Json], Json]] = {
            "reset": lambda body: self.reset(**body),
            "config": self.configure,
            "clear": lambda _: self._clear(),
            "proof": self._proof,
            "faults": self._add_fault,
        }
        if parts[0] == "hosts":
            return self._change_host(parts[1:], request.json())
        if parts[0] == "servers" and parts[2:] == ["crash"]:
            self._cloud.crash(parts[1])
            return {}
        if request.method == "GET":
            return reads[parts[0]]()
        if request.method == "DELETE" and parts == ["faults"]:
            self._cloud.clear_faults()
            return {}
        return changes[parts[0]](request.json())

    # ---- building

    def reset(
        self,
        *,
        hosts: int = 3,
        instances: int = 0,
        load: dict[str, int] | None = None,
        ha: bool | float = True,
        seed: int = 1,
        vm_state: str = "active",
        prefix: str = "compute",
        node_suffix: str = "",
        **settings: Any,  # Any: what `configure` knows
    ) -> Json:
        """Hosts PREFIX-1 …, with *instances* VMs each, or as *load* says; a share *ha* HA-enabled.

        VMs are named vm-HOST-0 ….
        """
        cloud = self._cloud
        cloud.reset()
        self._faults.clear()
        self._stats.clear()
        self.configure(settings)
        chance = random.Random(seed)  # noqa: S311  # reproducible on purpose
        for number in range(1, hosts + 1):
            name = f"{prefix}-{number}"
            cloud.add_host(name, node=name + node_suffix)
            for index in range(instances if load is None else load.get(name, 0)):
                enabled = ha is True or chance.random() < float(ha)
                cloud.add_server(
                    name,
                    f"vm-{name}-{index}",
                    vm_state=vm_state,
                    metadata={"HA_Enabled": "True"} if enabled else {},
                    server_id=str(uuid.uuid5(SERVERS, f"{name}-{index}")),
                )
        self._rebuilt()
        return self.stats()

    def config(self) -> Json:
        """The settings under their names here."""
        settings = self._cloud.settings
        values = {name: getattr(settings, attribute) for name, attribute in SETTINGS.items()}
        values["keystone_latency"] = self.keystone_latency_s
        values["keystone_error"] = self._keystone.failure
        return {**values, **self._faults}

    def configure(self, changes: Json) -> Json:
        """Some settings are other ones from now on."""
        unknown = set(changes) - set(SETTINGS) - set(FAULTS) - set(KEYSTONE)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
        for name, value in changes.items():
            if name == "keystone_latency":
                self.keystone_latency_s = float(value)
            elif name == "keystone_error":
                self._keystone.failure = int(value)
            elif name in SETTINGS:
                kind = int if name == "page_max" else float
                setattr(self._cloud.settings, SETTINGS[name], kind(value))
            else:
                self._faults[name] = value
        if set(changes) & set(FAULTS):
            self._plan_faults()
        return self.config()

    def _plan_faults(self) -> None:
        cloud, rates = self._cloud, self._faults
        cloud.clear_faults()
        for server in rates.get("evac_error_ids", ()):
            cloud.add_fault(Fault("evacuate", server=server, outcome=Outcome.FAIL, times=None))
        for name, fault in (
            ("evac_error_pct", Fault("evacuate", outcome=Outcome.FAIL, times=None)),
            ("err500_pct", Fault(error=500, times=None)),
            ("reset_pct", Fault(error=0, times=None)),
        ):
            share = float(rates.get(name, 0)) / 100
            if share:
                cloud.add_fault(dataclasses.replace(fault, chance=share))

    # ---- breaking

    def _change_host(self, parts: list[str], body: Json) -> Json:
        host = self._cloud.hosts[parts[0]]
        if len(parts) == 2:
            if parts[1] not in BREAKS:
                raise KeyError(parts[1])
            getattr(self._cloud, parts[1])(host.name)
        elif set(body) - {"state", "status", "forced_down"}:
            raise ValueError("state, status and forced_down can be set")
        else:
            if "state" in body:
                self._cloud.set_service_state(host.name, body["state"] == "up")
            with self._cloud.present():
                if "status" in body:
                    host.disabled = body["status"] == "disabled"
                host.forced_down = body.get("forced_down", host.forced_down)
        with self._cloud.present():
            return self._host_row(host.name)

    def _add_fault(self, body: Json) -> Json:
        if "outcome" in body:
            body["outcome"] = Outcome(body["outcome"])
        for name in ("start", "until"):
            if name in body:  # seconds from now on
                body[name] = self._cloud.clock.monotonic() + float(body[name])
        self._cloud.add_fault(Fault(**body))
        return {}

    def _proof(self, body: Json) -> Json:
        self._cloud.ledger.proof(body["host"], self._cloud.clock.now())
        return {}

    def _clear(self) -> Json:
        self._stats.clear()
        self._cloud.api.forget_counts()
        return {}

    # ---- looking

    def stats(self) -> Json:
        """Counts since the last clear or reset; evacuations since the reset."""
        cloud = self._cloud
        with cloud.present():
            accepted = collections.Counter(e.server_id for e in cloud.ledger.evacuations)
            statuses = collections.Counter(m.status for m in cloud.moves.values())
            return {
                "requests": sum(self._stats.kinds.values()),
                "kinds": dict(self._stats.kinds),
                "codes": dict(self._stats.codes),
                "verbs": dict(cloud.calls),
                "peak_inflight": self._stats.peak,
                "evacuations": {
                    "accepted": sum(accepted.values()),
                    "servers": len(accepted),
                    "twice": sum(count > 1 for count in accepted.values()),
                    "statuses": dict(statuses),
                },
                "by_host": {name: len(host.vms) for name, host in cloud.hosts.items()},
                "not_active": sum(vm.vm_state != "active" for vm in cloud.vms.values()),
                "still_locked": sum(vm.locked for vm in cloud.vms.values()),
            }

    def state(self) -> Json:
        """Every host and every server."""
        cloud = self._cloud
        with cloud.present():
            running = cloud.ledger.running()
            return {
                "now": f"{cloud.now().isoformat()}Z",
                "hosts": [self._host_row(name) for name in cloud.hosts],
                "servers": [
                    {
                        "id": vm.id,
                        "name": vm.name,
                        "host": vm.host,
                        "vm_state": vm.vm_state,
                        "task_state": vm.task_state,
                        "locked": vm.locked,
                        "runs_on": running.get(vm.id, []),
                    }
                    for vm in cloud.vms.values()
                ],
            }

    def ledger(self) -> Json:
        """What really happened, and what should not have."""
        cloud = self._cloud
        with cloud.present():
            return {
                "violations": cloud.violations(proof=False),
                "without_proof": cloud.violations(),
                "running": cloud.running(),
                "left_locked": cloud.left_locked(),
                "evacuations": [
                    {
                        "server": cloud.name_of(e.server_id),
                        "source": e.source,
                        "at": f"{e.at.isoformat()}Z",
                        "migration": e.migration_id,
                    }
                    for e in cloud.ledger.evacuations
                ],
                "runs": [
                    {
                        "server": cloud.name_of(run.server_id),
                        "host": run.host,
                        "start": f"{run.start.isoformat()}Z",
                        "end": f"{run.end.isoformat()}Z" if run.end else None,
                    }
                    for run in cloud.ledger.runs
                ],
            }

    def _host_row(self, name: str) -> Json:
        host = self._cloud.hosts[name]
        return {
            "name": name,
            "node": host.node,
            "powered": host.powered,
            "reachable": host.reachable,
            "port": self._port_of(name),
            "state": "up" if self._cloud.is_up(host) else "down",
            "status": "disabled" if host.disabled else "enabled",
            "forced_down": host.forced_down,
            "servers": len(host.vms),
        }
