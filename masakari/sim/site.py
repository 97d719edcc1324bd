"""The simulated site: hosts that have power or not, what runs on them, and what Nova has on record.

Nothing runs in the background: what is due happens when somebody looks, at the time at which it was
due.  One lock guards everything; nobody waits while holding it.
"""

import datetime
import heapq
import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from masakari import clock as clock_
from masakari.sim import ledger
from masakari.sim.records import (
    NAMESPACE,
    OWNER,
    POWER_STATES,
    RUNNING_STATES,
    Action,
    Aggregate,
    Host,
    Move,
    Settings,
    Vm,
)

EPSILON_S = 1e-9


class Site:
    """Hosts, VMs and migrations, and the hand that breaks and repairs them."""

    def __init__(self, clock: clock_.Clock, settings: Settings | None = None) -> None:
        self.clock = clock
        self.settings = settings or Settings()
        self.mutex = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._origin = self.clock.now() - datetime.timedelta(seconds=self.clock.monotonic())
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count(1)
        self._instant: float | None = None
        self.hosts: dict[str, Host] = {}
        self.vms: dict[str, Vm] = {}
        self._names: dict[str, Vm] = {}
        self.moves: dict[int, Move] = {}
        """{id: evacuation}"""
        self.cold_moves: dict[int, Move] = {}
        """{id: cold migration or resize}"""
        self.aggregate_records: dict[int, Aggregate] = {}
        self.action_records: dict[str, list[Action]] = {}
        """{id of a VM: what was done to it, oldest first}; deleted VMs keep theirs."""
        self.ledger = ledger.Ledger(self.name_of)
        self._watchers: list[Callable[[str, bool], None]] = []

    # ---- time

    def monotonic(self) -> float:
        """Seconds on the clock; of the event, while a due event happens."""
        return self.clock.monotonic() if self._instant is None else self._instant

    def now(self) -> datetime.datetime:
        """The same as UTC, naive."""
        return self.at(self.monotonic())

    def at(self, seconds: float) -> datetime.datetime:
        """A time of the clock as UTC, naive."""
        return self._origin + datetime.timedelta(seconds=seconds)

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        """*happen* is due in *seconds*."""
        heapq.heappush(self._due, (self.monotonic() + seconds, next(self._sequence), happen))

    @contextmanager
    def present(self) -> Iterator[None]:
        """Nobody else changes anything, and all that is due has happened."""
        with self.mutex:
            now = self.clock.monotonic() + EPSILON_S
            while self._due and self._due[0][0] <= now:
                self._instant, _, happen = heapq.heappop(self._due)
                try:
                    happen()
                finally:
                    self._instant = None
            yield

    # ---- building it

    def add_host(
        self,
        name: str,
        *,
        node: str | None = None,
        capacity: int | None = None,
        disabled: bool = False,
    ) -> None:
        """A host with power and a compute service that is up.

        *node* is the hypervisor's host name (the same, if not given), *capacity* the number of VMs
        for which there is room.
        """
        with self.present():
            if name in self.hosts:
                raise ValueError(f"there is a host {name} already")
            index = len(self.hosts)
            # Hosts report at different moments, but the same ones in each run.
            offset = (index * 0.618) % 1 * self.settings.report_interval_s
            self.hosts[name] = Host(
                index=index,
                name=name,
                node=node or name,
                capacity=capacity,
                service_id=str(uuid.uuid5(NAMESPACE, f"service-{name}")),
                beats_since=self.monotonic() - offset,
                disabled=disabled,
            )

    def add_server(
        self,
        host: str,
        name: str,
        *,
        metadata: Mapping[str, str] | None = None,
        vm_state: str = "active",
        task_state: str | None = None,
        power_state: int | None = None,
        project: str = "demo",
        locked: bool = False,
        boots_from_volume: bool = True,
        zone: str | None = None,
        server_id: str | None = None,
    ) -> str:
        """A VM on the host; its id follows from its name.  Names are unique here.

        With *zone* the scheduler keeps it in that availability zone.
        """
        with self.present():
            if name in self._names:
                raise ValueError(f"there is a server {name} already")
            where = self.hosts[host]
            vm = Vm(
                serial=next(self._sequence),
                id=server_id or str(uuid.uuid5(NAMESPACE, f"server-{name}")),
                name=name,
                project=project,
                host=host,
                vm_state=vm_state,
                task_state=task_state,
                power_state=POWER_STATES[vm_state] if power_state is None else power_state,
                metadata=dict(metadata or {}),
                created=self.now(),
                updated=self.now(),
                launched=vm_state != "building",
                locked=locked,
                locked_by_owner=locked,
                boots_from_volume=boots_from_volume,
                zone=zone,
            )
            self.vms[vm.id] = self._names[name] = where.vms[vm.id] = vm
            self.record(vm, "create", OWNER)
            self.set_guest(where, vm, vm_state in RUNNING_STATES)
            return vm.id

    def delete_server(self, server: str) -> None:
        """Its owner has deleted the VM (name or id)."""
        with self.present():
            vm = self.vm(server)
            del self.vms[vm.id], self._names[vm.name]
            where = self.hosts[vm.host]
            where.vms.pop(vm.id, None)
            if where.works:
                self.drop_guest(where, vm.id)

    def record(self, vm: Vm, action: str, user: str | None) -> Action:
        """What is being done to the VM from now on, by *user* or by Nova itself."""
        number = next(self._sequence)
        done = Action(action, user, self.now(), f"req-{uuid.uuid5(NAMESPACE, f'action-{number}')}")
        self.action_records.setdefault(vm.id, []).append(done)
        return done

    def next_move_id(self) -> int:
        """Of the next evacuation or migration."""
        return len(self.moves) + len(self.cold_moves) + 1

    def zone_of(self, host: str) -> str | None:
        """The host's availability zone; None: it is in none but the default one."""
        zones = (a.zone for a in self.aggregate_records.values() if host in a.hosts and a.zone)
        return next(zones, None)

    def vm(self, server: str) -> Vm:
        """By name or id; KeyError if there is none."""
        return self._names.get(server) or self.vms[server]

    def vms_on(self, host: str) -> Mapping[str, Vm]:
        """{id: VM} of a host in Nova's opinion; none, where there is no such host."""
        return self.hosts[host].vms if host in self.hosts else {}

    def name_of(self, server_id: str) -> str:
        """The VM's name, or its id if it is gone."""
        vm = self.vms.get(server_id)
        return vm.name if vm else server_id

    # ---- breaking and repairing it

    def power_off(self, name: str) -> None:
        """The host loses its power now, and with it all that runs there."""
        with self.present():
            host = self.hosts[name]
            self._silence(host)
            host.powered = False
            for server_id, runs in host.guests.items():
                if runs:
                    host.guests[server_id] = False
                    self.ledger.stops(server_id, name, self.now())
        self._tell(name)

    def power_on(self, name: str) -> None:
        """The host boots; its nova-compute is there `boot_s` later.

        Then it has deleted the guests that were evacuated, those migrations are `completed`, and
        VMs that were active and not moved are `stopped`.
        """
        with self.present():
            host = self.hosts[name]
            if host.powered:
                return
            host.powered = True
            self.ledger.came_back(name, self.now())
            if host.compute:
                self.later(self.settings.boot_s, lambda: self._compute_starts(host))
        self._tell(name)

    def stop_compute(self, name: str) -> None:
        """The host's nova-compute ends; its VMs go on running."""
        with self.present():
            host = self.hosts[name]
            self._silence(host)
            host.compute = False

    def start_compute(self, name: str) -> None:
        """The host's nova-compute (re)starts and cleans up."""
        with self.present():
            host = self.hosts[name]
            host.compute = True
            if host.powered:
                self.ledger.came_back(name, self.now())
                self._compute_starts(host)

    def cut_network(self, name: str) -> None:
        """Nobody hears of the host any more; its VMs go on running."""
        with self.present():
            host = self.hosts[name]
            self._silence(host)
            host.connected = False
        self._tell(name)

    def heal_network(self, name: str) -> None:
        """The host is heard of again; its nova-compute was never away, so nothing is cleaned up."""
        with self.present():
            host = self.hosts[name]
            host.connected = True
            if host.works and host.beats_since is None:
                self.ledger.came_back(name, self.now())
                host.beats_since = self.monotonic()
                self._deliver(host)
        self._tell(name)

    def set_service_state(self, name: str, up: bool) -> None:
        """Power on, or power off with Nova's knowledge: the service is up or down at once."""
        if up:
            self.power_on(name)
            return
        self.power_off(name)
        with self.present():
            host = self.hosts[name]
            host.last_beat = self.monotonic() - self.settings.service_down_time_s - 1

    def reachable(self, name: str) -> bool:
        """Whether the host answers on the network (a TCP connection, a ping)."""
        with self.present():
            return self.hosts[name].reachable

    def watch(self, tell: Callable[[str, bool], None]) -> None:
        """*tell* is called with a host and whether it is reachable, after each change."""
        self._watchers.append(tell)

    def _tell(self, name: str) -> None:
        for tell in list(self._watchers):
            tell(name, self.hosts[name].reachable)

    # ---- heartbeats

    def last_beat(self, host: Host) -> float:
        """When Nova heard of the host's compute service last, on the clock."""
        if host.beats_since is None:
            return host.last_beat
        interval = self.settings.report_interval_s
        return self.monotonic() - (self.monotonic() - host.beats_since) % interval

    def is_up(self, host: Host) -> bool:
        """Nova's opinion."""
        heard = self.monotonic() - self.last_beat(host)
        return heard <= self.settings.service_down_time_s + EPSILON_S and not host.forced_down

    def _silence(self, host: Host) -> None:
        host.last_beat = self.last_beat(host)
        host.beats_since = None

    # ---- guests

    def set_guest(self, host: Host, vm: Vm, runs: bool) -> None:
        """The host's hypervisor has the VM's guest, running or not."""
        host.guests[vm.id] = runs and host.powered
        if host.guests[vm.id]:
            self.ledger.starts(vm.id, host.name, self.now())
        else:
            self.ledger.stops(vm.id, host.name, self.now())

    def drop_guest(self, host: Host, server_id: str) -> None:
        """The host's hypervisor knows nothing of the VM any more."""
        if host.guests.pop(server_id, False):
            self.ledger.stops(server_id, host.name, self.now())

    def _compute_starts(self, host: Host) -> None:
        """What nova-compute does when it starts (Nova: init_host, sync_power_states)."""
        if not host.works:
            return
        host.incarnation += 1
        host.beats_since = self.monotonic()
        for move in self.moves.values():
            # Also those still under way: Nova calls them completed, and done when they are.
            if move.source == host.name and move.status in ("accepted", "pre-migrating", "done"):
                self.drop_guest(host, move.vm.id)
                move.status = "completed"
                move.updated = self.now()
        for server_id in [i for i in host.guests if i not in self.vms]:
            self.drop_guest(host, server_id)
        for vm in host.vms.values():
            if host.guests.get(vm.id):
                continue
            vm.power_state = POWER_STATES["stopped"]
            if vm.vm_state in ("active", "stopped") and not _is_continued(vm):
                vm.vm_state, vm.task_state = "stopped", None
            vm.updated = self.now()
        self._deliver(host)

    def _deliver(self, host: Host) -> None:
        """The host's nova-compute does what it was asked for meanwhile."""
        waiting, host.waiting = host.waiting, []
        for do in waiting:
            do()


def _is_continued(vm: Vm) -> bool:
    """Whether its task goes on when nova-compute starts (Nova: _init_instance), or elsewhere."""
    return (vm.task_state or "").startswith(("rebuil", "powering-"))
