"""A real Prometheus scrapes a real program during an incident, and its alerts fire.

The rules are those of etc/, but for their `for`, which is a second here.
"""

import json
import pathlib
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from masakari.sim.faults import Fault, Outcome
from masakari.tests.functional.engine import test_standalone
from masakari.tests.functional.program import free_port, wait

RULES = pathlib.Path(__file__).parents[4] / "etc" / "prometheus" / "masakari-alerts.yaml"

pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(not RULES.exists(), reason="these tests read the source tree"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]

CONFIG = """\
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: masakari-standalone
    scrape_timeout: 500ms
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
OPTIONS = """\
[DEFAULT]
process_unfinished_notifications_interval = 8
[engine]
retry_limit = 2
sweep_interval = 0.5
[alarms]
waiting_age = 1
[health]
engine_port = {port}
"""
SOON_S = 90


class Prometheus:
    """It looks at one program, twice a second."""

    def __init__(self, directory, scraped_port):
        directory.mkdir()
        rules, changed = re.subn(r"\bfor: \w+", "for: 1s", RULES.read_text())
        assert changed
        (directory / "rules.yaml").write_text(rules)
        (directory / "prometheus.yaml").write_text(CONFIG.format(port=scraped_port))
        self._directory = directory
        self._port = free_port()
        self._process = None

    def start(self):
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._directory}/prometheus.yaml",
                    f"--storage.tsdb.path={self._directory}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )
        wait("it has scraped", lambda: self.value("up") == "1", SOON_S)

    def stop(self):
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def value(self, expression):
        """Of one series now; None: there is none, or nobody answers yet."""
        result = self._ask(f"query?query={expression}").get("result")
        return result[0]["value"][1] if result else None

    def firing(self):
        """Names of the alerts that fire now; None: nobody answers."""
        alerts = self._ask("alerts").get("alerts")
        if alerts is None:
            return None
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    def wait_for(self, name, **labels):
        """The alert fires, or has, with these labels."""
        wanted = labels | {"alertname": name, "alertstate": "firing"}
        matchers = ",".join(f'{label}="{value}"' for label, value in wanted.items())
        expression = f"count_over_time(ALERTS{{{matchers}}}[10m])"
        wait(f"{name} fires", lambda: self.value(expression), SOON_S)

    def _ask(self, path):
        url = f"http://127.0.0.1:{self._port}/api/v1/{urllib.parse.quote(path, safe='?=')}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except (OSError, urllib.error.HTTPError):
            return {}


@pytest.fixture
def lab(tmp_path):
    lab = test_standalone.Lab(tmp_path)
    lab.port = free_port()
    lab.config.write_text(lab.config.read_text() + OPTIONS.format(port=lab.port))
    try:
        lab.start()
        lab.api.register(["compute1", "compute2", "compute3"])
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def prometheus(lab, tmp_path):
    started = Prometheus(tmp_path / "prometheus", lab.port)
    try:
        started.start()
        yield started
    finally:
        started.stop()


def test_incident_that_is_scraped_fires_the_alerts(lab, prometheus):
    wait("nothing is wrong", lambda: prometheus.firing() == set(), SOON_S)

    lab.cloud.add_fault(Fault("evacuate", times=None, outcome=Outcome.FAIL))
    lab.cloud.power_off("compute1")
    prometheus.wait_for("MasakariRecoveryWaiting", code="MSK-101", severity="warning")
    prometheus.wait_for("MasakariRecoveryFailing", code="MSK-102", severity="warning")
    prometheus.wait_for("MasakariRecoveryGivenUp", code="MSK-103", severity="critical")

    lab.cloud.clear_faults()
    (failed,) = lab.api.notifications()
    action = f"/notifications/{failed['notification_uuid']}/action"
    assert lab.api.call("POST", action, {"retry": None}, version="1.4")[0] in (200, 202)
    wait(
        "it is recovered",
        lambda: {n["status"] for n in lab.api.notifications()} == {"finished"},
        SOON_S,
    )
    wait("all is well again", lambda: prometheus.firing() == set(), SOON_S)

    lab.program.kill()
    prometheus.wait_for("MasakariNoEngine", severity="critical")
    prometheus.wait_for("MasakariMonitorSilent", code="MSK-401", severity="critical")
