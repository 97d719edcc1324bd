"""What needs a person: each alarm with its stable code, in one table.

An alarm is an ERROR line of the log that begins with the code, `masakari_alarm{code="…"}`, and an
event `alarm.raise`; when its cause is gone, an event `alarm.clear`.  The runbook in the
documentation has a section for each code.
"""

import datetime
import enum
from dataclasses import dataclass
from typing import Protocol

from masakari import context, events
from masakari.events import Event, Kind


class Severity(enum.StrEnum):
    """How soon somebody should look."""

    CRITICAL = "critical"
    """Now: VMs are down, or would not be recovered."""
    WARNING = "warning"
    """In the morning."""


class Cause(enum.StrEnum):
    """Where it is seen, and so who says that it is gone."""

    DATABASE = "database"
    """Every engine sees the same."""
    SITE = "site"
    """Every engine sees the same in Nova and the database, now and then."""
    PROCESS = "process"
    """One process meets it: its host is a part of the subject."""
    MONITOR = "monitor"
    """A monitor meets it; it tells its log and its own metrics, as it has no bus."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that can be wrong."""

    code: str
    name: str
    severity: Severity
    cause: Cause
    summary: str
    cleared: str
    """when it is over"""


WAITING = Alarm(
    "MSK-101",
    "recovery-waiting",
    Severity.WARNING,
    Cause.DATABASE,
    "A failure was reported long ago, and its recovery has not ended.",
    "The notification has ended.",
)
FAILING = Alarm(
    "MSK-102",
    "recovery-failing",
    Severity.WARNING,
    Cause.DATABASE,
    "A recovery was tried in vain; it is tried again.",
    "The notification has ended.",
)
GIVEN_UP = Alarm(
    "MSK-103",
    "recovery-given-up",
    Severity.CRITICAL,
    Cause.DATABASE,
    "A recovery has failed for good.",
    "The notification is tried again, a later one about the same host or VM has finished, or "
    "[alarms] given_up_age has passed.",
)
LOCKED = Alarm(
    "MSK-104",
    "vm-stays-locked",
    Severity.WARNING,
    Cause.SITE,
    "Nova refuses to unlock a VM that a recovery has locked: its owner can do nothing with it.",
    "The VM is unlocked, or gone.",
)
KEPT = Alarm(
    "MSK-105",
    "reserved-host-not-given-back",
    Severity.WARNING,
    Cause.SITE,
    "Nova refuses what gives a reserved host back that a recovery had taken and not used.",
    "The host is given back, or in no segment any more.",
)
NO_SEGMENT = Alarm(
    "MSK-201",
    "host-in-no-segment",
    Severity.WARNING,
    Cause.SITE,
    "Nova has a compute host that is in no segment: nobody would recover its VMs.",
    "The host is in a segment, gone from Nova, or excluded.",
)
NO_SERVICE = Alarm(
    "MSK-202",
    "host-unknown-to-nova",
    Severity.WARNING,
    Cause.SITE,
    "A segment has a host that Nova does not know: it cannot be watched or recovered.",
    "Nova knows the host, or it is in no segment any more.",
)
REFUSED = Alarm(
    "MSK-301",
    "credentials-refused",
    Severity.CRITICAL,
    Cause.PROCESS,
    "Keystone or Nova does not accept the engine's user: nothing can be recovered.",
    "A request of the same engine's host was accepted.",
)
CLOCK = Alarm(
    "MSK-302",
    "clock-difference",
    Severity.WARNING,
    Cause.PROCESS,
    "The clocks of an engine and of the database differ: times in records cannot be compared.",
    "They differ by less than [alarms] clock_difference.",
)
BLIND = Alarm(
    "MSK-401",
    "monitor-silent",
    Severity.CRITICAL,
    Cause.MONITOR,
    "A host monitor has judged no host for long: hosts die unnoticed.",
    "A round of the monitor has judged the hosts.",
)
REJECTED = Alarm(
    "MSK-402",
    "report-rejected",
    Severity.CRITICAL,
    Cause.MONITOR,
    "Masakari rejects the report of a dead host (400): its VMs are not recovered.",
    "The registered hosts, or the state of the host, have changed.",
)
SILENT = Alarm(
    "MSK-403",
    "hosts-silent",
    Severity.CRITICAL,
    Cause.MONITOR,
    "So many hosts look dead at once that the observer is suspected: none of them is reported.",
    "Enough hosts look alive.",
)
LIBVIRT = Alarm(
    "MSK-411",
    "libvirt-silent",
    Severity.CRITICAL,
    Cause.MONITOR,
    "libvirt has not answered the instance monitor for long: VMs that die are not noticed.",
    "libvirt has listed its domains.",
)
SYSTEMD = Alarm(
    "MSK-412",
    "systemd-silent",
    Severity.WARNING,
    Cause.MONITOR,
    "systemd has not answered the process monitor for long: units that fail are not noticed.",
    "systemd has told the states of the units.",
)
GUESTS = Alarm(
    "MSK-413",
    "guests-silent",
    Severity.CRITICAL,
    Cause.MONITOR,
    "So many guests are silent at once that their host is suspected: none of them is reported.",
    "Enough guests answer.",
)

NOT_KEPT = Alarm(
    "MSK-404",
    "state-not-kept",
    Severity.WARNING,
    Cause.MONITOR,
    "A monitor cannot write what it knows, or has to tell, to its files: a restart would forget.",
    "The files have all of it again.",
)

ALARMS = (
    WAITING,
    FAILING,
    GIVEN_UP,
    LOCKED,
    KEPT,
    NO_SEGMENT,
    NO_SERVICE,
    REFUSED,
    CLOCK,
    BLIND,
    REJECTED,
    SILENT,
    NOT_KEPT,
    LIBVIRT,
    SYSTEMD,
    GUESTS,
)

PAYLOAD = Kind(
    "AlarmPayload",
    "1.0",
    ("code", "name", "severity", "summary", "subject", "message", "raised_at", "fault"),
)


class Raised(Protocol):
    """An alarm that is raised: a row of the database."""

    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def raised_at(self) -> datetime.datetime: ...  # noqa: D102


def event(alarm: Alarm, phase: str, raised: Raised, at: datetime.datetime) -> Event:
    """`alarm.raise` or `alarm.clear`, which happened then."""
    values = {
        "code": alarm.code,
        "name": alarm.name,
        "severity": str(alarm.severity),
        "summary": alarm.summary,
        "subject": raised.subject,
        "message": raised.message,
        "raised_at": raised.raised_at,
    }
    ctx = events.context_of(context.admin_context())
    return Event(f"alarm.{phase}", events.ENGINE, PAYLOAD.payload(values), ctx, at)
