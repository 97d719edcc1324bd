"""Nova's API as the simulated cloud answers it: one attempt, errors and all.

Semantics and messages follow Nova's API (os-services, servers, actions, os-migrations); what comes
over HTTP (`sim.http`) and what `SimCloud` asks directly goes through here, and so do the faults.
"""

import collections
import datetime
from collections.abc import Callable
from typing import TypeVar

from masakari.sim import evacuation
from masakari.sim.faults import ApiError, Call, Fault, Faults
from masakari.sim.records import POWER_STATES, Host, Move, Vm
from masakari.sim.site import Site

T = TypeVar("T")

STOPPED_AFTER_EVACUATION = (2, 95)
"""From this microversion on evacuated servers stay stopped."""


class ComputeApi:
    """The verbs; `calls` counts the requests by verb."""

    def __init__(self, site: Site, faults: Faults) -> None:
        self._site = site
        self._faults = faults
        self.calls: collections.Counter[str] = collections.Counter()
        self.in_flight = 0
        self.peak_in_flight = 0

    def forget_counts(self) -> None:
        """Count from nothing again."""
        with self._site.mutex:
            self.calls.clear()
            self.peak_in_flight = self.in_flight

    # ---- reading

    def services(self, render: Callable[[Host], T], host: str | None = None) -> list[T]:
        """Of one host or of all."""

        def act(_: list[Fault]) -> list[T]:
            hosts = self._site.hosts.values()
            return [render(h) for h in hosts if host in (None, h.name)]

        return self._perform(Call("compute_services", host=host), act)

    def servers(
        self,
        render: Callable[[Vm], T],
        *,
        host: str | None = None,
        project: str | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> tuple[list[T], bool]:
        """A page, newest first, and whether more follow; *marker* is the last id before it."""

        def act(_: list[Fault]) -> tuple[list[T], bool]:
            site = self._site
            found = site.vms if host is None else site.vms_on(host)
            rows = [vm for vm in found.values() if project in (None, vm.project)]
            rows.sort(key=lambda vm: vm.serial, reverse=True)
            if marker is not None:
                if marker not in site.vms:
                    raise ApiError(400, f"marker [{marker}] not found")
                rows = [vm for vm in rows if vm.serial < site.vms[marker].serial]
            size = self._page_size(limit)
            return [render(vm) for vm in rows[:size]], len(rows) > size

        return self._perform(Call("servers_on", host=host), act)

    def server(self, render: Callable[[Vm], T], server_id: str) -> T:
        """One server."""
        return self._perform(
            self._about("server", server_id), lambda _: render(self._vm(server_id))
        )

    def migrations(
        self,
        render: Callable[[Move], T],
        *,
        source: str | None = None,
        server_id: str | None = None,
        status: str | None = None,
        since: datetime.datetime | None = None,
        limit: int | None = None,
        marker: str | None = None,
        paged: bool = True,
    ) -> tuple[list[T], bool]:
        """A page of evacuations, newest first, and whether more follow; *marker*: a Move's uuid.

        Nova keeps whole seconds only: *since* finds what changed in that second or later.  Without
        *paged* (before 2.59) all come at once.
        """

        def act(_: list[Fault]) -> tuple[list[T], bool]:
            moves = reversed(self._site.moves.values())
            floor = None if since is None else since.replace(microsecond=0)
            rows = [
                m
                for m in moves
                if source in (None, m.source)
                and server_id in (None, m.vm.id)
                and status in (None, m.status)
                and (floor is None or (m.updated is not None and m.updated >= floor))
            ]
            if not paged:
                return [render(m) for m in rows], False
            if marker is not None:
                ids = [m.uuid for m in rows]
                if marker not in ids:
                    raise ApiError(400, f"Marker {marker} could not be found.")
                rows = rows[ids.index(marker) + 1 :]
            size = self._page_size(limit)
            return [render(m) for m in rows[:size]], len(rows) > size

        return self._perform(Call("evacuations", server_id=server_id, host=source), act)

    # ---- changing services

    def update_service(
        self,
        render: Callable[[Host], T],
        service_id: str,
        *,
        status: str | None = None,
        reason: str | None = None,
        forced_down: bool | None = None,
    ) -> T:
        """The service as it is after the change."""

        def act(_: list[Fault]) -> T:
            host = self._host_of(service_id)
            if host is None:
                raise ApiError(404, f"Service {service_id} not found.")
            if status == "enabled" and reason:
                raise ApiError(
                    400, "Specifying 'disabled_reason' with status 'enabled' is invalid."
                )
            if forced_down is False and self._holds_done_evacuations(host):
                raise ApiError(
                    400,
                    f"Unable to force up host {host.name} as `done` evacuation migration records "
                    "remain associated with the host.",
                )
            if status is not None:
                host.disabled = status == "disabled"
                host.disabled_reason = reason if host.disabled else None
            if forced_down is not None:
                host.forced_down = forced_down
            return render(host)

        verb = {"enabled": "enable_service", "disabled": "disable_service"}.get(
            status or "", "force_down_service"
        )
        found = self._host_of(service_id)
        return self._perform(Call(verb, host=found.name if found else None), act)

    # ---- actions on servers

    def lock(self, server_id: str, reason: str | None = None) -> None:
        """Lock; repeating it changes the reason only."""

        def act(_: list[Fault]) -> None:
            vm = self._vm(server_id)
            vm.locked = True
            vm.locked_reason = reason or vm.locked_reason
            vm.updated = self._site.now()

        self._perform(self._about("lock", server_id), act)

    def unlock(self, server_id: str) -> None:
        """Unlock, whoever has locked it."""

        def act(_: list[Fault]) -> None:
            vm = self._vm(server_id)
            vm.locked, vm.locked_reason, vm.updated = False, None, self._site.now()

        self._perform(self._about("unlock", server_id), act)

    def reset_state(self, server_id: str, state: str) -> None:
        """Nova's database says so from now on; nothing that runs is stopped."""

        def act(_: list[Fault]) -> None:
            vm = self._vm(server_id)
            if state not in ("active", "error"):
                raise ApiError(400, f"Invalid input for field/attribute state. Value: {state}.")
            vm.vm_state, vm.task_state, vm.updated = state, None, self._site.now()

        self._perform(self._about("reset_state", server_id), act)

    def stop(self, server_id: str) -> None:
        """Accepted: the host stops it, if it works."""

        def act(faults: list[Fault]) -> None:
            vm = self._vm(server_id)
            self._check_state(vm, "stop", ("active", "error"))
            self._change_power(vm, "powering-off", "stopped", faults)

        self._perform(self._about("stop", server_id), act)

    def start(self, server_id: str) -> None:
        """Accepted: the host starts it, if it works."""

        def act(faults: list[Fault]) -> None:
            vm = self._vm(server_id)
            self._check_state(vm, "start", ("stopped",))
            self._change_power(vm, "powering-on", "active", faults)

        self._perform(self._about("start", server_id), act)

    def evacuate(
        self, server_id: str, host: str | None, microversion: tuple[int, int] = (2, 94)
    ) -> None:
        """Accepted; the migration's record tells the rest."""

        def act(faults: list[Fault]) -> None:
            vm, site = self._vm(server_id), self._site
            if host is not None and host not in site.hosts:
                raise ApiError(404, f"Compute host {host} not found.")
            if host == vm.host:
                raise ApiError(400, "The target host can't be the same one.")
            # whatever the task is: Nova 34 starts a second evacuation beside a running one
            self._check_state(vm, "evacuate", ("active", "stopped", "error"), any_task=True)
            if not vm.launched:
                raise ApiError(
                    409,
                    f"Cannot 'evacuate' instance {vm.id} while it is in an abnormal state "
                    "(launched_at None)",
                )
            if site.is_up(site.hosts[vm.host]):
                raise ApiError(400, f"Compute service of {vm.host} is still in use.")
            seconds = [f.duration_s for f in faults if f.duration_s is not None]
            outcomes = [f.outcome for f in faults if f.outcome is not None]
            evacuation.begin(
                site,
                vm,
                wanted=host,
                seconds=seconds[0] if seconds else site.settings.evacuation_s,
                outcome=outcomes[0] if outcomes else None,
                ends_stopped=microversion >= STOPPED_AFTER_EVACUATION,
            )

        self._perform(self._about("evacuate", server_id), act)

    # ---- within

    def _perform(self, call: Call, act: Callable[[list[Fault]], T]) -> T:
        """Count the call, let its faults happen, and do it."""
        site = self._site
        with site.mutex:
            self.calls[call.verb] += 1
            self.in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            faults = self._faults.take(call, site.clock.monotonic())
            latency = site.settings.latency_s + sum(f.latency_s for f in faults)
            if latency > 0:
                site.clock.sleep(latency)
            _strike(faults, "before", call)
            with site.present():
                answer = act(faults)
            _strike(faults, "after", call)
            return answer
        finally:
            with site.mutex:
                self.in_flight -= 1

    def _about(self, verb: str, server_id: str) -> Call:
        vm = self._site.vms.get(server_id)
        if vm is None:
            return Call(verb, server_id)
        return Call(verb, server_id, vm.name, vm.host)

    def _vm(self, server_id: str) -> Vm:
        vm = self._site.vms.get(server_id)
        if vm is None:
            raise ApiError(404, f"Instance {server_id} could not be found.")
        return vm

    def _host_of(self, service_id: str) -> Host | None:
        hosts = self._site.hosts.values()
        return next((h for h in hosts if h.service_id == service_id), None)

    def _holds_done_evacuations(self, host: Host) -> bool:
        moves = self._site.moves.values()
        return any(m.source == host.name and m.status == "done" for m in moves)

    def _page_size(self, limit: int | None) -> int:
        most = self._site.settings.max_limit
        return most if limit is None else min(limit, most)

    def _check_state(
        self, vm: Vm, action: str, vm_states: tuple[str, ...], *, any_task: bool = False
    ) -> None:
        for attribute, value, right in (
            ("vm_state", vm.vm_state, vm.vm_state in vm_states),
            ("task_state", vm.task_state, any_task or vm.task_state is None),
        ):
            if not right:
                raise ApiError(
                    409, f"Cannot '{action}' instance {vm.id} while it is in {attribute} {value}"
                )

    def _change_power(self, vm: Vm, task: str, becomes: str, faults: list[Fault]) -> None:
        site = self._site
        host = site.hosts[vm.host]
        vm.task_state, vm.updated = task, site.now()
        if not host.works:
            return  # The request waits in the host's queue; nobody sees it end.
        incarnation = host.incarnation

        def change() -> None:
            if not host.works or host.incarnation != incarnation or vm.task_state != task:
                return
            vm.vm_state, vm.task_state, vm.updated = becomes, None, site.now()
            vm.power_state = POWER_STATES[becomes]
            site.set_guest(host, vm, becomes == "active")

        seconds = [f.duration_s for f in faults if f.duration_s is not None]
        site.later(seconds[0] if seconds else site.settings.power_change_s, change)


def _strike(faults: list[Fault], when: str, call: Call) -> None:
    """The hooks and errors that come at this moment; the first error ends the call."""
    for fault in faults:
        if fault.when != when:
            continue
        if fault.hook is not None:
            fault.hook(call)
        if fault.error is not None:
            raise ApiError(
                fault.error, "The server is not able to answer (injected)", fault.retry_after_s
            )
