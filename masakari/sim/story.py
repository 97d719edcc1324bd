"""What a simulated system did, as lines that a person reads and a test compares.

The lines come from the components' own log (INFO and above) and from the simulator.  Uuids become
names that are the same in every run, times become simulated seconds.
"""

import datetime
import logging
import re
import traceback
from collections.abc import Callable

from masakari.sim.clock import START, SimClock

LOGGER = "masakari"
UUID = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b")
TIMESTAMP = re.compile(r"\b2026-01-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00| UTC)?")
TWICE = re.compile(r"\b(?P<name>[\w.-]+) \((?P=name)\)")


def seconds(at: float) -> str:
    """90 or 90.2"""
    return f"{round(at, 1):g}"


class Names:
    """Stable names instead of uuids.  Owns the table; used by one thread at a time."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._places: dict[str, str] = {}

    def know(self, uuid: str, name: str) -> None:
        """*uuid* is to be shown as *name*."""
        self._names.setdefault(uuid.replace("-", ""), name)

    def know_place(self, path: str, name: str) -> None:
        """The *path*, which differs from run to run, is to be shown as *name*."""
        self._places[path] = name

    def number(self, kind: str, uuid: str) -> str:
        """The uuid's name: the next number of its kind."""
        key = uuid.replace("-", "")
        if key not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            number = str(self._counts[kind])
            self._names[key] = number if kind == "notification" else f"{kind}-{number}"
        return self._names[key]

    def apply(self, text: str) -> str:
        """*text* with names for uuids and paths, and seconds for times."""
        for path, name in self._places.items():
            text = text.replace(path, name)
        text = re.sub(
            rf"notification ({UUID.pattern})",
            lambda m: f"notification {self.number('notification', m[1])}",
            text,
        )
        text = UUID.sub(lambda m: self.number("id", m[0]), text)
        text = TIMESTAMP.sub(lambda m: _since_start(m[0]), text)
        return TWICE.sub(r"\g<name>", text)


def _since_start(timestamp: str) -> str:
    at = datetime.datetime.fromisoformat(timestamp.removesuffix(" UTC")).replace(tzinfo=None)
    return f"{seconds((at - START).total_seconds())} s"


class Story(logging.Handler):
    """Collects the lines; `with story:` it listens to the components' log."""

    def __init__(self, clock: SimClock, echo: Callable[[str], None] | None = None) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.last_at = 0.0
        """When the last line came, in simulated seconds."""
        self.tracebacks: list[str] = []
        """Logged by the components: defects, whatever the lines say."""
        self.names = Names()
        self._clock = clock
        self._echo = echo
        self._watches: list[tuple[re.Pattern[str], Callable[[], None]]] = []
        self._before: tuple[int, bool] | None = None

    def __enter__(self) -> "Story":
        logger = logging.getLogger(LOGGER)
        self._before = (logger.level, logger.propagate)
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger(LOGGER)
        logger.removeHandler(self)
        if self._before is not None:
            logger.setLevel(self._before[0])
            logger.propagate = self._before[1]

    def say(self, who: str, text: str) -> None:
        """Add a line."""
        text = self.names.apply(" ".join(text.split()))
        self.last_at = self._clock.monotonic()
        line = f"{seconds(self.last_at):>7} {who:<9} {text}"
        self.lines.append(line)
        if self._echo is not None:
            self._echo(line)
        self._tell(f"{who} {text}")

    def conclude(self, text: str) -> None:
        """Add a line that belongs to no moment."""
        line = f"{'end':>7} {'':<9} {self.names.apply(text)}"
        self.lines.append(line)
        if self._echo is not None:
            self._echo(line)

    def when(self, pattern: str, then: Callable[[], None]) -> None:
        """Call *then* once, when a line (`who text`) matches *pattern*."""
        self._watches.append((re.compile(pattern), then))

    def emit(self, record: logging.LogRecord) -> None:
        """A component has logged *record*; the dead say nothing."""
        if self._clock.is_dead():
            return
        if record.name.startswith("masakari.api") and record.levelno < logging.WARNING:
            return  # who asked for it tells the story
        if record.exc_info and record.exc_info[0] is not None:
            self.tracebacks.append("".join(traceback.format_exception(*record.exc_info)))
        level = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
        self.say(self._clock.group(), level + record.getMessage())

    def _tell(self, line: str) -> None:
        due = [watch for watch in self._watches if watch[0].search(line)]
        self._watches = [watch for watch in self._watches if watch not in due]
        for _, then in due:
            then()
