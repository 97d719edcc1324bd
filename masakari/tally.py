"""What several workers have counted, added up from the library's files in a common directory.

A file is names, each with a number at a place that does not change.  To read the names takes most
of the time, so they are read again only when a file, or a name in one, came or went.
"""

import collections
import contextlib
import itertools
import json
import pathlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

FILES = "*.db"
"""The library's in that directory: KIND[_MODE]_PID.db."""
_LENGTH = struct.Struct("i")
_NUMBER_BYTES = 8

Labels = tuple[tuple[str, str], ...]
Shape = Mapping[pathlib.Path, tuple[int, int]]
"""(inode, bytes in use) of each file: while that is the same, names are where they were."""


@dataclass(frozen=True)
class Words:
    """How it is written for Prometheus."""

    header: Callable[[str, str, str], Sequence[str]]
    """Lines above a family, by its name, kind and meaning."""
    labels: Callable[[Labels], str]
    number: Callable[[float], str]


class Tally:
    """As the library's collector for several processes, and several times as fast.

    It knows counters, histograms, and gauges that are summed.  Thread-safe.
    """

    def __init__(self, directory: pathlib.Path, words: Words) -> None:
        """Of workers that write into *directory*."""
        self._directory, self._words = directory, words
        self._plan = _Plan({}, {}, words)

    def lines(self) -> list[str]:
        """All families, with the sums of now."""
        contents: dict[pathlib.Path, bytes] = {}
        shape: dict[pathlib.Path, tuple[int, int]] = {}
        for path in sorted(self._directory.glob(FILES)):
            with contextlib.suppress(FileNotFoundError):  # its worker has ended just now
                inode, data = path.stat().st_ino, path.read_bytes()
                if data:  # its worker has not made it just now
                    contents[path], shape[path] = data, (inode, _used(data))
        plan = self._plan
        if plan.shape != shape:
            plan = self._plan = _Plan(shape, contents, self._words)
        return plan.lines(contents)


@dataclass(frozen=True)
class _Block:
    """Lines of one family: those of a histogram with one set of labels, or all others."""

    above: Sequence[str]
    heads: Sequence[str]
    rows: Sequence[int]
    """Of each head: which sum is behind it."""
    count: str = ""
    """Of a histogram: behind each head is the sum of all before it, too; the last one is this."""

    def lines(self, sums: Sequence[float], number: Callable[[float], str]) -> Iterator[str]:
        yield from self.above
        values: Iterator[float] = (sums[row] for row in self.rows)
        total = 0.0
        for head, total in zip(
            self.heads, itertools.accumulate(values) if self.count else values, strict=True
        ):
            yield f"{head} {number(total)}"
        if self.count:
            yield f"{self.count} {number(total)}"


class _Plan:
    """What there is to be written for files of one shape."""

    def __init__(self, shape: Shape, contents: Mapping[pathlib.Path, bytes], words: Words) -> None:
        self.shape, self._number = shape, words.number
        self._places: dict[pathlib.Path, list[tuple[int, int]]] = {}
        """(row of the sum, index of the number)"""
        rows: dict[bytes, int] = {}
        families: dict[tuple[str, str, str], dict[bytes, int]] = collections.defaultdict(dict)
        for path, data in contents.items():
            kind = path.name.partition("_")[0]
            places = self._places[path] = []
            for key, index in _entries(data):
                row = rows.setdefault(key, len(rows))
                places.append((row, index))
                name, _, _, meaning = json.loads(key)
                families[name, kind, meaning][key] = row
        self._count = len(rows)
        self._blocks = [
            block for family, keys in families.items() for block in _blocks(*family, keys, words)
        ]

    def lines(self, contents: Mapping[pathlib.Path, bytes]) -> list[str]:
        sums = [0.0] * self._count
        for path, places in self._places.items():
            numbers = memoryview(contents[path]).cast("d")
            for row, index in places:
                sums[row] += numbers[index]
        return [line for block in self._blocks for line in block.lines(sums, self._number)]


def _used(data: bytes) -> int:
    used: int = _LENGTH.unpack_from(data)[0]
    return used


def _entries(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(key, index of the number) of what a file has: length, key, padding, number, time."""
    at, used = _NUMBER_BYTES, _used(data)
    while at < used:
        (length,) = _LENGTH.unpack_from(data, at)
        key = data[at + _LENGTH.size : at + _LENGTH.size + length]
        at += _LENGTH.size + length
        at += _NUMBER_BYTES - at % _NUMBER_BYTES
        yield key, at // _NUMBER_BYTES
        at += 2 * _NUMBER_BYTES


def _blocks(
    name: str, kind: str, meaning: str, keys: Mapping[bytes, int], words: Words
) -> Iterator[_Block]:
    plain: list[tuple[str, int]] = []
    buckets: dict[Labels, list[tuple[float, str, int]]] = collections.defaultdict(list)
    for key, row in keys.items():
        _, series, labels, _ = json.loads(key)
        head = series + words.labels(tuple(labels.items()))
        if "le" in labels:
            bound = float(labels.pop("le"))
            buckets[tuple(labels.items())].append((bound, head, row))
        else:
            plain.append((head, row))
    above = words.header(name, kind, meaning)
    yield _Block(above, [head for head, _ in plain], [row for _, row in plain])
    for others, of_one in buckets.items():
        _, heads, rows = zip(*sorted(of_one), strict=True)
        yield _Block((), heads, rows, count=f"{name}_count{words.labels(others)}")
