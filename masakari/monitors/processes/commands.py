"""Run the commands of the process list: without a shell, with a time limit, in the background."""

import concurrent.futures
import contextlib
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence

from masakari.monitors.processes.process_list import Command

LOG = logging.getLogger(__name__)

MOST = 8
"""Sequences at a time."""
LONGEST = 500
"""Characters of what a command said, in the log."""


class Runner:
    """Runs sequences of commands in threads."""

    def __init__(self, *, timeout_s: float, as_root: Command) -> None:
        """A command has *timeout_s*; *as_root* stands before those that root is to run."""
        self._timeout_s = timeout_s
        self._as_root = () if os.geteuid() == 0 else as_root
        self._pool = concurrent.futures.ThreadPoolExecutor(MOST, "command")

    def begin(
        self,
        name: str,
        sequence: Sequence[Command],
        *,
        as_root: bool,
        ended: Callable[[bool], None],
    ) -> None:
        """Run the commands one after the other; *ended*, in a thread, hears whether all went well.

        The first that fails is the last.  Its exit status counts, not what it says.
        """
        before = self._as_root if as_root else ()

        def run() -> None:
            went_well = False
            try:
                went_well = all(self._run(name, (*before, *command)) for command in sequence)
            except Exception:
                LOG.exception("%s: a command could not be run", name)
            finally:
                ended(went_well)

        self._pool.submit(run)

    def close(self) -> None:
        """Nothing is begun any more; what runs has its time."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, name: str, command: Command) -> bool:
        # a file, not a pipe: a daemon that the command starts may keep it open for ever
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(  # noqa: S603  the operator's own commands
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as e:
                LOG.error("%s: %s cannot be run: %s", name, command[0], e.strerror)
                return False
            try:
                status = process.wait(self._timeout_s)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                LOG.error("%s: %s did not end within %g s", name, command[0], self._timeout_s)
                return False
            if status != 0:
                output.seek(0)
                said = " ".join(output.read(4 * LONGEST).decode(errors="replace").split())
                LOG.error(
                    "%s: %s failed with status %d: %s", name, command[0], status, said[:LONGEST]
                )
            return status == 0
