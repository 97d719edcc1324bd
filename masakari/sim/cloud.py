"""The simulated cloud, in memory: Nova as the engine sees it, with a ledger of what really runs.

`SimCloud` is a `cloud.Cloud`; unlike a mock it says no where Nova would.  Build it with `add_host`,
`add_aggregate` and `add_server`, break it with `power_off`, `cut_network`, `crash` and `add_fault`,
be a VM's owner with `owner_action`, look at `ledger`, `calls` and `left_locked`.  All times are
those of the clock that it was given.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from masakari import clock as clock_
from masakari import cloud, errors, retry
from masakari.sim import aggregates, cloud_rows, owner, power
from masakari.sim.compute import ComputeApi
from masakari.sim.faults import ApiError, Call, Fault, Faults, Outcome
from masakari.sim.records import OPERATOR, Settings
from masakari.sim.site import Site

__all__ = ["ApiError", "Call", "Fault", "Outcome", "Settings", "SimCloud"]

T = TypeVar("T")

MICROVERSION = (2, 94)
"""As NovaCloud: the highest that the simulated Nova offers, but not more."""


class SimCloud(Site):
    """A cloud.Cloud on a Site.  Transient errors are repeated as NovaCloud repeats them."""

    def __init__(
        self, clock: clock_.Clock, settings: Settings | None = None, *, seed: int = 1
    ) -> None:
        super().__init__(clock, settings)
        self._faults = Faults(seed)
        self.api = ComputeApi(self, self._faults)

    # ---- hands and eyes of who tests

    @property
    def calls(self) -> Mapping[str, int]:
        """Requests by verb, repeated ones and pages included."""
        return self.api.calls

    def add_fault(self, fault: Fault) -> None:
        """It happens from now on."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def add_aggregate(self, name: str, hosts: Sequence[str] = (), zone: str | None = None) -> int:
        """A host aggregate, which is an availability zone with *zone*; its id."""
        with self.present():
            return aggregates.create(self, name, tuple(hosts), zone)

    def crash(self, server: str, *, noticed: bool = True) -> None:
        """The VM (name or id) dies where it runs.

        *noticed*: `crash_noticed_s` later Nova stops it, unless it has a task then; its record of
        that names no user.
        """
        with self.present():
            power.die(self, self.vm(server), noticed=noticed)

    def owner_action(self, server: str, action: str) -> None:
        """The VM's owner has asked Nova for the action; see owner.act.  Raises ApiError."""
        with self.present():
            owner.act(self, self.vm(server), action)

    def reset(self) -> None:
        """No hosts, no servers, no faults, a new ledger."""
        with self.mutex:
            self._faults.clear()
            self._forget()
            self.api.forget_counts()

    def running(self) -> dict[str, list[str]]:
        """{name of a VM: hosts that run it now}."""
        with self.present():
            return {self.name_of(i): hosts for i, hosts in self.ledger.running().items()}

    def violations(self, *, proof: bool = True) -> list[str]:
        """What must never happen and did, up to now; see Ledger.violations."""
        with self.present():
            return self.ledger.violations(proof=proof)

    def left_locked(self) -> list[str]:
        """Names of the VMs that are locked and whose owners did not lock them, or vice versa."""
        with self.present():
            return [vm.name for vm in self.vms.values() if vm.locked != vm.locked_by_owner]

    # ---- cloud.Cloud

    @property
    def user_id(self) -> str | None:
        """As Cloud."""
        return OPERATOR

    @property
    def confirms_by_migrations(self) -> bool:
        """As of microversion 2.59."""
        return self._microversion() >= (2, 59)

    def compute_services(self, host: str | None = None) -> Sequence[cloud.ComputeService]:
        """As Cloud."""
        return self._ask(
            "list compute services",
            lambda: self.api.services(partial(cloud_rows.service, self), host),
        )

    def disable_service(
        self, service: cloud.ComputeService, reason: str, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        self._ask(
            f"disable the compute service of {service.host}",
            lambda: self.api.update_service(
                partial(cloud_rows.service, self), service.id, status="disabled", reason=reason
            ),
            leave=leave,
        )

    def enable_service(
        self, service: cloud.ComputeService, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        self._ask(
            f"enable the compute service of {service.host}",
            lambda: self.api.update_service(
                partial(cloud_rows.service, self), service.id, status="enabled"
            ),
            leave=leave,
        )

    def servers_on(self, host: str) -> Sequence[cloud.Server]:
        """As Cloud."""
        rows: list[cloud.Server] = []
        more, marker = True, None
        while more:
            page, more = self._ask(
                f"list the servers on {host}",
                partial(self.api.servers, cloud_rows.server, host=host, marker=marker),
            )
            rows += page
            marker = rows[-1].id if rows else None
        return rows

    def server(self, server_id: str) -> cloud.Server:
        """As Cloud."""
        return self._ask(
            f"show server {server_id}", lambda: self.api.server(cloud_rows.server, server_id)
        )

    def lock(self, server_id: str, reason: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._ask(f"lock server {server_id}", lambda: self.api.lock(server_id, reason), leave=leave)

    def unlock(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._ask(f"unlock server {server_id}", lambda: self.api.unlock(server_id), leave=leave)

    def reset_state(self, server_id: str, state: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._ask(
            f"reset the state of server {server_id}",
            lambda: self.api.reset_state(server_id, state),
            leave=leave,
        )

    def stop(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._ask(
            f"stop server {server_id}",
            lambda: self.api.stop(server_id),
            lambda: self._is(server_id, "powering-off", "stopped"),
            leave,
        )

    def start(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._ask(
            f"start server {server_id}",
            lambda: self.api.start(server_id),
            lambda: self._is(server_id, "powering-on", "active"),
            leave,
        )

    def reboot(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        before = self.server(server_id).vm_state

        def is_done() -> bool:
            return cloud.is_rebooted(before, self.server(server_id))

        self._ask(f"reboot server {server_id}", lambda: self.api.reboot(server_id), is_done, leave)

    def migrate(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        before = self.server(server_id).host

        def is_done() -> bool:
            return cloud.is_migrated(before, self.server(server_id))

        self._ask(
            f"migrate server {server_id}", lambda: self.api.migrate(server_id), is_done, leave
        )

    def confirm_resize(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""

        def is_done() -> bool:
            return self.server(server_id).vm_state != "resized"

        try:
            self._ask(
                f"confirm the migration of server {server_id}",
                lambda: self.api.confirm_resize(server_id),
                is_done,
                leave,
            )
        except errors.CloudRefused as refused:
            if refused.details["code"] != 400:
                raise

    def has_unconfirmed_move(self, server_id: str) -> bool:
        """As Cloud."""
        rows, _ = self._ask(
            f"list the migrations of server {server_id}",
            lambda: self.api.migrations(
                cloud_rows.migration, kind=None, server_id=server_id, status="finished"
            ),
        )
        return bool(rows)

    def actions(self, server_id: str) -> Sequence[cloud.Action]:
        """As Cloud."""
        return self._ask(
            f"list what was done to server {server_id}",
            lambda: self.api.actions(cloud_rows.action, server_id, cloud.ACTIONS_LIMIT),
        )

    def evacuate(
        self, server_id: str, host: str | None = None, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""

        def is_done() -> bool:
            raise errors.CloudUnavailable(service="Nova", detail="it may have accepted, or not")

        self._ask(
            f"evacuate server {server_id}",
            lambda: self.api.evacuate(server_id, host, self._microversion()),
            is_done,
            leave,
        )

    def evacuations(
        self, source: str, since: datetime.datetime | None = None
    ) -> Sequence[cloud.Migration]:
        """As Cloud."""
        if since is not None and not self.confirms_by_migrations:
            raise errors.CloudRefused(action="list changed evacuations", detail="2.59", code=400)
        rows: list[tuple[cloud.Migration, str]] = []
        more, marker = True, None
        while more:
            page, more = self._ask(
                f"list the evacuations from {source}",
                partial(
                    self.api.migrations,
                    lambda m: (cloud_rows.migration(m), m.uuid),
                    source=source,
                    since=since,
                    marker=marker,
                ),
            )
            rows += page
            marker = rows[-1][1] if rows else None
        return [record for record, _ in rows]

    def aggregates(self) -> Sequence[cloud.Aggregate]:
        """As Cloud."""
        return self._ask("list aggregates", lambda: self.api.aggregates(cloud_rows.aggregate))

    def add_to_aggregate(
        self, aggregate: cloud.Aggregate, host: str, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        self._ask(
            f"add host {host} to aggregate {aggregate.name}",
            lambda: self.api.add_host(cloud_rows.aggregate, aggregate.id, host),
            lambda: self._is_member(aggregate, host),
            leave,
        )

    def remove_from_aggregate(
        self, aggregate: cloud.Aggregate, host: str, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        try:
            self._ask(
                f"remove host {host} from aggregate {aggregate.name}",
                lambda: self.api.remove_host(cloud_rows.aggregate, aggregate.id, host),
                lambda: not self._is_member(aggregate, host),
                leave,
            )
        except (errors.CloudNotFound, errors.CloudConflict):
            if self._is_member(aggregate, host):
                raise

    # ---- within

    def _microversion(self) -> tuple[int, int]:
        return min(self.settings.max_microversion, MICROVERSION)

    def _is(self, server_id: str, task_state: str, vm_state: str) -> bool:
        server = self.server(server_id)
        return server.task_state == task_state or server.vm_state == vm_state

    def _is_member(self, aggregate: cloud.Aggregate, host: str) -> bool:
        return any(host in a.hosts for a in self.aggregates() if a.id == aggregate.id)

    def _ask(
        self,
        action: str,
        attempt: Callable[[], T],
        done: Callable[[], bool] = lambda: False,
        leave: cloud.Leave = cloud.freely,
    ) -> T:
        """What Nova answers in the end, as nova.client.Client.change asks for it."""
        lost = False

        def once() -> tuple[T | None]:
            nonlocal lost
            leave()
            try:
                return (attempt(),)
            except ApiError as error:
                if 400 <= error.code < 500 and error.code != 429:
                    if lost and done():
                        return (None,)
                    raise cloud.refusal(action, error.code, error.message) from None
                lost = lost or error.code != 429
                raise retry.Transient(
                    str(error), pause_s=error.retry_after_s, fate_unknown=error.code != 429
                ) from None

        try:
            (answer,) = retry.persist(
                self.clock, self.settings.retries, once, lambda: (None,) if done() else None
            )
        except retry.Transient as error:
            raise errors.CloudUnavailable(service="Nova", detail=error.detail) from None
        return answer  # type: ignore[return-value]  # None only where T is None
