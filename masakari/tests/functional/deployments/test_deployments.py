"""The files of each deployment start our programs: they answer, log where they should, and stop."""

import pathlib
import sys

import pytest

from masakari.tests.functional.deployments import files
from masakari.tests.functional.deployments.conftest import BIN, Machine
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

ENGINE_RUNS = ": started"
"""The bus is away; it need not be there."""
MONITOR_RUNS = "no host is watched"
MOD_WSGI = """
import importlib.util, signal, sys, wsgiref.simple_server
from importlib.machinery import SourceFileLoader
name = "_mod_wsgi_b0ba7e"
loader = SourceFileLoader(name, sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
loader.exec_module(module)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[2]), module.application).serve_forever()
"""
"""Loads the file as Apache's mod_wsgi does."""


def test_kolla(machine: Machine) -> None:
    machine.lay_down(files.KOLLA)
    etc, logs = machine.root / "etc", "var/log/kolla/masakari"
    config = ("--config-file", etc / "masakari/masakari.conf")
    machine.start("masakari-engine", *config)
    machine.start(
        "masakari-hostmonitor", "--config-file", etc / "masakari-monitors/masakari-monitors.conf"
    )
    machine.start(
        *(sys.executable, "-c", MOD_WSGI, BIN / "masakari-wsgi", machine.port),
        OS_MASAKARI_CONFIG_DIR=str(etc / "masakari"),
    )

    assert machine.await_api().json() == {"segments": []}
    synced = machine.run("masakari-manage", *config, "db", "version")
    engine = machine.await_text(f"{logs}/masakari-engine.log", ENGINE_RUNS)
    monitor = machine.await_text(f"{logs}/masakari-hostmonitor.log", MONITOR_RUNS)
    machine.stop()

    assert (synced.returncode, synced.stderr) == (0, "")
    assert "enabled_apis" not in engine
    assert "heartbeat_in_pthread" not in engine
    assert "stands in" not in monitor
    assert "[host] corosync_multicast_interfaces, [host] corosync_m" in monitor
    api = (machine.root / logs / "masakari-api.log").read_text()
    assert "api-paste.ini is not read" in api
    assert "not in effect: audit" in api


def test_openstack_ansible(machine: Machine, uwsgi: str) -> None:
    machine.lay_down(files.OPENSTACK_ANSIBLE)
    etc = machine.root / "etc"
    server = machine.start(
        *(uwsgi, "--ini", etc / "uwsgi/masakari-api.ini"),
        OS_MASAKARI_CONFIG_DIR=str(etc / "masakari"),
    )
    engine = machine.start("masakari-engine", "--config-file", etc / "masakari/masakari.conf")
    monitor = machine.start("masakari-hostmonitor", "--config-dir", etc / "masakarimonitors")

    assert machine.await_api().json() == {"segments": []}
    engine.wait_until_said(ENGINE_RUNS)
    monitor.wait_until_said(MONITOR_RUNS)
    # one that is stopped while it still imports serves "full dynamic mode" and never ends
    wait("both workers run", lambda: server.log.read_text().count("WSGI app 0") == 2, 60)
    machine.stop()

    assert server.said("is not read: the middleware is built in")
    for program in (engine, monitor):
        assert program.said("[DEFAULT] use_journal has no effect") or not journal_is_missing()
        assert not program.said("www_authenticate_uri")


def journal_is_missing() -> bool:
    return not any((pathlib.Path(path) / "systemd").is_dir() for path in sys.path)


def test_openstack_helm(machine: Machine) -> None:
    machine.lay_down(files.HELM)
    etc = machine.root / "etc/masakari"
    machine.start("masakari-api", "--config-file", etc / "masakari.conf")
    machine.start("masakari-engine", "--config-file", etc / "masakari.conf")
    machine.start(
        "masakari-hostmonitor",
        *("--config-file", etc / "masakarimonitors.conf"),
        *("--config-file", machine.root / "tmp/pod-shared/masakarimonitors.conf"),
    )

    assert machine.await_api().json() == {"segments": []}
    log = machine.await_text("var/log/pod.log", ENGINE_RUNS, "listening on 127.0.0.1", MONITOR_RUNS)
    machine.stop()

    assert 'Use option "disable_ipmi_check" from group "host"' in log
    assert 'Use option "guest_monitoring_interval"' in log
    assert 'Use option "guest_monitoring_timeout"' in log


def test_debian_finds_its_files(machine: Machine) -> None:
    machine.lay_down(files.DEBIAN)
    api_log = machine.root / "var/log/masakari/of-its-own.log"
    machine.start("masakari-api", f"--log-file={api_log}")
    machine.start("masakari-engine")
    machine.start("masakari-hostmonitor")

    assert machine.await_api().json() == {"segments": []}
    machine.await_text("var/log/masakari/of-its-own.log", "with 1 workers")
    machine.await_text("var/log/masakari/masakari-engine.log", ENGINE_RUNS)
    monitor = machine.await_text("var/log/masakari/masakari-hostmonitor.log", MONITOR_RUNS)
    version = machine.run("masakari-manage", "db", "version")
    status = machine.run("masakari-status", "upgrade", "check")
    machine.stop()

    assert "stands in" not in monitor
    assert (version.returncode, len(version.stdout.strip())) == (0, 12)
    assert (status.returncode, status.stderr) == (0, ""), status.stdout


def test_debian_in_uwsgi(machine: Machine, uwsgi: str) -> None:
    machine.lay_down(files.DEBIAN)
    machine.start(
        *(uwsgi, "--ini", machine.root / "etc/masakari/masakari-api-uwsgi.ini"),
        OS_MASAKARI_CONFIG_DIR=str(machine.root / "home/.masakari"),
    )

    assert machine.await_api().json() == {"segments": []}
    machine.stop()


def test_wsgi_script_serves_by_hand(machine: Machine) -> None:
    machine.lay_down(files.HELM)
    script = machine.start(
        *("masakari-wsgi", "--host", "127.0.0.1", "--port", machine.port),
        OS_MASAKARI_CONFIG_DIR=str(machine.root / "etc/masakari"),
    )

    assert machine.await_api("/").json()["versions"][0]["status"] == "CURRENT"
    assert machine.await_api().json() == {"segments": []}
    machine.stop()

    assert script.said(f"http://127.0.0.1:{machine.port}/ (for tests only")


def test_wsgi_script_without_configuration_says_so(machine: Machine) -> None:
    script = machine.start(
        *("masakari-wsgi", "--host", "127.0.0.1", "--port", machine.port),
        OS_MASAKARI_CONFIG_DIR=str(machine.root / "nowhere"),
    )

    answer = machine.await_api()
    machine.stop()

    assert answer.status_code == 500
    assert str(machine.root) not in answer.text
    assert script.said(f"{machine.root}/nowhere/masakari.conf")
