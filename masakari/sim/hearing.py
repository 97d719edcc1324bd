"""What a simulated system tells other services, and what must hold of it."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masakari.db.models import Notification
from masakari.events import Event, Json
from masakari.sim.clock import SimClock
from masakari.states import NotificationStatus, Reason

if TYPE_CHECKING:
    from masakari.sim.system import System

MOST_OF_A_TASK = 22
"""Events of one task that runs once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and the process that sent it."""

    process: str
    event: Event

    @property
    def type(self) -> str:
        """Of the event."""
        return self.event.type

    @property
    def phase(self) -> str:
        """start, end, error …"""
        return self.event.type.rpartition(".")[2]

    @property
    def data(self) -> Json:
        """Of the payload."""
        found: Json = self.event.payload["masakari_object.data"]
        return found


class Hearing:
    """Hears every event of all processes at once; the dead send nothing."""

    is_on = True

    def __init__(self, clock: SimClock) -> None:
        self.heard: list[Heard] = []
        self._clock = clock

    def send(self, *events: Event) -> None:
        """events.Events"""
        if not self._clock.is_dead():
            self.heard += [Heard(self._clock.group(), event) for event in events]

    def of(self, prefix: str, uuid: str) -> list[Heard]:
        """Events of types that begin so, about that notification, oldest first."""
        return [
            h
            for h in self.heard
            if h.type.startswith(f"{prefix}.") and h.data.get("notification_uuid") == uuid
        ]


def broken(system: "System") -> Iterator[str]:
    """The promises about events that were broken, a sentence each."""
    for n in system.notifications():
        name = f"notification {system.story.names.number('notification', n.notification_uuid)}"
        for sentence in (*_created(system, n), *_processed(system, n), *_tasks(system, n)):
            yield f"{name}: {sentence}"
    yield from _hosts(system)
    yield from _alarms(system)


def _created(system: "System", n: Notification) -> Iterator[str]:
    ends = [h.phase for h in system.hearing.of("notification.create", n.notification_uuid)]
    if ends != ["end"]:
        yield f"its creation was announced as {ends}"


def _processed(system: "System", n: Notification) -> Iterator[str]:
    """Each try starts before it ends, and the last end has the status that is stored.

    What an operator has cancelled or retried has its new status from the API.
    """
    heard = [
        h
        for h in system.hearing.of("notification", n.notification_uuid)
        if h.type.startswith("notification.process.") or _is_by_operator(h)
    ]
    has_started = False
    for h, after in itertools.zip_longest(heard, heard[1:]):
        status = h.data["status"]
        if _is_by_operator(h):
            has_started = False
            continue
        if h.phase == "start":
            has_started = True
            if status != NotificationStatus.RUNNING:
                yield f"a start was announced with status {status}"
            continue
        if not has_started and not _is_expired(n):
            yield f"an {h.phase} was announced without a start"
        has_started = False
        yield from _end(h, _before(after) if after is not None else (n.status,))
    if not heard or heard[-1].phase == "start":
        yield "its end was not announced"


def _end(h: Heard, wanted: tuple[str, ...]) -> Iterator[str]:
    status = h.data["status"]
    if status not in wanted:
        yield f"an {h.phase} was announced with status {status}, and it is {wanted[0]}"
    if (h.phase == "error") != (status in ("error", "failed")):
        yield f"status {status} was announced as {h.phase}"


def _is_by_operator(h: Heard) -> bool:
    """An operator has cancelled what was waiting, or had it tried anew."""
    return h.type == "notification.update.end" and h.data["status"] in (
        NotificationStatus.FAILED,
        NotificationStatus.NEW,
    )


def _before(after: Heard) -> tuple[str, ...]:
    """With which statuses the try before may have ended."""
    if not _is_by_operator(after):
        return (NotificationStatus.ERROR,)
    if after.data["status"] == NotificationStatus.NEW:
        return (NotificationStatus.FAILED, NotificationStatus.IGNORED)
    return (NotificationStatus.ERROR, NotificationStatus.FAILED)


def _is_expired(n: Notification) -> bool:
    return str(n.message).startswith(f"{Reason.EXPIRED}:")


def _tasks(system: "System", n: Notification) -> Iterator[str]:
    """Each task begins before it gets on or ends, and says little."""
    heard = system.hearing.of("recovery.task", n.notification_uuid)
    for process in sorted({h.process for h in heard}):
        run: list[Heard] = []
        for h in [h for h in heard if h.process == process]:
            run = [h] if h.phase == "begin" else [*run, h]
            yield from _task(run)


def _task(run: list[Heard]) -> Iterator[str]:
    """What is wrong with the last of the events of one task that runs once."""
    begin, h = run[0], run[-1]
    task = h.data["task"]
    if (begin.phase, begin.data["task"]) != ("begin", task):
        yield f"{h.phase} of {task} was announced without a begin"
    if any(before.phase in ("end", "error") for before in run[:-1]):
        yield f"{h.phase} of {task} was announced after its end"
    if len(run) > MOST_OF_A_TASK:
        yield f"more than {MOST_OF_A_TASK} events were sent about {task}"
    if any(before.data["progress"] > h.data["progress"] for before in run):
        yield f"{task} went back to {h.data['progress']}"


def _alarms(system: "System") -> Iterator[str]:
    """Each alarm is raised before it is cleared, and neither is told twice."""
    is_raised: dict[tuple[str, str], bool] = {}
    for h in system.hearing.heard:
        if h.type.startswith("alarm."):
            alarm = h.data["code"], h.data["subject"]
            if is_raised.get(alarm, False) == (h.phase == "raise"):
                yield f"{h.type} of {' '.join(alarm)} was told twice"
            is_raised[alarm] = h.phase == "raise"


def _hosts(system: "System") -> Iterator[str]:
    """What was announced of a host last is what is stored."""
    told = {
        h.data["uuid"]: h.data
        for h in system.hearing.heard
        if h.type in ("host.create.end", "host.update.end")
    }
    for host in system.hosts():
        for flag in ("on_maintenance", "reserved"):
            stored, announced = getattr(host, flag), told[host.uuid][flag]
            if stored != announced:
                yield f"{host.name}: {flag} is {stored}, and was last announced as {announced}"
