"""What is counted and measured: each metric with its meaning, and the seam to whoever keeps it.

Code that acts gets a `Meter` and tells it what has happened; it returns at once and never raises.
Names and units are as Prometheus wants them.  Labels have few values: no uuids, no names of hosts.
What keeps the numbers for Prometheus is in `exposition`.
"""

import enum
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Kind(enum.StrEnum):
    """How the numbers of a metric behave."""

    COUNTER = "counter"
    """Only grows, from 0 at the start of the process."""
    GAUGE = "gauge"
    """Is what it is now."""
    HISTOGRAM = "histogram"
    """Counts observations by their size."""


class Program(enum.StrEnum):
    """Who shows a metric; masakari-standalone shows those of all three."""

    API = "api"
    ENGINE = "engine"
    HOSTMONITOR = "hostmonitor"
    INSTANCEMONITOR = "instancemonitor"
    INTROSPECTIVEMONITOR = "introspectiveinstancemonitor"
    PROCESSMONITOR = "processmonitor"
    HEARTBEAT = "heartbeat"


API, ENGINE, MONITOR = (Program.API,), (Program.ENGINE,), (Program.HOSTMONITOR,)
GUESTS_ = (Program.INSTANCEMONITOR, Program.INTROSPECTIVEMONITOR)
PROCESSMONITOR, HEARTBEAT = (Program.PROCESSMONITOR,), (Program.HEARTBEAT,)
MONITORS = (*MONITOR, *GUESTS_, *PROCESSMONITOR)

REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STAGE_BUCKETS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it is called and what it means."""

    kind: Kind
    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ENGINE
    buckets_s: tuple[float, ...] = ()
    """of histograms, all of which measure seconds"""


METRICS: list[Metric] = []
"""All, in the order of their declaration."""


def _declare(metric: Metric) -> Metric:
    METRICS.append(metric)
    return metric


def _counter(name: str, meaning: str, *labels: str, of: tuple[Program, ...] = ENGINE) -> Metric:
    return _declare(Metric(Kind.COUNTER, name, meaning, labels, of))


def _gauge(name: str, meaning: str, *labels: str, of: tuple[Program, ...] = ENGINE) -> Metric:
    return _declare(Metric(Kind.GAUGE, name, meaning, labels, of))


def _histogram(
    name: str,
    meaning: str,
    *labels: str,
    of: tuple[Program, ...] = ENGINE,
    buckets_s: tuple[float, ...] = REQUEST_BUCKETS_S,
) -> Metric:
    return _declare(Metric(Kind.HISTOGRAM, name, meaning, labels, of, buckets_s))


# ---- every program

BUILD_INFO = _gauge(
    "masakari_build_info",
    "Always 1; the labels tell which release runs, and which program it is.",
    *("version", "program"),
    of=(*API, *ENGINE, *MONITORS, *HEARTBEAT),
)
QUEUE = _gauge(
    "masakari_background_queue_length",
    "What waits to be sent: queue bus has announcements of notifications, events has events.",
    "queue",
    of=(*API, *ENGINE),
)
DROPPED = _counter(
    "masakari_background_dropped_total",
    "What was not sent because the queue was full: announcements, or groups of events.",
    "queue",
    of=(*API, *ENGINE),
)
NOVA_REQUESTS = _histogram(
    "masakari_nova_request_duration_seconds",
    "Requests to Nova, each try by itself: call is the action on a server, or method and path.",
    "call",
    of=(*API, *ENGINE, *MONITOR),
)
NOVA_ERRORS = _counter(
    "masakari_nova_errors_total",
    "Requests to Nova that were not answered as asked: error is the class of the status (4xx, "
    "5xx), or unanswered, also where Keystone is the one who does not answer.",
    *("call", "error"),
    of=(*API, *ENGINE, *MONITOR),
)

ALARM = _gauge(
    "masakari_alarm",
    "Alarms of that code that are raised; the runbook says what to do. An engine's are those of "
    "all engines, those from MSK-401 on are a monitor's own.",
    "code",
    of=(*ENGINE, *MONITORS),
)

# ---- API

API_REQUESTS = _counter(
    "masakari_api_requests_total",
    "Requests by operation (method and path as in the reference, or other) and HTTP status.",
    *("operation", "status"),
    of=API,
)
API_SECONDS = _histogram(
    "masakari_api_request_duration_seconds",
    "How long requests took, from their arrival to the answer.",
    "operation",
    of=API,
)

# ---- engine: from the database, the same in each engine

UNFINISHED = _gauge(
    "masakari_notifications_unfinished",
    "Notifications that are new, running or in error (to be tried again).",
    *("type", "status"),
)
OLDEST = _gauge(
    "masakari_notification_oldest_unfinished_age_seconds",
    "How long ago the oldest unfinished notification was accepted; 0 if there is none.",
)

# ---- engine: what it does itself

TRIES = _counter(
    "masakari_notification_tries_total",
    "Tries that have ended: how (finished, ignored, failed; error is tried again), and why.",
    *("type", "status", "reason"),
)
RUNNING = _gauge(
    "masakari_recoveries_running",
    "Notifications on which this engine works now.",
    "pool",
)
WAITING = _gauge(
    "masakari_recoveries_queued",
    "Notifications that wait for a thread of this engine.",
    "pool",
)
EVACUATIONS = _counter(
    "masakari_vm_evacuations_total",
    "VMs of failed hosts whose move has ended, by how: succeeded, failed, ignored.",
    "status",
)
IN_FLIGHT = _gauge(
    "masakari_vm_evacuations_running",
    "VMs whose evacuation Nova has accepted and whose arrival this engine awaits.",
)
STAGES = _histogram(
    "masakari_recovery_stage_duration_seconds",
    "How long the stages of recoveries took.",
    "stage",
    buckets_s=STAGE_BUCKETS_S,
)
SWEEPS = _counter(
    "masakari_sweeps_total",
    "Searches that have ended: sweep is work, tidiness or alarms, outcome is ok or failed.",
    *("sweep", "outcome"),
)
SWEPT_AT = _gauge(
    "masakari_sweep_last_success_timestamp_seconds",
    "When the last search ended well, in seconds since 1970.",
    "sweep",
)
CLOCK_AHEAD = _gauge(
    "masakari_database_clock_difference_seconds",
    "By how much this engine's clock is ahead of the database's.",
)
LEASES_HELD = _gauge("masakari_leases_held", "Notifications that this engine alone may act upon.")
LEASES_LOST = _counter(
    "masakari_leases_lost_total",
    "Leases that ended while this engine worked under them; another engine goes on.",
)

# ---- host monitor

ROUNDS = _counter(
    "masakari_monitor_rounds_total",
    "Looks at all that is watched, by outcome: ok, blind (nothing could be judged) or failed (a "
    "defect).",
    "outcome",
    of=MONITORS,
)
PUSHES = _counter(
    "masakari_monitor_pushes_total",
    "What was pushed to the host monitor and had it look sooner, by source, as in [host] push.",
    "source",
    of=MONITOR,
)
LOOKED_AT = _gauge(
    "masakari_monitor_last_success_timestamp_seconds",
    "When all hosts were last looked at and judged, in seconds since 1970; 0: never.",
    of=MONITOR,
)
HOSTS = _gauge(
    "masakari_monitor_hosts",
    "Watched hosts by the state that was seen last: online, offline, doubtful, unknown.",
    "state",
    of=MONITOR,
)
VERDICTS = _counter(
    "masakari_monitor_verdicts_total",
    "Judgements of hosts that have changed, by the new one; doubtful is degraded: nobody is told.",
    "state",
    of=MONITOR,
)
OUTBOX = _gauge(
    "masakari_monitor_outbox_length",
    "Reports that Masakari has not accepted yet.",
    of=MONITORS,
)
REPORTS = _counter(
    "masakari_monitor_reports_total",
    "Tries to report, by outcome: delivered, postponed (409), rejected (400), unanswered.",
    "outcome",
    of=MONITORS,
)

# ---- instance and process monitors

DOMAINS = _gauge(
    "masakari_monitor_domains",
    "Domains that libvirt knows, by state: active, inactive.",
    "state",
    of=GUESTS_,
)
EVENTS = _counter(
    "masakari_monitor_libvirt_events_total",
    "Events that libvirt has told, by kind: LIFECYCLE, REBOOT, WATCHDOG and others.",
    "event",
    of=GUESTS_,
)
FAILURES = _counter(
    "masakari_monitor_instance_failures_total",
    "Failures of VMs that were found and are reported, by the event in the notification.",
    "event",
    of=GUESTS_,
)
GUESTS = _gauge(
    "masakari_monitor_guests",
    "Guests whose agents are asked, by what is thought of them: discovery, healthy, error, "
    "reported.",
    "state",
    of=GUESTS_,
)
GUEST_ANSWERS = _counter(
    "masakari_monitor_guest_answers_total",
    "How questions to guest agents have ended: good, missing, absent, paused, unknown.",
    "answer",
    of=GUESTS_,
)
PROCESSES = _gauge(
    "masakari_monitor_processes",
    "Watched processes by what was seen last: up, down, between, unknown.",
    "state",
    of=PROCESSMONITOR,
)
PROCESS_ATTEMPTS = _counter(
    "masakari_monitor_process_attempts_total",
    "Attempts to bring a process up.",
    of=PROCESSMONITOR,
)

# ---- heartbeat of a compute host

HEARTBEATS = _counter(
    "masakari_heartbeats_total",
    "Heartbeats of this host, by outcome: ok or unanswered.",
    "outcome",
    of=HEARTBEAT,
)


class Stage(enum.StrEnum):
    """A stage of a recovery, named after its end."""

    ACCEPTED = "accepted"
    """Since the failure was detected (`generated_time`) until the API accepted the report."""
    CLAIMED = "claimed"
    """Since then until an engine took the notification the first time."""
    SERVICE_DOWN = "service_down"
    """Since then until Nova reported the host's compute service down."""
    EVACUATE_ACCEPTED = "evacuate_accepted"
    """For each VM, since its engine turned to it, or let it wait for its place, until Nova accepted
    its evacuation."""
    VM_ACTIVE = "vm_active"
    """For each VM, since then until it was on its new host, in the state that it has there."""


class Meter(Protocol):
    """Who keeps the numbers; for many threads."""

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """The counter, or gauge, has grown by so much."""

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """The gauge has this value now."""

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Something has taken so long; less than nothing counts as nothing."""


class Unmetered:
    """Nobody wants to know."""

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Return."""

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Return."""

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Return."""


UNMETERED: Meter = Unmetered()


class Tally:
    """A Meter that can be asked.  Owns its table, under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[str, ...]], list[float]] = {}

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """As Meter."""
        with self._lock:
            found = self._values.setdefault(_key(metric, labels), [0.0])
            found[0] += by

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """As Meter."""
        with self._lock:
            self._values[_key(metric, labels)] = [value]

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """As Meter."""
        with self._lock:
            self._values.setdefault(_key(metric, labels), []).append(max(0.0, seconds))

    def value(self, metric: Metric, *labels: str) -> float:
        """Of the counter or gauge; 0 if nothing was told."""
        with self._lock:
            return self._values.get(_key(metric, labels), [0.0])[0]

    def observed(self, metric: Metric, *labels: str) -> Sequence[float]:
        """Seconds, oldest first."""
        with self._lock:
            return list(self._values.get(_key(metric, labels), []))

    def by_labels(self, metric: Metric) -> Mapping[tuple[str, ...], float]:
        """{labels: value} of all that was told of the counter or gauge."""
        with self._lock:
            return {k[1]: v[0] for k, v in sorted(self._values.items()) if k[0] == metric.name}


def _key(metric: Metric, labels: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Where the value stands.  Labels that the metric does not have are a defect."""
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has labels {metric.labels}, not {labels}")
    return metric.name, tuple(map(str, labels))
