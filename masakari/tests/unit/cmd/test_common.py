"""Signals, as a process of its own gets them."""

import subprocess
import sys

WAITS = """
import os, signal
from oslo_config import cfg
from masakari.cmd import common

def reload():
    print("reloaded", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

conf = cfg.ConfigOpts()
conf([], default_config_files=[], default_config_dirs=[])
common.hold_hangup()
os.kill(os.getpid(), signal.SIGHUP)
print("starting", flush=True)
common.wait_for_signal(conf, reload)
print("ended")
"""


def test_sighup_that_comes_early_is_answered_when_the_program_listens():
    done = subprocess.run(
        [sys.executable, "-c", WAITS], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout.split()) == (0, ["starting", "reloaded", "ended"]), (
        done.stderr
    )
