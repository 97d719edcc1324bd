"""masakari-standalone as a child process: its configuration, its start, its log, its end."""

import contextlib
import os
import pathlib
import signal
import subprocess  # ours to start: nothing from outside gets into the command
import sys
import types
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Self

from masakari import clock as clock_

PROGRAM = "masakari-standalone"
START_S = 30.0
STOP_S = 10.0
TAIL_LINES = 15


class DaemonFailed(Exception):
    """The daemon does not do its work; `str()` is a sentence, `tail` the end of its log."""

    def __init__(self, message: str, tail: str) -> None:
        super().__init__(message)
        self.tail = tail


def configuration(
    *, port: int, auth_url: str, directory: pathlib.Path, knocks: Mapping[str, str]
) -> str:
    """All that masakari-standalone has to be told: 15 lines.

    *knocks*: address:port at which each host shows that it is alive.
    """
    return f"""\
[DEFAULT]
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
state_path = {directory}
[keystone_authtoken]
auth_type = password
auth_url = {auth_url}
username = masakari
password = secret
project_name = service
default_domain_id = default
[host]
monitoring_interval = 1
second_opinion_addresses = {",".join(f"{host}={at}" for host, at in knocks.items())}
second_opinion_refused = dead
"""


class Daemon:
    """A running masakari-standalone; a context manager that leaves nothing behind."""

    def __init__(self, directory: pathlib.Path, config: str, url: str) -> None:
        self.url = url
        self.config_file = directory / "masakari.conf"
        self.log_file = directory / "masakari.log"
        self.config_file.write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  see the import
                [*_command(), "--config-file", str(self.config_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, "PYTHONWARNINGS": "ignore"},
                start_new_session=True,  # Ctrl-C is for us; we stop it afterwards
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_until_it_answers(self, clock: clock_.Clock) -> None:
        """Return when the API answers.  Raises DaemonFailed."""
        if not clock_.wait_until(clock, self._answers, START_S, every=0.1):
            raise DaemonFailed(f"{PROGRAM} does not answer within {START_S:g} s.", self.tail())

    def check(self) -> None:
        """Return if it runs.  Raises DaemonFailed."""
        if self._process is not None and self._process.poll() is not None:
            status = self._process.returncode
            raise DaemonFailed(f"{PROGRAM} has ended with status {status}.", self.tail())

    def tail(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            lines = self.log_file.read_text(errors="replace").splitlines()
            return "\n".join(lines[-TAIL_LINES:])
        return ""

    def _answers(self) -> bool:
        self.check()
        try:
            with urllib.request.urlopen(self.url, timeout=2) as response:  # noqa: S310  ours
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def _command() -> list[str]:
    """The installed program, or the same from the source tree."""
    program = pathlib.Path(sys.executable).parent / PROGRAM
    if program.exists():
        return [str(program)]
    start = "import sys; from masakari.cmd.standalone import main; sys.exit(main())"
    return [sys.executable, "-c", start]
