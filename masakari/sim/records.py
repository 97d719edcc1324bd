"""What the simulated cloud has on record: settings, VMs, migrations, hosts, aggregates."""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

NAMESPACE = uuid.UUID("5f0e8f6e-7f1e-4d3a-9b0c-6d6173616b61")
POWER_STATES = {
    "active": 1,
    "building": 0,
    "error": 1,
    "paused": 3,
    "rescued": 1,
    "resized": 1,
    "shelved": 4,
    "shelved_offloaded": 4,
    "stopped": 4,
    "suspended": 4,
}
RUNNING_STATES = ("active", "error", "paused", "rescued", "resized")
"""In these vm_states a VM's guest exists in its host's memory."""
OWNER = "owner"
"""The user to whom every VM belongs."""
OPERATOR = "masakari"
"""The user who asks where nobody else is named."""


@dataclass
class Settings:
    """How the simulated cloud behaves; may be changed at any time."""

    service_down_time_s: float = 6.0
    """Nova calls a compute service down when it has not heard of it for longer."""
    report_interval_s: float = 2.0
    """A compute service reports so often."""
    evacuation_s: float = 2.0
    """An evacuation takes so long."""
    migration_s: float = 1.0
    """A cold migration takes so long."""
    power_change_s: float = 0.2
    """A stop or a start of a VM takes so long."""
    crash_noticed_s: float = 1.0
    """Nova sees so late that a VM has died; with libvirt 15 (virt/libvirt/host.py)."""
    boot_s: float = 0.0
    """From a host's power-on until its nova-compute has cleaned up."""
    latency_s: float = 0.0
    """Each answer of Nova's takes so long."""
    max_limit: int = 1000
    """Rows on a page, at most."""
    max_microversion: tuple[int, int] = (2, 96)
    min_microversion: tuple[int, int] = (2, 1)
    retries: int = 8
    """Of SimCloud's own requests; see [nova] retries."""


@dataclass(eq=False)
class Vm:
    """A VM as Nova's database has it."""

    serial: int
    id: str
    name: str
    project: str
    host: str
    vm_state: str
    task_state: str | None
    power_state: int
    metadata: dict[str, str]
    created: datetime.datetime
    updated: datetime.datetime
    launched: bool = True
    locked: bool = False
    locked_reason: str | None = None
    locked_by_owner: bool = False
    boots_from_volume: bool = True
    zone: str | None = None
    """The availability zone in which it was wanted, if that was said."""


@dataclass(eq=False)
class Action:
    """What was done to a VM, as Nova's database has it."""

    name: str
    user: str | None
    """A user's name; None: nova-compute by itself."""
    started: datetime.datetime
    request_id: str
    message: str | None = None


@dataclass(eq=False)
class Aggregate:
    """A group of hosts as Nova's database has it."""

    id: int
    name: str
    hosts: list[str]
    metadata: dict[str, str]
    created: datetime.datetime

    @property
    def zone(self) -> str | None:
        """The availability zone that its hosts form."""
        return self.metadata.get("availability_zone")


@dataclass(eq=False)
class Move:
    """A migration as Nova's database has it."""

    id: int
    vm: Vm
    source: str
    dest: str | None
    status: str
    created: datetime.datetime
    incarnation: int = 0
    """of the destination's nova-compute when it took the VM on"""
    updated: datetime.datetime | None = None
    """None while it is only accepted: such a record is in no answer to changes-since."""
    kind: str = "evacuation"
    """migration_type: or migration, or resize"""

    @property
    def uuid(self) -> str:
        """Paging's marker."""
        return str(uuid.uuid5(NAMESPACE, f"migration-{self.id}"))


@dataclass(eq=False)
class Host:
    """A compute host: the machine, its nova-compute, and the service's row in Nova's database."""

    index: int
    name: str
    node: str
    """hypervisor_hostname; may be another name than the service host"""
    capacity: int | None
    service_id: str
    powered: bool = True
    connected: bool = True
    compute: bool = True
    incarnation: int = 0
    """Changes whenever nova-compute starts."""
    beats_since: float | None = 0.0
    """First heartbeat of the present series; None: no heartbeats come."""
    last_beat: float = 0.0
    """Of the series before, where no heartbeats come."""
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    guests: dict[str, bool] = field(default_factory=dict)
    """{id of a VM: whether it runs}: what the hypervisor has, whatever Nova believes."""
    vms: dict[str, Vm] = field(default_factory=dict)
    """The VMs that are here in Nova's opinion."""
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """What its nova-compute was asked to do while it was away: the queue on Nova's bus."""
    claims: int = 0
    """Evacuations and migrations under way to here."""

    @property
    def reachable(self) -> bool:
        """Whether the host answers on the network."""
        return self.powered and self.connected

    @property
    def works(self) -> bool:
        """Whether its nova-compute does what Nova asks."""
        return self.powered and self.connected and self.compute
