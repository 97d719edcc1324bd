"""Whose process is whose, by command lines."""

import os
import subprocess

import pytest

from masakari.monitors.processes import table
from masakari.monitors.processes.table import Running, alive


def running(*argv, name=None, exe=""):
    return Running(name or argv[0].rpartition("/")[2][:15], exe, argv)


@pytest.mark.parametrize(
    ("wanted", "process"),
    [
        ("nova-compute", running("/usr/bin/nova-compute", "--config-file", "x")),
        ("/usr/bin/nova-compute", running("/usr/bin/nova-compute")),
        ("nova-compute", running("/usr/bin/python3.11", "/usr/bin/nova-compute", "--x")),
        ("/usr/bin/nova-compute", running("/usr/bin/python3", "-s", "/usr/bin/nova-compute")),
        ("nova.cmd.compute", running("python3", "-m", "nova.cmd.compute")),
        ("libvirtd", running("libvirtd", "--listen", exe="/usr/sbin/libvirtd")),
        ("/usr/sbin/libvirtd", running("libvirtd", "--listen", exe="/usr/sbin/libvirtd")),
        ("/usr/sbin/libvirtd --listen", running("/usr/sbin/libvirtd", "--listen", "-d")),
        ("nginx", running("nginx: master process /usr/sbin/nginx", name="nginx")),
        ("kthreadd", Running("kthreadd", "", ())),
    ],
)
def test_process_has_the_name(wanted, process):
    assert alive([wanted], [process]) == {wanted}


@pytest.mark.parametrize(
    ("wanted", "process"),
    [
        ("nova-compute", running("vim", "/var/log/nova-compute.log")),
        ("nova-compute", running("tail", "-f", "nova-compute")),
        ("nova-compute", running("/usr/bin/nova-compute-ironic")),
        ("nova-compute", running("grep", "nova-compute")),
        ("/usr/bin/nova-compute", running("/opt/bin/nova-compute")),
        ("libvirtd --listen", running("/usr/sbin/libvirtd", "-d")),
        ("nova-compute", running("python3", "-c", "print('nova-compute')")),
    ],
)
def test_process_only_mentions_the_name(wanted, process):
    assert alive([wanted], [process]) == frozenset()


def test_real_table_has_who_runs_and_not_who_has_ended():
    ended = subprocess.Popen(["sleep", "0.0"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    runs = subprocess.Popen(["sleep", "98764"])
    try:
        assert alive(["sleep 98764", "sleep 0.0"], table.read()) == {"sleep 98764"}
    finally:
        runs.kill()
        runs.wait()
        ended.wait()
