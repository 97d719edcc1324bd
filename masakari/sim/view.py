"""What the demo shows: live progress on a terminal, plain lines elsewhere, tables at the end."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Snapshot:
    """How things stand at one moment of the recovery."""

    seconds: float
    """since the power was cut"""
    service: str
    """of the dead host, in Nova: up or down"""
    notification: str
    """status of the notification, or that there is none yet"""
    pending: int
    moving: int
    done: int


@dataclass(frozen=True)
class Stage:
    """A part of the way from the power cut to the end."""

    what: str
    at: float
    """seconds since the power was cut"""


@dataclass(frozen=True)
class Journey:
    """What became of one VM."""

    name: str
    source: str
    dest: str
    seconds: float
    """for which it ran nowhere"""


class Screen(Protocol):
    """Where the recovery is watched."""

    def show(self, snapshot: Snapshot) -> None:
        """Things stand like this now."""


class View:
    """The demo's output."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(Text(text), soft_wrap=True)

    def heading(self, text: str) -> None:
        """One line that stands out."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    @contextlib.contextmanager
    def watching(self, host: str, vms: int) -> Iterator[Screen]:
        """Show snapshots while the recovery of *host* with its *vms* VMs goes on."""
        if not self._console.is_terminal:
            yield _Lines(self, host)
            return
        bars = _Bars(host, vms)
        with Live(bars.picture, console=self._console, refresh_per_second=10):
            yield bars

    def timeline(self, stages: Sequence[Stage]) -> None:
        """Each stage with the time that it took."""
        table = Table("stage", title="Timeline", title_justify="left")
        table.add_column("at", justify="right")
        table.add_column("took", justify="right")
        before = 0.0
        for stage in stages:
            table.add_row(stage.what, f"{stage.at:.1f} s", f"{stage.at - before:.1f} s")
            before = stage.at
        self._console.print()
        self._console.print(table)

    def journeys(self, journeys: Sequence[Journey]) -> None:
        """Each VM with where it went and how long it was down."""
        table = Table("VM", "from", "to", title="VMs", title_justify="left")
        table.add_column("down for", justify="right")
        for journey in journeys:
            table.add_row(journey.name, journey.source, journey.dest, f"{journey.seconds:.1f} s")
        self._console.print()
        self._console.print(table)


class _Lines:
    """A line whenever something has changed."""

    def __init__(self, view: View, host: str) -> None:
        self._view = view
        self._host = host
        self._last = ""

    def show(self, snapshot: Snapshot) -> None:
        """As Screen."""
        line = (
            f"{self._host} {snapshot.service} in Nova, notification {snapshot.notification}, "
            f"VMs: {snapshot.pending} pending, {snapshot.moving} moving, {snapshot.done} done"
        )
        if line != self._last:
            self._view.say(f"{snapshot.seconds:5.1f} s  {line}")
        self._last = line


class _Bars:
    """Bars that grow."""

    def __init__(self, host: str, vms: int) -> None:
        self._host = host
        self._state = Text()
        self._progress = Progress(
            TextColumn("  {task.description:8}"), BarColumn(40), MofNCompleteColumn()
        )
        self._bars = {
            name: self._progress.add_task(name, total=vms) for name in ("pending", "moving", "done")
        }
        self.picture = Group(self._state, self._progress)

    def show(self, snapshot: Snapshot) -> None:
        """As Screen."""
        self._state.plain = (
            f"{snapshot.seconds:5.1f} s  {self._host}: {snapshot.service} in Nova; "
            f"notification: {snapshot.notification}"
        )
        self._progress.update(self._bars["pending"], completed=snapshot.pending)
        self._progress.update(self._bars["moving"], completed=snapshot.moving)
        self._progress.update(self._bars["done"], completed=snapshot.done)
