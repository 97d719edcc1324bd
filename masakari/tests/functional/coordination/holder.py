"""A process that takes a lock when it is told to.

    python -m masakari.tests.functional.coordination.holder URL

Each line of its input is a command: `hold NAME` (answered with True or False), or `release`.
"""

import contextlib
import subprocess
import sys
from typing import Self

from oslo_config import cfg

from masakari import conf as options
from masakari import locks
from masakari.clock import SystemClock


def connect(url: str) -> locks.ToozLocks:
    """The locks of a program whose `[coordination] backend_url` is *url*."""
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], project="masakari", default_config_files=[], default_config_dirs=[])
    conf.set_override("backend_url", url, group="coordination")
    return locks.connect(conf, SystemClock())


class Holder:
    """Such a process, as a test sees it."""

    def __init__(self, url: str) -> None:
        """It is running."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hold(self, name: str) -> bool:
        """Whether it has got the lock."""
        return self._ask(f"hold {name}") == "True"

    def release(self) -> None:
        """It holds nothing any more."""
        assert self._ask("release") == "released"

    def kill(self) -> None:
        """As kill -9."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """It is not running."""
        self.kill()
        self._process.stdin.close()
        self._process.stdout.close()

    def _ask(self, command: str) -> str:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def main(url: str) -> None:
    """Do what the lines of the standard input say."""
    found = connect(url)
    held = contextlib.ExitStack()
    for line in sys.stdin:
        command, *names = line.split()
        if command == "hold":
            print(held.enter_context(found.hold(*names)), flush=True)
        else:
            held.close()
            print("released", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
