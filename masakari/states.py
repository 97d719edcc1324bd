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


class Reason(StrEnum):
    """Why a notification was refused or ended as it did; stable words for machines."""

    # answers of the API, in the header X-Masakari-Reason
    DUPLICATE = "duplicate"
    """An equal notification was accepted a short while ago."""
    MAINTENANCE = "maintenance"
    """The host is on maintenance."""
    UNKNOWN_HOST = "unknown-host"
    """No segment has a host of that name."""
    UNDER_RECOVERY = "under-recovery"
    """The segment has open notifications; it cannot be changed now."""
    NAME_IN_USE = "name-in-use"
    """Another segment or host has that name."""
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
    NOT_SUPPORTED = "not-supported"
    """This release does not act on this kind of failure or with this recovery method."""
    # outcomes of the engine, after it had begun
    HOST_RETURNED = "host-returned"
    """The host was up again before the first VM was moved."""
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
    EXPIRED = "expired"
    """Too old: its time limit passed before it was settled."""
    UNEXPECTED = "unexpected"
    """A defect: the engine's log has the traceback."""


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
