"""SQL statements, counted per MariaDB user from the server's general log."""

import collections
import pathlib
import re
from collections.abc import Iterator

ENTRY = re.compile(
    rb"^(?:\d{6}\s+[\d:]+)?\t\s*(\d+) (Connect|Query|Execute|Quit)\t(.*)$", re.DOTALL
)
"""`[time] TAB thread command TAB argument`; an argument may go on in the next lines."""
SHAPE = re.compile(r"'(?:[^'\\]|\\.)*'|\b\d+(?:\.\d+)?\b|\bNULL\b")
NOT_COUNTED = ("begin", "start transaction", "commit", "rollback", "select 1")
"""Transactions and pings."""


class GeneralLog:
    """What was asked since `mark`.  The log must have been on before the first connection."""

    def __init__(self, path: pathlib.Path) -> None:
        """Read *path*, the server's general_log_file."""
        self._path = path
        self._position = 0
        self._users: dict[int, str] = {}

    def mark(self) -> None:
        """Count from here; what came before tells which thread serves which user."""
        for _ in self._read():
            pass

    def counts(self) -> dict[str, collections.Counter[str]]:
        """{user: {statement without its values: how often}}, since the last look or mark."""
        found: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for user, statement in self._read():
            if statement.strip(" ;\n").lower() not in NOT_COUNTED:
                found[user][shape(statement)] += 1
        return found

    def _read(self) -> Iterator[tuple[str, str]]:
        """(user, statement) pairs since the last look."""
        with self._path.open("rb") as log:
            log.seek(self._position)
            text = log.read()
            self._position = log.tell()
        entries: list[bytes] = []
        for line in text.split(b"\n"):
            if ENTRY.match(line) or not entries:
                entries.append(line)
            else:
                entries[-1] += b"\n" + line
        for entry in entries:
            match = ENTRY.match(entry)
            if match is None:
                continue
            thread, command = int(match[1]), match[2]
            argument = match[3].decode("utf-8", "replace")
            if command == b"Connect":
                self._users[thread] = argument.partition("@")[0].strip()
            elif command in (b"Query", b"Execute"):
                yield self._users.get(thread, "?"), argument


def shape(statement: str) -> str:
    """The statement on one line without its values, so that equal ones count as one."""
    text = SHAPE.sub("?", " ".join(statement.split()))
    text = re.sub(r"\((?:\?(?:, ?)?)+\)", "(...)", text)
    return re.sub(r"\(\.\.\.\)(?:,\s*\(\.\.\.\))+", "(...)", text)
