"""Signals, as a process of its own gets them."""

import signal as signals
import subprocess
import sys

import pytest

WAITS = """
import os, signal, sys, threading
from oslo_config import cfg
from masakari.cmd import common
from masakari.cmd.systemd import Systemd

def reload():
    print("reloaded", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

conf = cfg.ConfigOpts()
conf([], default_config_files=[], default_config_dirs=[])
common.hold_signals()
threading.Thread(target=threading.Event().wait, daemon=True).start()
os.kill(os.getpid(), signal.Signals[sys.argv[1]])
print("starting", flush=True)
common.wait_for_signal(conf, Systemd(), "waiting", reload)
print("ended")
"""


UNIGNORED = ("/usr/bin/env", "--default-signal=INT")
"""A shell's background jobs, as these tests may be, ignore SIGINT."""
WAITS_LONG = """
import os, signal, sys
from masakari.cmd import common

common.hold_signals()
os.kill(os.getpid(), signal.Signals[sys.argv[1]])
with common.may_end():
    signal.pause()
"""


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        ("SIGHUP", ["starting", "reloaded", "ended"]),
        ("SIGTERM", ["starting", "ended"]),
        ("SIGINT", ["starting", "ended"]),
    ],
)
def test_signal_that_comes_early_is_answered_when_the_program_listens(
    signal: str, said: list[str]
) -> None:
    done = run(WAITS, signal)

    assert (done.returncode, done.stdout.split()) == (0, said), done.stderr


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_signal_ends_what_may_take_long(signal: str) -> None:
    assert run(WAITS_LONG, signal).returncode == -getattr(signals, signal)


def run(program: str, signal: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*UNIGNORED, sys.executable, "-c", program, signal],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
