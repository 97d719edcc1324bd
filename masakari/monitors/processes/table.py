"""Which of the watched processes run, by the table of processes.

A process is told by the words of its command line, not by a part of its text: an editor that shows
`nova-compute.log` is no nova-compute.
"""

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import psutil

INTERPRETER = re.compile(r"(python|pypy|perl|ruby|node|java|bash|dash|sh|php)[\d.]*")


@dataclass(frozen=True, slots=True)
class Running:
    """One line of the table."""

    name: str
    """as the kernel calls it"""
    exe: str
    """the path of its program, empty if it is not shown to us"""
    argv: Sequence[str]


def read() -> list[Running]:
    """All processes but those that have ended and are only waited for."""
    found = []
    for process in psutil.process_iter(["name", "exe", "cmdline", "status"]):
        of = process.info
        if of["status"] not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            found.append(Running(of["name"] or "", of["exe"] or "", of["cmdline"] or ()))
    return found


def alive(names: Collection[str], table: Collection[Running]) -> frozenset[str]:
    """Those of *names* (of the process list) that a process in the *table* has."""
    wanted = {name: shlex.split(name) for name in names}
    lines = {line for running in table for line in _lines(running)}
    return frozenset(
        name for name, words in wanted.items() if any(_matches(words, line) for line in lines)
    )


def _lines(running: Running) -> Iterator[tuple[str, ...]]:
    """What the command line may be called: with, and without, the program that interprets it."""
    argv = tuple(running.argv)
    yield argv
    if running.exe and argv:
        yield (running.exe, *argv[1:])
    if not argv or argv[0] != running.name:
        yield (running.name,)
    if argv and INTERPRETER.fullmatch(argv[0].rpartition("/")[2]):
        first = next((n for n, word in enumerate(argv[1:], 1) if not word.startswith("-")), None)
        if first is not None:
            yield argv[first:]
        if "-m" in argv[1:-1]:
            yield argv[argv.index("-m") + 1 :]
    if argv and " " in argv[0]:  # who writes its own title, such as "nginx: master process …"
        yield tuple(argv[0].split())


def _matches(words: Sequence[str], line: Sequence[str]) -> bool:
    """Whether the line begins with *words*; a name without a slash is that of any directory."""
    if len(line) < len(words):
        return False
    first = line[0] if "/" in words[0] else line[0].rpartition("/")[2]
    return [first, *line[1 : len(words)]] == list(words)
