"""Signals, as a process of its own gets them."""

import subprocess
import sys

import pytest

WAITS = """
import os, signal, sys
from oslo_config import cfg
from masakari.cmd import common

def reload():
    print("reloaded", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

conf = cfg.ConfigOpts()
conf([], default_config_files=[], default_config_dirs=[])
common.hold([*common.HANGUP, *common.END])
os.kill(os.getpid(), signal.Signals[sys.argv[1]])
print("starting", flush=True)
common.wait_for_signal(conf, reload)
print("ended")
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
    done = subprocess.run(
        [sys.executable, "-c", WAITS, signal],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout.split()) == (0, said), done.stderr
