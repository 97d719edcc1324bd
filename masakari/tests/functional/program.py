"""One of our programs as a process."""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from masakari import clock


def wait(what, predicate, timeout):
    """Return when *predicate* is true; fail with *what* after *timeout* seconds."""
    if not clock.wait_until(clock.SystemClock(), predicate, timeout, 0.1):
        pytest.fail(f"timed out after {timeout} s: {what}")


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
FIRST = 20000 + 500 * WORKER
# runs that go on beside one another begin at different places
PORTS = (FIRST + n % 500 for n in itertools.count(os.getpid()))


def free_port():
    """A port on which nobody listens: of this worker's own, and of none that the kernel gives."""
    for port in itertools.islice(PORTS, 500):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    return pytest.fail("no port is free")


AUTHTOKEN = """\
[keystone_authtoken]
auth_type = password
auth_url = {keystone}
username = masakari
password = secret
project_name = service
default_domain_id = default
"""
"""What API and engine need to know of Keystone, a template."""

LOGS: set[pathlib.Path] = set()
"""What the programs of this process have written; read when all tests have run."""


class Program:
    """One of our programs, in a process group of its own."""

    def __init__(self, name, config, log):
        self.name, self.log = name, log
        LOGS.add(log)
        self._command = [pathlib.Path(sys.executable).parent / name, "--config-file", config]
        self._process = None

    def start(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=env, start_new_session=True
            )
        return self

    @property
    def is_started(self):
        return self._process is not None

    def kill(self):
        """As kill -9 of all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def children(self):
        """Its processes, that of the program itself left out."""
        return psutil.Process(self._process.pid).children()

    def signal(self, number):
        """As a terminal sends it: to all its processes."""
        os.killpg(self._process.pid, number)

    def stop(self):
        """Ask it to end; it has 30 s to do so."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"{self.name} did not end within 30 s of SIGTERM; {self.log}")

    @property
    def returncode(self):
        """The exit status, None while it runs."""
        return self._process.poll()

    def wait_until_said(self, text):
        wait(f"{self.name} says {text!r} in {self.log}", lambda: self.said(text), 60)

    def said(self, text):
        return text in self.log.read_text()
