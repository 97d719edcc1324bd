"""Nova's API as the simulated cloud answers it: one attempt, errors and all.

Semantics and messages follow Nova's API (os-services, servers, actions, os-migrations,
os-aggregates, os-instance-actions); what comes over HTTP (`sim.http`) and what `SimCloud` asks
directly goes through here, and so do the faults.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from masakari.sim import aggregates, evacuation, migration, power
from masakari.sim.faults import ApiError, Call, Fault, Faults, Outcome
from masakari.sim.guards import check_state
from masakari.sim.records import OPERATOR, Action, Aggregate, Host, Move, Vm
from masakari.sim.site import Site
from masakari.sim.traffic import Traffic

T = TypeVar("T")

STOPPED_AFTER_EVACUATION = (2, 95)
"""From this microversion on evacuated servers stay stopped."""


class ComputeApi:
    """The verbs; *render* makes of a record what the caller wants, with the site locked."""

    def __init__(self, site: Site, faults: Faults) -> None:
        self._site = site
        self._traffic = Traffic(site, faults)

    @property
    def calls(self) -> Mapping[str, int]:
        """Requests by verb."""
        return self._traffic.calls

    def forget_counts(self) -> None:
        """Count from nothing again."""
        self._traffic.forget()

    # ---- reading

    def services(self, render: Callable[[Host], T], host: str | None = None) -> list[T]:
        """Of one host or of all."""

        def act(_: list[Fault]) -> list[T]:
            hosts = self._site.hosts.values()
            return [render(h) for h in hosts if host in (None, h.name)]

        return self._traffic.perform(Call("compute_services", host=host), act)

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

        return self._traffic.perform(Call("servers_on", host=host), act)

    def server(self, render: Callable[[Vm], T], server_id: str) -> T:
        """One server."""
        return self._traffic.perform(
            self._about("server", server_id), lambda _: render(self._vm(server_id))
        )

    def actions(
        self, render: Callable[[Action], T], server_id: str, limit: int | None = None
    ) -> list[T]:
        """What was done to a server, newest first; also to one that was deleted."""

        def act(_: list[Fault]) -> list[T]:
            found = self._site.action_records.get(server_id)
            if found is None:
                raise ApiError(404, f"Instance {server_id} could not be found.")
            return [render(a) for a in found[::-1][: self._page_size(limit)]]

        return self._traffic.perform(self._about("actions", server_id), act)

    def migrations(
        self,
        render: Callable[[Move], T],
        *,
        kind: str | None = "evacuation",
        source: str | None = None,
        server_id: str | None = None,
        status: str | None = None,
        since: datetime.datetime | None = None,
        limit: int | None = None,
        marker: str | None = None,
        paged: bool = True,
    ) -> tuple[list[T], bool]:
        """A page, newest first, and whether more follow; *marker*: a Move's uuid.

        *kind* is evacuation, migration or resize; None: all.  Nova keeps whole seconds only:
        *since* finds what changed in that second or later.  Without *paged* (before 2.59) all come
        at once.
        """

        def act(_: list[Fault]) -> tuple[list[T], bool]:
            site = self._site
            moves = site.moves if kind == "evacuation" else site.moves | site.cold_moves
            floor = None if since is None else since.replace(microsecond=0)
            rows = [
                m
                for _, m in sorted(moves.items(), reverse=True)
                if kind in (None, m.kind)
                and source in (None, m.source)
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

        verb = "evacuations" if kind == "evacuation" else "has_unconfirmed_move"
        return self._traffic.perform(Call(verb, server_id=server_id, host=source), act)

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
            if status is None and forced_down is None:
                raise ApiError(400, "No updates were requested.")
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
        return self._traffic.perform(Call(verb, host=found.name if found else None), act)

    # ---- aggregates

    def aggregates(self, render: Callable[[Aggregate], T]) -> list[T]:
        """All of them."""

        def act(_: list[Fault]) -> list[T]:
            return [render(a) for a in self._site.aggregate_records.values()]

        return self._traffic.perform(Call("aggregates"), act)

    def add_host(self, render: Callable[[Aggregate], T], aggregate: int, host: str) -> T:
        """The aggregate as it is after the change."""
        return self._traffic.perform(
            Call("add_to_aggregate", host=host),
            lambda _: render(aggregates.add_host(self._site, aggregate, host)),
        )

    def remove_host(self, render: Callable[[Aggregate], T], aggregate: int, host: str) -> T:
        """The aggregate as it is after the change."""
        return self._traffic.perform(
            Call("remove_from_aggregate", host=host),
            lambda _: render(aggregates.remove_host(self._site, aggregate, host)),
        )

    # ---- actions on servers

    def lock(self, server_id: str, reason: str | None = None, user: str = OPERATOR) -> None:
        """Lock; repeating it changes the reason only."""

        def act(vm: Vm, _: list[Fault]) -> None:
            self._site.record(vm, "lock", user)
            vm.locked = True
            vm.locked_reason = reason or vm.locked_reason

        self._change("lock", server_id, act)

    def unlock(self, server_id: str, user: str = OPERATOR) -> None:
        """Unlock, whoever has locked it."""

        def act(vm: Vm, _: list[Fault]) -> None:
            self._site.record(vm, "unlock", user)
            vm.locked, vm.locked_reason = False, None

        self._change("unlock", server_id, act)

    def reset_state(self, server_id: str, state: str, user: str = OPERATOR) -> None:
        """Nova's database says so from now on; nothing that runs is stopped."""

        def act(vm: Vm, _: list[Fault]) -> None:
            if state not in ("active", "error"):
                raise ApiError(400, f"Invalid input for field/attribute state. Value: {state}.")
            self._site.record(vm, "resetState", user)
            vm.vm_state, vm.task_state = state, None

        self._change("reset_state", server_id, act)

    def stop(self, server_id: str, user: str = OPERATOR) -> None:
        """Accepted: the host stops it, if it works."""
        self._change_power("stop", server_id, user)

    def start(self, server_id: str, user: str = OPERATOR) -> None:
        """Accepted: the host starts it, if it works."""
        self._change_power("start", server_id, user)

    def reboot(self, server_id: str, user: str = OPERATOR) -> None:
        """Accepted: the host builds its guest anew, if it works."""
        self._change_power("reboot", server_id, user)

    def migrate(self, server_id: str, user: str = OPERATOR) -> None:
        """Accepted: the VM goes to another host, where it waits for being confirmed."""

        def act(vm: Vm, faults: list[Fault]) -> None:
            seconds, outcome = _duration(faults), _outcome(faults)
            migration.ask(self._site, vm, user, seconds=seconds, outcome=outcome)

        self._change("migrate", server_id, act)

    def confirm_resize(self, server_id: str, user: str = OPERATOR) -> None:
        """Accepted: the host that it left cleans up."""
        self._change(
            "confirm_resize", server_id, lambda vm, _: migration.confirm(self._site, vm, user)
        )

    def evacuate(
        self,
        server_id: str,
        host: str | None,
        microversion: tuple[int, int] = (2, 94),
        user: str = OPERATOR,
    ) -> None:
        """Accepted; the migration's record tells the rest."""

        def act(vm: Vm, faults: list[Fault]) -> None:
            site = self._site
            if host is not None and host not in site.hosts:
                raise ApiError(404, f"Compute host {host} not found.")
            if host == vm.host:
                raise ApiError(400, "The target host can't be the same one.")
            # whatever the task is: Nova 34 starts a second evacuation beside a running one
            check_state(vm, "evacuate", ("active", "stopped", "error"), any_task=True)
            if site.is_up(site.hosts[vm.host]):
                raise ApiError(400, f"Compute service of {vm.host} is still in use.")
            seconds = _duration(faults)
            site.record(vm, "evacuate", user)
            evacuation.begin(
                site,
                vm,
                wanted=host,
                seconds=site.settings.evacuation_s if seconds is None else seconds,
                outcome=_outcome(faults),
                ends_stopped=microversion >= STOPPED_AFTER_EVACUATION,
            )

        self._change("evacuate", server_id, act)

    # ---- within

    def _change(self, verb: str, server_id: str, act: Callable[[Vm, list[Fault]], None]) -> None:
        """A request that changes one VM."""

        def change(faults: list[Fault]) -> None:
            vm = self._vm(server_id)
            act(vm, faults)
            vm.updated = self._site.now()

        self._traffic.perform(self._about(verb, server_id), change)

    def _change_power(self, action: str, server_id: str, user: str) -> None:
        def act(vm: Vm, faults: list[Fault]) -> None:
            seconds, outcome = _duration(faults), _outcome(faults)
            power.ask(self._site, vm, action, user, seconds=seconds, outcome=outcome)

        self._change(action, server_id, act)

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


def _duration(faults: Sequence[Fault]) -> float | None:
    """The first that a fault names."""
    return next((f.duration_s for f in faults if f.duration_s is not None), None)


def _outcome(faults: Sequence[Fault]) -> Outcome | None:
    return next((f.outcome for f in faults if f.outcome is not None), None)
