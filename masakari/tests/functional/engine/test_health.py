"""Health and metrics of real programs: a recovery is seen in them, workers are added up."""

import json
import socket
import sqlite3
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from masakari.db import migration
from masakari.tests.functional.engine import test_programs, test_standalone
from masakari.tests.functional.program import Program, free_port, wait

pytestmark = pytest.mark.functional

config = test_programs.config
TOKEN = "correct-horse-battery"


def ask(port, path, token=None):
    """(status, text)"""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except OSError:
        return None, ""


def scrape(port, token=None):
    """{(name, labels in the order of their names): value}"""
    status, text = ask(port, "/metrics", token)
    assert status == 200
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def observed_lab(tmp_path):
    lab = test_standalone.Lab(tmp_path)
    lab.port = free_port()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    health = f"[health]\nengine_port = {lab.port}\ntoken_file = {token}\n"
    lab.config.write_text(lab.config.read_text() + health)
    try:
        lab.start()
        lab.api.register(["compute1", "compute2", "compute3"])
        yield lab
    finally:
        lab.stop()


def test_recovery_is_seen_in_health_and_metrics(observed_lab):
    lab = observed_lab
    wait("it is ready", lambda: ask(lab.port, "/healthz/ready") == (200, '{"status": "ok"}\n'), 30)
    assert ask(lab.port, "/healthz/live")[0] == 200
    lab.cloud.power_off("compute1")
    lab.wait_until_recovered()
    shown = scrape(lab.port, TOKEN)

    vms = test_standalone.VMS
    stage = "masakari_recovery_stage_duration_seconds_count"
    assert shown["masakari_notification_tries_total", ("recovered", "finished", "COMPUTE_HOST")]
    assert shown["masakari_vm_evacuations_total", ("succeeded",)] == vms
    assert shown["masakari_vm_evacuations_running", ()] == 0
    assert {s: shown[stage, (s,)] for s in ("accepted", "claimed", "service_down")} == {
        "accepted": 1,
        "claimed": 1,
        "service_down": 1,
    }
    assert shown[stage, ("evacuate_accepted",)] == shown[stage, ("vm_active",)] == vms
    assert shown["masakari_nova_request_duration_seconds_count", ("evacuate",)] == vms
    assert shown["masakari_api_requests_total", ("POST /notifications", "202")] == 1
    assert shown["masakari_monitor_reports_total", ("delivered",)] == 1
    assert shown["masakari_monitor_rounds_total", ("ok",)] >= 1
    assert "compute1" not in ask(lab.port, "/metrics", TOKEN)[1]

    checks = json.loads(ask(lab.port, "/healthz/ready", TOKEN)[1])["checks"]
    assert {c["name"] for c in checks} >= {
        *("thread sweep", "thread leases", "thread monitor"),
        *("database", "Nova", "Keystone", "bus", "leases"),
    }
    assert ask(lab.port, "/metrics")[0] == 401


def test_nova_away_is_not_ready_and_alive(observed_lab):
    lab = observed_lab
    lab.take_nova_away()

    wait("it is not ready", lambda: ask(lab.port, "/healthz/ready")[0] == 503, 60)
    assert ask(lab.port, "/healthz/live")[0] == 200


def test_workers_of_the_api_are_added_up(config, tmp_path):
    port = free_port()
    text = config.read_text().replace("[DEFAULT]", "[DEFAULT]\nauth_strategy = noauth2")
    config.write_text(f"{text}[health]\napi_port = {port}\n")
    api = next(line for line in text.splitlines() if "listen_port" in line).split(" = ")[1]
    program = Program("masakari-api", config, tmp_path / "log").start()
    try:
        wait("it answers", lambda: ask(api, "/v1/segments")[0] == 200, 60)
        wait("its metrics, too", lambda: ask(port, "/metrics")[0] == 200, 30)
        key = "masakari_api_requests_total", ("GET /segments", "200")
        before = scrape(port)[key]
        for _ in range(40):
            assert ask(api, "/v1/segments")[0] == 200
        assert scrape(port)[key] == before + 40
        assert ask(api, "/metrics")[0] in (404, 300)
    finally:
        program.stop()
    assert program.returncode == 0
    assert not program.said("Traceback")


def test_health_of_the_api_tells_of_what_it_needs(config, tmp_path):
    port, token = free_port(), tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    health = f"[health]\napi_port = {port}\ntoken_file = {token}\n"
    config.write_text(f"{config.read_text()}{health}")
    program = Program("masakari-api", config, tmp_path / "log").start()

    def checks():
        text = ask(port, "/healthz/ready", TOKEN)[1]
        return {c["name"]: c["ok"] for c in json.loads(text)["checks"]} if text else {}

    try:
        wait("it is ready", lambda: ask(port, "/healthz/ready") == (200, '{"status": "ok"}\n'), 60)
        assert ask(port, "/healthz/live") == (200, '{"status": "ok"}\n')
        wait("Keystone is known to be away", lambda: checks().get("Keystone") is False, 60)
        assert ask(port, "/healthz/ready")[0] == 200
        assert checks()["database"]

        (own,) = (p for p in program.children() if "health" in " ".join(p.cmdline()))
        own.kill()
        wait("another one answers", lambda: ask(port, "/healthz/ready")[0] == 200, 60)

        with sqlite3.connect(tmp_path / "state" / "masakari.sqlite", timeout=60) as database:
            database.execute(f"UPDATE {migration.VERSION_TABLE} SET version_num = '8f848eb45d03'")
        database.close()

        wait("it is not ready", lambda: ask(port, "/healthz/ready")[0] == 503, 60)
        assert "masakari-manage db sync" in ask(port, "/healthz/ready", TOKEN)[1]
        assert ask(port, "/healthz/live")[0] == 200
    finally:
        program.stop()
    assert program.returncode == 0
    assert not program.said("Traceback")


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("masakari-api", "api_port"),
        ("masakari-engine", "engine_port"),
        ("masakari-standalone", "engine_port"),
    ],
)
def test_port_in_use_ends_the_program_with_one_sentence(config, tmp_path, name, option):
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        config.write_text(f"{config.read_text()}[health]\n{option} = {taken}\n")
        program = Program(name, config, tmp_path / "log").start()
        wait("it has ended", lambda: program.returncode is not None, 30)

    assert program.returncode == 75
    assert program.said(f"{name}: [health] {option}: cannot listen on 127.0.0.1 port {taken}")
    assert not program.said("Traceback")
