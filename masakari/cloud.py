"""The seam to the cloud: the verbs that recovery needs of Nova, and what they tell.

`nova.NovaCloud` implements them through openstacksdk, `sim.cloud.SimCloud` in memory.  Hosts are
always Nova's *service host* (`OS-EXT-SRV-ATTR:host`), never the hypervisor's name.

Every verb raises `CloudUnavailable` when there was no usable answer after retries, and a
`CloudRefused` (`CloudForbidden` 403, `CloudNotFound` 404, `CloudConflict` 409) when Nova said no.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from oslo_utils import timeutils

from masakari import errors

MESSAGE_LIMIT = 300
"""So many characters of what Nova says are kept."""
ACTIONS_LIMIT = 100
"""So many of the things that were done to a VM are of interest, the newest."""


@dataclass(frozen=True, slots=True)
class ComputeService:
    """A nova-compute service (Nova API, os-services)."""

    id: str
    host: str
    status: str
    """enabled or disabled"""
    state: str
    """up or down"""
    forced_down: bool = False
    disabled_reason: str | None = None
    updated_at: str | None = None
    """Nova's last word of its heartbeat, ISO 8601."""

    @property
    def is_down(self) -> bool:
        """Nova accepts evacuations from the host."""
        return self.state == "down" or self.forced_down

    @property
    def is_enabled(self) -> bool:
        """The scheduler may place VMs on the host."""
        return self.status == "enabled"


@dataclass(frozen=True, slots=True)
class Server:
    """A VM (Nova API, servers)."""

    id: str
    name: str
    host: str | None
    vm_state: str
    """active, stopped, error, paused, suspended, rescued, resized, building …"""
    task_state: str | None = None
    power_state: int = 1
    """1 running, 3 paused, 4 shut down, 6 crashed, 7 suspended (Nova's power_state)"""
    locked: bool = False
    locked_reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    project_id: str | None = None
    user_id: str | None = None
    """Who created it: the owner, as far as Nova knows one"""
    boots_from_volume: bool = False
    """Its root disk is a volume, and none of the host's"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One move of one VM, as Nova records it (Nova API, os-migrations)."""

    id: int
    server_id: str
    source: str | None
    dest: str | None
    """None until the scheduler has chosen"""
    status: str
    """a states.MigrationStatus, or another word of Nova's"""
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A group of hosts (Nova API, os-aggregates)."""

    id: int
    name: str
    hosts: tuple[str, ...]
    availability_zone: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """What was done to a VM (Nova API, os-instance-actions)."""

    name: str
    """create, stop, start, reboot, migrate, confirmResize, evacuate, lock …"""
    user_id: str | None
    """Who asked for it; None: nobody, Nova itself did it, as when it stops a VM that has died."""
    started_at: datetime.datetime
    """UTC, naive, on Nova's clock, which counts whole seconds"""
    request_id: str
    message: str | None = None
    """Error, when it has failed"""


Leave = Callable[[], None]
"""Whether a change may still be made: returns, or raises what ends it."""


def freely() -> None:
    """The leave of those who need none."""


class Cloud(Protocol):
    """What the engine and the API ask of Nova.

    A change is tried again after a transient error, for up to a minute; *leave* is asked before
    each try, so that what was decided long ago is not done when it is not right any more.
    """

    @property
    def user_id(self) -> str | None:
        """Of the user as whom Nova knows us, as in `Action.user_id`."""

    @property
    def confirms_by_migrations(self) -> bool:
        """`evacuations` understands *since*: microversion 2.59 or later."""

    def compute_services(self, host: str | None = None) -> Sequence[ComputeService]:
        """The nova-compute services, of one host or of all."""

    def disable_service(
        self, service: ComputeService, reason: str, *, leave: Leave = freely
    ) -> None:
        """The scheduler places nothing there any more; idempotent."""

    def enable_service(self, service: ComputeService, *, leave: Leave = freely) -> None:
        """The scheduler may place VMs there; idempotent."""

    def servers_on(self, host: str) -> Sequence[Server]:
        """All VMs of all projects on the host, every page."""

    def server(self, server_id: str) -> Server:
        """One VM.  Raises CloudNotFound."""

    def lock(self, server_id: str, reason: str, *, leave: Leave = freely) -> None:
        """Its owner cannot act on the VM; idempotent."""

    def unlock(self, server_id: str, *, leave: Leave = freely) -> None:
        """Its owner can act on the VM again; idempotent."""

    def reset_state(self, server_id: str, state: str, *, leave: Leave = freely) -> None:
        """The VM's vm_state is *state* (active or error) and its task_state is null."""

    def stop(self, server_id: str, *, leave: Leave = freely) -> None:
        """Nova has accepted to stop the VM."""

    def start(self, server_id: str, *, leave: Leave = freely) -> None:
        """Nova has accepted to start the VM."""

    def reboot(self, server_id: str, *, leave: Leave = freely) -> None:
        """Nova has accepted to build the VM's guest anew where it is (a hard reboot).

        This brings a VM back that is in error, also one whose migration has failed half-way.
        """

    def migrate(self, server_id: str, *, leave: Leave = freely) -> None:
        """Nova has accepted to move the VM to another host that its scheduler chooses.

        The VM is off meanwhile (a cold migration).  In the end its vm_state is `resized` and it
        runs there if it ran before; `confirm_resize` makes that final.  When no host is found it is
        as before; when the move fails it may be in error.  Raises CloudConflict while the VM is
        neither active nor stopped, while a task is on, and while the service of its host is down.
        """

    def confirm_resize(self, server_id: str, *, leave: Leave = freely) -> None:
        """Nova has accepted to forget where the VM was before `migrate`; idempotent until it did.

        Then the VM is active, or stopped where it was off.  Raises CloudConflict while the VM is
        not `resized`, or while the service of the host that it left is down.
        """

    def has_unconfirmed_move(self, server_id: str) -> bool:
        """Whether a migration or a resize of the VM waits for being confirmed.

        Where the VM is not `resized`, it was forgotten when the VM's state was reset; after another
        `migrate`, `confirm_resize` would take that older one.
        """

    def actions(self, server_id: str) -> Sequence[Action]:
        """The newest ACTIONS_LIMIT (or more) things that were done to the VM, newest first.

        Also of a VM that was deleted.  Raises CloudNotFound.
        """

    def evacuate(self, server_id: str, host: str | None = None, *, leave: Leave = freely) -> None:
        """Nova has accepted to rebuild the VM on *host*, or where its scheduler chooses.

        Raises CloudUnavailable also when it is not known whether Nova has accepted: then
        `evacuations` tells sooner or later.  Raises CloudRefused with code 400 while the source's
        service is up, CloudConflict while the VM is in a state that does not allow it.  Nova 34
        accepts a second evacuation beside a running one, which ends both badly: look at
        `evacuations` before.
        """

    def evacuations(
        self, source: str, since: datetime.datetime | None = None
    ) -> Sequence[Migration]:
        """Evacuations from the host *source*, newest first, every page.

        With *since* (UTC, naive) only those that changed at or after it, on Nova's clock, which
        counts whole seconds; asking so needs `confirms_by_migrations`.
        """

    def aggregates(self) -> Sequence[Aggregate]:
        """All host aggregates."""

    def add_to_aggregate(self, aggregate: Aggregate, host: str, *, leave: Leave = freely) -> None:
        """The host is a member.

        Raises CloudConflict when it is a member already, or when its availability zone forbids it:
        Nova answers both alike, so look at `aggregates`.
        """

    def remove_from_aggregate(
        self, aggregate: Aggregate, host: str, *, leave: Leave = freely
    ) -> None:
        """The host is not a member; idempotent, also when the aggregate is gone.

        Raises CloudConflict when that would change the availability zone of the host's VMs.
        """


def time(text: str) -> datetime.datetime:
    """What Nova calls a time (ISO 8601), UTC, naive."""
    return timeutils.normalize_time(timeutils.parse_isotime(text))


def service_of(cloud: Cloud, host: str) -> ComputeService:
    """The compute service of the host.  Raises ComputeServiceNotFound."""
    for service in cloud.compute_services(host):
        if service.host == host:
            return service
    raise errors.ComputeServiceNotFound(host=host)


def is_migrated(host_before: str | None, server: Server) -> bool:
    """Whether a request to migrate the server has been carried out, or is being."""
    return (
        server.host != host_before
        or server.vm_state == "resized"
        or (server.task_state or "").startswith("resize_")
    )


def is_rebooted(vm_state_before: str | None, server: Server) -> bool:
    """Whether a request to reboot the server is being carried out, or visibly has been."""
    is_active_now = server.vm_state == "active" and vm_state_before != "active"
    return is_active_now or (server.task_state or "").startswith("reboot")


def refusal(action: str, code: int, detail: str) -> errors.CloudRefused:
    """The error for an answer 4xx of Nova's; its message is cut to a bounded length."""
    kinds: Mapping[int, type[errors.CloudRefused]] = {
        403: errors.CloudForbidden,
        404: errors.CloudNotFound,
        409: errors.CloudConflict,
    }
    kind = kinds.get(code, errors.CloudRefused)
    return kind(action=action, detail=detail[:MESSAGE_LIMIT], code=code)
