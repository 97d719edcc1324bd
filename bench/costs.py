"""Where a process spends its CPU time: py-spy's samples, summed by what they were spent on."""

import collections
import pathlib
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass

RATE_HZ = 500

Kinds = tuple[tuple[str, tuple[str, ...]], ...]
KINDS: Kinds = (
    ("TaskFlow and its records", ("/taskflow/",)),
    ("database: SQLAlchemy, oslo.db, driver", ("/sqlalchemy/", "/oslo_db/", "/pymysql/")),
    (
        "Nova requests: keystoneauth, requests, urllib3",
        ("/keystoneauth1/", "/requests/", "/urllib3/", "/openstack/", "http/client.py"),
    ),
    ("message bus: oslo.messaging", ("/oslo_messaging/", "/kombu/", "/amqp/")),
    ("logging", ("/oslo_log/", "/logging/")),
    ("the engine's own code", ("masakari/",)),
)
"""(what, parts of paths): a sample belongs to the first kind of which a frame is on its stack.

Logging is sought at the end of a stack only, see `kind_of`: whoever logs also does other things.
"""
ON_TOP = {"logging": 8}
"""So many of the innermost frames count for that kind, before all others."""


def py_spy() -> str | None:
    """The program, if it is installed."""
    beside = pathlib.Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


class Sampler:
    """Samples one process until `stop`."""

    def __init__(self, pid: int, samples: pathlib.Path, log: pathlib.Path) -> None:
        """Begin; *samples* is the file for what py-spy writes, *log* for what it says."""
        program = py_spy()
        if program is None:
            raise FileNotFoundError("py-spy is not installed: pip install py-spy")
        self._output, self._errors = samples, log.open("wb")
        rate = str(RATE_HZ)
        command = [
            program,
            "record",
            "-p",
            str(pid),
            "-f",
            "raw",
            "-r",
            rate,
            "-d",
            "unlimited",
            "--gil",
        ]
        self._process = subprocess.Popen(
            [*command, "--full-filenames", "--nonblocking", "-o", str(self._output)],
            stdout=self._errors,
            stderr=self._errors,
        )

    def stop(self, kinds: Kinds = KINDS) -> list["Cost"]:
        """What the time went to, the most first; [] if nothing was sampled."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        return costs(self._output.read_text(), kinds) if self._output.exists() else []


@dataclass(frozen=True)
class Cost:
    """A share of the CPU time, and the functions of ours that caused most of it."""

    kind: str
    share: float
    within: list[tuple[str, float]]
    """(function of ours, share of all), the three largest"""


def costs(collapsed: str, known: Kinds = KINDS) -> list[Cost]:
    """Of lines `frame;frame;frame count`, outermost frame first."""
    kinds: collections.Counter[str] = collections.Counter()
    within: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        kind = kind_of(frames, known)
        kinds[kind] += int(count)
        ours = [f for f in frames if "masakari/" in f and "site-packages" not in f]
        within[kind][ours[-1].partition(" (")[0] if ours else frames[-1]] += int(count)
    total = sum(kinds.values())
    return [
        Cost(kind, n / total, [(f, c / total) for f, c in within[kind].most_common(3)])
        for kind, n in kinds.most_common()
    ]


def kind_of(frames: list[str], known: Kinds = KINDS) -> str:
    """What a stack is about."""
    for kind, parts in known:
        if kind in ON_TOP and _touches(frames[-ON_TOP[kind] :], parts):
            return kind
    # Each step runs below TaskFlow, so that is a cost only behind the last frame of ours.
    behind = max((i for i, f in enumerate(frames) if _is_ours(f)), default=-1) + 1
    for kind, parts in known:
        if _touches(frames[behind:], parts) and kind not in ON_TOP:
            return kind
    return known[-1][0] if behind else "Python: threads, start, imports"


def _is_ours(frame: str) -> bool:
    return "masakari/" in frame and "site-packages" not in frame


def _touches(frames: list[str], parts: tuple[str, ...]) -> bool:
    return any(part in frame for frame in frames for part in parts)
