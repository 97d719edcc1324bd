"""Every exception: a message template, the HTTP status it becomes, and a reason for machines."""

from masakari.states import NotificationStatus, Reason


class MasakariError(Exception):
    """Something that the caller can act on; `str()` is a sentence for people."""

    template = "An unknown error occurred"
    status = 500
    """HTTP status of the API's answer."""
    reason: Reason | None = None
    """Sent in the header X-Masakari-Reason, or stored with the notification."""

    def __init__(
        self, message: str | None = None, *, reason: Reason | None = None, **details: object
    ) -> None:
        self.details = details
        if reason is not None:
            self.reason = reason
        super().__init__(message if message is not None else self.template.format(**details))


# ---- what a request asked for


class Invalid(MasakariError):
    """The request is malformed; the message names the field and the reason."""

    template = "{message}"
    status = 400


class MarkerNotFound(Invalid):
    """A list was to start behind a row that does not exist."""

    template = "Marker {marker} could not be found."


class SegmentNotFound(MasakariError):
    """No live segment has that id."""

    template = "No segment with id {segment}."
    status = 404


class HostNotFound(MasakariError):
    """No live host has that id in the segment."""

    template = "No host with id {host}."
    status = 404


class HostNameUnknown(MasakariError):
    """A notification names a host that no segment has."""

    template = "Host with name {host} could not be found."
    status = 400
    reason = Reason.UNKNOWN_HOST


class NotificationNotFound(MasakariError):
    """No notification has that id."""

    template = "No notification with id {notification}."
    status = 404


class VMoveNotFound(MasakariError):
    """No vmove of the notification has that id."""

    template = "No vm move with id {vmove}."
    status = 404


class SegmentExists(MasakariError):
    """Another live segment has that name."""

    template = "A failover segment with name {name} already exists."
    status = 409
    reason = Reason.NAME_IN_USE


class HostExists(MasakariError):
    """Another live host, in whichever segment, has that name."""

    template = "A host with name {name} already exists."
    status = 409
    reason = Reason.NAME_IN_USE


class SegmentUnderRecovery(MasakariError):
    """A host of the segment has an open notification."""

    template = "Failover segment {segment} cannot be changed: recovery of its hosts is in progress."
    status = 409
    reason = Reason.UNDER_RECOVERY


class HostUnderRecovery(MasakariError):
    """The host has an open notification."""

    template = "Host {host} has open notifications: {notifications}."
    status = 409
    reason = Reason.UNDER_RECOVERY


class HostOnMaintenance(MasakariError):
    """A notification was refused because its host is on maintenance."""

    template = "Host {host} is on maintenance: the notification is not accepted."
    status = 409
    reason = Reason.MAINTENANCE


class DuplicateNotification(MasakariError):
    """A notification of the same failure exists within the window of duplicates."""

    template = "The same failure of host {host} was reported already: {notification}."
    status = 409
    reason = Reason.DUPLICATE


class WrongStatus(MasakariError):
    """The notification's status does not allow that."""

    template = "Notification {notification} is {status}; it can be {what} only if it is {allowed}."
    status = 409
    reason = Reason.WRONG_STATUS


# ---- what the surroundings said


class CloudError(MasakariError):
    """Nova or Keystone did not do what was asked."""


class CloudUnavailable(CloudError):
    """Nova or Keystone gave no usable answer, after retries: try later."""

    template = "{service} is not available: {detail}"
    status = 503
    reason = Reason.CLOUD_UNAVAILABLE


class CloudRefused(CloudError):
    """Nova answered 4xx: asking again does not help."""

    template = "Nova refused to {action}: {detail} (HTTP {code})"
    status = 400


class CloudForbidden(CloudRefused):
    """Nova answered 403: the service user lacks a right."""

    status = 403


class CloudNotFound(CloudRefused):
    """Nova knows no such thing."""

    status = 404


class CloudConflict(CloudRefused):
    """Nova answered 409: the thing is in a state that does not allow it."""

    status = 409


class ComputeServiceNotFound(MasakariError):
    """Nova has no nova-compute service of that host name."""

    template = "Nova knows no nova-compute service on host {host}."
    status = 400
    reason = Reason.NO_SERVICE


class DatabaseUnavailable(MasakariError):
    """The database does not answer, or not as it should; its `outage` has told the log.

    `details["detail"]` has the server's words.
    """

    template = "The database is not available."
    status = 503

    @property
    def is_away(self) -> bool:
        """Nothing is wrong with its tables or with our rights."""
        return str(self) == self.template


# ---- how a recovery ended


class RecoveryError(MasakariError):
    """A try to recover failed; the notification becomes `error` and is tried again."""

    template = "{message}"
    reason = Reason.UNEXPECTED


class ServiceStillUp(RecoveryError):
    """Nova did not report the compute service down in time."""

    template = (
        "Host {host} is not evacuated: awaited its compute service to be reported down by Nova "
        "for {waited_s:g} s, last seen {seen}."
    )
    reason = Reason.SERVICE_STILL_UP


class VMsNotRecovered(RecoveryError):
    """At least one VM did not arrive."""

    template = "{failed} of {total} VMs of host {host} were not recovered: {detail}"
    reason = Reason.VMS_NOT_RECOVERED


class TaskFailed(RecoveryError):
    """A step raised what it should not: a defect, or what somebody else's task means by it."""

    template = "Task {name} failed: {what}"


class EvacuationFailed(MasakariError):
    """One VM did not arrive."""

    template = "{message}"


class DestinationDied(EvacuationFailed):
    """The host to which one VM was on its way is proven dead; *dest* names it."""

    template = "Its destination {dest} has died."


class LeftAlone(MasakariError):
    """One VM is deliberately not moved; its move becomes `ignored`."""

    template = "{message}"


class RecoveryEnded(MasakariError):
    """The notification ends as *ends_as*, and is not tried again."""

    template = "{message}"
    ends_as: NotificationStatus


class RecoveryIgnored(RecoveryEnded):
    """There is nothing to recover after all."""

    ends_as = NotificationStatus.IGNORED


class RecoverySkipped(RecoveryEnded):
    """There was nothing to do, and that is well."""

    ends_as = NotificationStatus.FINISHED


class GivenUp(RecoveryEnded):
    """Everything that may be tried was tried."""

    ends_as = NotificationStatus.FAILED


class RecoveryCancelled(RecoveryEnded):
    """An operator has cancelled the recovery."""

    template = "An operator has cancelled it; {what}."
    ends_as = NotificationStatus.FAILED
    reason = Reason.CANCELLED_BY_OPERATOR


class NotificationExpired(RecoveryError):
    """It was too old before it was settled."""

    template = "not settled within {age_s:.0f} s"
    reason = Reason.EXPIRED


class HostTaken(RecoveryIgnored):
    """Somebody else put the host on maintenance while the recovery was about to begin."""

    template = "Host {host} was put on maintenance meanwhile."
    reason = Reason.MAINTENANCE


class HostReturned(RecoveryIgnored):
    """The host is up again and nothing was moved yet."""

    template = "{sign}; nothing was moved."
    reason = Reason.HOST_RETURNED


class NoReservedHost(RecoveryError):
    """No reserved host of the segment could be used."""

    template = "No reserved host of segment {segment} can take the VMs of host {host}{why}."
    reason = Reason.NO_RESERVED_HOST


class ReservedHostUnusable(RecoveryError):
    """One reserved host cannot take VMs; another one may."""

    template = "Reserved host {host} cannot be used: {problem}"
    reason = Reason.NO_RESERVED_HOST


class VMNotRecovered(RecoveryError):
    """A failed VM does not run again."""

    template = "{message}"
    reason = Reason.VM_NOT_RECOVERED


class LeaseLost(MasakariError):
    """Another engine may own the notification now: stop without a further action."""

    template = "The lease on notification {notification} was lost; another engine continues."


# ---- how a program cannot start


class ConfigInvalid(MasakariError):
    """A sentence that names the option and what is wrong with it."""

    template = "[{group}] {option}: {problem}"


class Unusable(ConfigInvalid):
    """The value is possible, but what it names cannot be used now: a port, a directory, a name."""
