"""Recoveries on a terminal: tables, and a live picture."""

import contextlib
import sys
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from masakari.cmd.recovery_shape import Json, counted, words

STYLES = {
    "new": "cyan",
    "running": "cyan",
    "ongoing": "cyan",
    "RUNNING": "cyan",
    "error": "yellow",
    "failed": "bold red",
    "FAILURE": "bold red",
    "finished": "green",
    "succeeded": "green",
    "SUCCESS": "green",
    "ignored": "dim",
}
BAR_WIDTH = 12


def print_list(rows: Sequence[Json]) -> None:
    """The rows of `recovery list`, or that there are none."""
    console = _console()
    if not rows:
        console.print("No recoveries.")
        return
    table = _table(
        "uuid", "type", "host", "status", "reason", "age", "took", "VMs", "engine", "try"
    )
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(
            row["uuid"],
            row["type"],
            _text(row["host"]),
            _word(row["status"]),
            _text(row["reason"]),
            words(row["age_s"]),
            words(row["elapsed_s"]),
            counted(row["vms"]),
            _text(row["engine"]),
            str(row["attempt"]),
        )
    console.print(table)


def print_one(document: Json) -> None:
    """What `recovery show` tells."""
    _console().print(picture(document))


class Picture:
    """The live picture of one recovery."""

    def __init__(self, display: Live) -> None:
        self._display = display
        self._document: Json | None = None

    def show(self, document: Json) -> None:
        """It is like this now."""
        self._document = document
        self._display.update(picture(document), refresh=True)

    def trouble(self, text: str) -> None:
        """Shown above what was known last."""
        if self._document is not None:
            said = Group(Text(text, "bold red"), picture(self._document))
            self._display.update(said, refresh=True)


@contextlib.contextmanager
def live() -> Iterator[Picture]:
    """A picture that is drawn anew, where it stands, until the end of the block."""
    with Live(console=_console(), auto_refresh=False, vertical_overflow="ellipsis") as display:
        yield Picture(display)


def picture(document: Json) -> RenderableType:
    """The recovery: what it is, its steps, its VMs, what was done."""
    parts: list[RenderableType] = [_facts(document)]
    if document["chapters"]:
        parts.append(_steps(document["chapters"]))
    if document["moves"]:
        parts.append(_moves(document["moves"]))
    if document["actions"]:
        parts.append(_actions(document["actions"]))
    return Group(*parts)


def _facts(document: Json) -> Table:
    table = Table.grid(padding=(0, 2))
    vms = document["vms"]
    total = sum(vms.values())
    told = {
        "recovery": Text(document["uuid"]),
        "of": Text(f"{document['type']} {document['host'] or '-'}, segment {document['segment']}"),
        "status": Text.assemble(
            _word(document["status"]),
            f", attempt {document['attempt']}, {document['message'] or ''}",
        ),
        "reported": Text(f"{document['reported_at']}, {words(document['age_s'])} ago"),
        "ended": Text(f"{document['ended_at'] or '-'}, took {words(document['elapsed_s'])}"),
        "engine": Text(
            f"{document['engine'] or '-'}, lease until {document['lease_until'] or '-'}"
        ),
        "payload": Text(", ".join(f"{k}={v}" for k, v in document["payload"].items())),
    }
    if document["witnesses"]:
        told["seen by"] = Text("\n".join(w["reported_by"] for w in document["witnesses"]))
    if document["not_before"]:
        told["waits until"] = Text(document["not_before"])
    for name, value in told.items():
        table.add_row(Text(name, "bold"), value)
    if total:
        settled = total - vms["left"]
        text = f"{vms['done']} done, {vms['failed']} failed, {vms['left']} left"
        more = f", {vms['ignored']} ignored" if vms["ignored"] else ""
        beside = Table.grid(padding=(0, 1))
        beside.add_row(_bar(settled / total), Text(text + more))
        table.add_row(Text("VMs", "bold"), beside)
    return table


def _steps(chapters: Sequence[Json]) -> Table:
    table = _table("try", "chapter", "step", "state", "progress", "said last")
    for chapter in chapters:
        for step in chapter["steps"]:
            table.add_row(
                _text(chapter["attempt"]),
                _text(chapter["name"]),
                step["name"],
                _word(step["state"] or "-"),
                _bar(step["progress"]),
                Text(step["said"][-1]["message"]),
            )
    return table


def _moves(moves: Sequence[Json]) -> Table:
    table = _table("try", "VM", "status", "from", "to", "began", "took", "message")
    for move in moves:
        table.add_row(
            f"{move['attempt']}.{move['chapter']}",
            Text(move["server_name"]),
            _word(move["status"] or "-"),
            _text(move["source"]),
            _text(move["destination"]),
            _text(move["started_at"]),
            words(move["elapsed_s"]),
            _text(move["message"] or ""),
        )
    return table


def _actions(actions: Sequence[Json]) -> Table:
    table = _table("try", "VM", "action", "host", "began", "ended", "outcome")
    for action in actions:
        keys = ("attempt", "server", "action", "host", "started_at", "ended_at", "outcome")
        table.add_row(*(_text(action[key]) for key in keys))
    return table


def _console() -> Console:
    """As wide as the terminal, without colours where NO_COLOR is set or nobody sees them."""
    return Console(file=sys.stdout)


def _table(*names: str) -> Table:
    table = Table()
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _bar(share: float) -> ProgressBar:
    return ProgressBar(total=1.0, completed=share, width=BAR_WIDTH)


def _word(word: str) -> Text:
    return Text(word, STYLES.get(word, ""))


def _text(value: object) -> Text:
    """As it is: what VMs are called is no markup."""
    return Text("-" if value is None else str(value))
