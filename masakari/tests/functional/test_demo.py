"""The demo as a user starts it: real processes, real time."""

import re
import signal
import subprocess
import sys


def run(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "masakari.sim", "demo", *arguments]


def test_demo_recovers_every_vm_and_says_so():
    done = subprocess.run(
        run("--hosts", "2", "--vms", "3"), capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The power of compute-1 is cut." in done.stdout
    assert "each of 3 VMs runs exactly once" in done.stdout
    assert len(re.findall(r"vm-0\d │ compute-1 │ compute-2", done.stdout)) == 2
    assert done.stderr == ""


def test_demo_interrupted_stops_everything(tmp_path):
    process = subprocess.Popen(
        # a shell's background jobs, as these tests may be, ignore it
        ["/usr/bin/env", "--default-signal=INT", *run("--keep")],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if "The power of compute-1 is cut." in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert process.returncode == 130
    assert "everything is stopped and removed" in rest
    assert list(tmp_path.iterdir()) == []
