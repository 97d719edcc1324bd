"""A recovery of real processes on the simulated cloud is followed while it goes on."""

import json
import os
import pathlib
import pty
import subprocess
import sys

import pytest

from masakari.cmd import recovery
from masakari.tests.functional.engine.test_standalone import VMS, Lab

pytestmark = pytest.mark.functional

MANAGE = pathlib.Path(sys.executable).parent / "masakari-manage"
PATIENCE_S = 120
ENV = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "60", "NO_COLOR": "1"}


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    try:
        lab.start()
        lab.api.register(["compute1", "compute2", "compute3"])
        yield lab
    finally:
        lab.stop()


def command(lab, *argv):
    return [MANAGE, "--config-file", lab.config, "recovery", *argv]


def run(lab, *argv):
    return subprocess.run(command(lab, *argv), capture_output=True, text=True, check=False, env=ENV)


class Terminal:
    """The command on a terminal; `written` is all that it has written."""

    def __init__(self, lab, *argv):
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command(lab, *argv), stdout=theirs, stderr=theirs, env=ENV, close_fds=True
        )
        os.close(theirs)
        self.written = ""

    def read(self, until=None):
        """Return when *until* is written, or at the end."""
        while until is None or until not in self.written:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not data:
                break
            self.written += data.decode(errors="replace")

    def end(self):
        """The exit status."""
        self.read()
        os.close(self._ours)
        return self._process.wait(PATIENCE_S)


def follow(lab, uuid, format_):
    """The process that follows it, and the first line that it has written."""
    process = subprocess.Popen(
        command(lab, "show", uuid, "--follow", "--format", format_),
        stdout=subprocess.PIPE,
        text=True,
        env=ENV,
    )
    return process, process.stdout.readline()


def test_recovery_is_followed_as_lines_documents_and_on_a_terminal(lab):
    uuid = lab.api.report("compute1")  # nothing is moved while Nova hears of the host
    lines, first_line = follow(lab, uuid, "table")
    documents, first_document = follow(lab, uuid, "json")
    terminal = Terminal(lab, "show", uuid, "--follow")
    terminal.read(until="compute1")
    listed = run(lab, "list")
    shown = run(lab, "show", uuid)

    lab.cloud.power_off("compute1")

    status = terminal.end()
    rest = (first_document + documents.communicate(timeout=PATIENCE_S)[0]).splitlines()
    told = [json.loads(line)["recovery"] for line in rest]
    said = (first_line + lines.communicate(timeout=PATIENCE_S)[0]).splitlines()
    lab.wait_until_recovered()
    lab.program.stop()
    ended = run(lab, "show", uuid)

    assert uuid in listed.stdout
    assert shown.returncode == recovery.OPEN
    assert status == lines.returncode == documents.returncode == ended.returncode == 0
    assert said[-1].split(" ", 1)[1].startswith(f"{uuid} is finished, attempt 1: recovered")
    assert sum(": succeeded on compute" in line for line in said) == VMS
    assert any(" EvacuateInstancesTask: " in line for line in said)
    assert told[0]["status"] in ("new", "running")
    assert told[-1]["vms"] == {"done": VMS, "failed": 0, "left": 0, "ignored": 0}
    assert [d["vms"]["done"] for d in told] == sorted(d["vms"]["done"] for d in told)
    assert "\x1b[2K" in terminal.written  # drawn where it stood
    assert f"{VMS} done, 0 failed, 0 left" in terminal.written
    assert max(map(len, ended.stdout.splitlines())) <= 100
    print(ended.stdout)


def test_what_is_left_when_the_programs_are_gone(lab):
    lab.stop()

    assert run(lab, "list").stdout == "No recoveries.\n"
    assert run(lab, "show", "1").returncode == recovery.NOT_FOUND
