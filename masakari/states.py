"""The vocabulary: every word that is stored, sent or shown, with its meaning.

The values are those of OpenStack's Masakari; clients depend on them.
"""

from enum import StrEnum


class RecoveryMethod(StrEnum):
    """How a segment's VMs are brought back when one of its hosts dies."""

    AUTO = "auto"
    """Nova's scheduler chooses the destinations."""
    RESERVED_HOST = "reserved_host"
    """A spare host of the segment takes all VMs."""
    AUTO_PRIORITY = "auto_priority"
    """As `auto`; what did not arrive goes to a reserved host."""
    RH_PRIORITY = "rh_priority"
    """As `reserved_host`; what did not arrive goes where Nova chooses."""


class NotificationType(StrEnum):
    """What has failed."""

    COMPUTE_HOST = "COMPUTE_HOST"
    VM = "VM"
    PROCESS = "PROCESS"


class NotificationStatus(StrEnum):
    """How far the answer to one notification has come."""

    NEW = "new"
    """Stored, not yet taken by an engine."""
    RUNNING = "running"
    """An engine holds the lease and works on it."""
    ERROR = "error"
    """The last try failed; it is tried again."""
    FAILED = "failed"
    """All tries failed or it is too old: an operator must look."""
    IGNORED = "ignored"
    """Deliberately not acted on; `message` says why."""
    FINISHED = "finished"
    """Done."""


OPEN_STATUSES = (NotificationStatus.NEW, NotificationStatus.RUNNING, NotificationStatus.ERROR)
"""A host with a notification in one of these is under recovery."""


class VMoveStatus(StrEnum):
    """How far one VM has come."""

    PENDING = "pending"
    """Selected, nothing done yet."""
    ONGOING = "ongoing"
    """Being prepared, evacuated or confirmed."""
    SUCCEEDED = "succeeded"
    """Runs (or rests, as before) on another host."""
    FAILED = "failed"
    """Did not arrive; `message` says why."""
    IGNORED = "ignored"
    """Deliberately left alone; `message` says why."""


class VMoveType(StrEnum):
    """By which of Nova's operations a VM moves."""

    EVACUATION = "evacuation"
    MIGRATION = "migration"
    LIVE_MIGRATION = "live_migration"


class VmAction(StrEnum):
    """What an instance recovery does to its VM."""

    RESTART = "restart"
    """Stop and start it where it is."""
    RELOCATE = "relocate"
    """Migrate it to another host."""
    GIVE_UP = "give_up"
    """Leave it as it is: it has been restarted and relocated too often."""


class Event(StrEnum):
    """`event` in the payload of COMPUTE_HOST and PROCESS notifications."""

    STARTED = "STARTED"
    STOPPED = "STOPPED"


class HostStatus(StrEnum):
    """`host_status` in the payload of a COMPUTE_HOST notification: is the host known to be off?"""

    NORMAL = "NORMAL"
    """Yes (or the monitor is configured to say so)."""
    UNKNOWN = "UNKNOWN"
    """Nobody could tell."""


class ClusterStatus(StrEnum):
    """`cluster_status` in the payload of a COMPUTE_HOST notification."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class HostProof(StrEnum):
    """`proof` in the payload of a COMPUTE_HOST notification: how its monitor knows of the death."""

    FENCED = "fenced"
    """The host's cluster has fenced it, while the monitor watched."""
    POWER_OFF = "power-off"
    """The host's management controller says that its power is off."""


class Reason(StrEnum):
    """Why a notification was refused or ended as it did; stable words for machines."""

    # answers of the API, in the header X-Masakari-Reason
    DUPLICATE = "duplicate"
    """The same failure was reported a short while ago."""
    MAINTENANCE = "maintenance"
    """The host is on maintenance."""
    UNKNOWN_HOST = "unknown-host"
    """No segment has a host of that name."""
    UNDER_RECOVERY = "under-recovery"
    """The segment has open notifications; it cannot be changed now."""
    NAME_IN_USE = "name-in-use"
    """Another segment or host has that name."""
    WRONG_STATUS = "wrong-status"
    """The notification is in a status in which it cannot be cancelled, or retried."""
    # verdicts of the engine, before anything was done
    SEGMENT_DISABLED = "segment-disabled"
    """The operator has switched recovery off for the segment."""
    SEGMENT_GONE = "segment-gone"
    """The segment or the host was deleted meanwhile."""
    HOST_STATUS_UNKNOWN = "host-status-unknown"
    """The monitor did not say that the host is off (`host_status` is not NORMAL)."""
    UNKNOWN_EVENT = "unknown-event"
    """The event is none that asks for recovery."""
    HOST_STARTED = "host-started"
    """The host came (back) up: recorded, nothing to recover."""
    EXCLUDED = "excluded"
    """The host or the VM is left alone by configuration."""
    DELAYED = "delayed"
    """Nothing is done yet: a delay was configured, and a sign of life in it ends the matter."""
    FEW_WITNESSES = "few-witnesses"
    """Fewer monitors than configured have seen the host die: others are waited for, in vain once it
    has failed so."""
    CANCELLED = "cancelled"
    """A sign of life came before anything was done."""
    OBSERVE_ONLY = "observe-only"
    """Something would have been done; but it is only observed, and the message has the plan."""
    HOST_FAILED = "host-failed"
    """The VM's host has failed as a whole: its recovery comes first."""
    # verdicts about a VM, before it was touched
    VM_GONE = "vm-gone"
    """The VM does not exist any more, or is being deleted."""
    VM_MOVED = "vm-moved"
    """The VM is on another host than the one that reported it."""
    VM_STATE = "vm-state"
    """The VM is in a state that its owner chose, and in which it is not restarted."""
    VM_LOCKED = "vm-locked"
    """The VM's owner has locked it."""
    VM_BUSY = "vm-busy"
    """Nova was busy with the VM for longer than a try may wait."""
    STOPPED_BY_OWNER = "stopped-by-owner"
    """The VM was stopped by a user, and did not fail."""
    NOT_HA_ENABLED = "not-ha-enabled"
    """The VM's owner did not ask for recovery, and the configuration asks for that."""
    ALREADY_RECOVERED = "already-recovered"
    """The VM was restarted after the reported event, by us or by its owner."""
    # outcomes of the engine, after it had begun
    HOST_RETURNED = "host-returned"
    """The host was up again before the first VM was moved."""
    NO_RESERVED_HOST = "no-reserved-host"
    """The segment has no reserved host that can be used now."""
    VM_NOT_RECOVERED = "vm-not-recovered"
    """The VM does not run: it could not be restarted, nor moved where that is allowed."""
    CRASH_LOOP = "crash-loop"
    """The VM failed again and again, and was left in error: somebody must look."""
    SERVICE_DOWN = "service-down"
    """The compute service of the VM's host does not answer, so Nova cannot act on the VM."""
    SERVICE_DISABLED = "service-disabled"
    """A process failed: the host's compute service takes no new VMs."""
    PROCESS_RECORDED = "process-recorded"
    """A process failed or started; it is recorded, and nothing is to be done."""
    PROCESS_STARTED = "process-started"
    """A process has started again: what its failure had changed is undone."""
    SERVICE_STILL_UP = "service-still-up"
    """Nova did not report the compute service down in time; nothing was moved."""
    NO_SERVICE = "no-service"
    """Nova knows no compute service of that host name."""
    NOTHING_TO_DO = "nothing-to-do"
    """No VM on the host is to be recovered."""
    RECOVERED = "recovered"
    """Every selected VM arrived."""
    VMS_NOT_RECOVERED = "vms-not-recovered"
    """At least one VM did not arrive."""
    CLOUD_UNAVAILABLE = "cloud-unavailable"
    """Nova or Keystone did not answer for longer than retries last."""
    CANCELLED_BY_OPERATOR = "cancelled-by-operator"
    """An operator has cancelled the recovery: what had not begun was not begun any more."""
    EXPIRED = "expired"
    """Too old: its time limit passed before it was settled."""
    UNEXPECTED = "unexpected"
    """A defect: the engine's log has the traceback."""


class ProcessAction(StrEnum):
    """What the failure of a process on a compute host leads to."""

    IGNORE = "ignore"
    """Nothing: the notification ends `ignored`."""
    NOTIFY = "notify"
    """It is recorded and logged as a warning; the host stays as it is."""
    DISABLE = "disable"
    """The host's compute service is disabled, so that no new VMs come."""


class Proof(StrEnum):
    """What counts as proof that a host cannot run its VMs any more."""

    NOVA_DOWN = "nova_down"
    """Nova reports the compute service down, and a monitor reported the host dead."""


class MigrationStatus(StrEnum):
    """Statuses of an evacuation in Nova's migration records (Nova API, os-migrations)."""

    ACCEPTED = "accepted"
    PRE_MIGRATING = "pre-migrating"
    DONE = "done"
    """Runs on the destination; the source has not cleaned up yet."""
    COMPLETED = "completed"
    """The source host came back and has cleaned up."""
    FAILED = "failed"
    ERROR = "error"


MIGRATION_ARRIVED = frozenset({MigrationStatus.DONE, MigrationStatus.COMPLETED})
MIGRATION_FAILED = frozenset({MigrationStatus.FAILED, MigrationStatus.ERROR, "cancelled"})
