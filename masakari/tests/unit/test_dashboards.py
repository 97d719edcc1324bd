"""What etc/ has for Prometheus and Grafana: metrics exist, and alerts fire when they must."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from masakari.alarms import ALARMS
from masakari.metrics import METRICS, Kind

ETC = pathlib.Path(__file__).parents[3] / "etc"
RULES = ETC / "prometheus" / "masakari-alerts.yaml"
DASHBOARD = ETC / "grafana" / "masakari.json"
INCIDENT = pathlib.Path(__file__).parent / "incident.yaml"

pytestmark = pytest.mark.skipif(not ETC.exists(), reason="these tests read the source tree")


def series():
    """Every name that can be asked for."""
    for metric in METRICS:
        yield metric.name
        if metric.kind is Kind.HISTOGRAM:
            yield from (f"{metric.name}_{end}" for end in ("bucket", "count", "sum"))


def rules():
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def dashboard():
    return json.loads(DASHBOARD.read_text())


def expressions():
    yield from ((rule["alert"], rule["expr"]) for rule in rules())
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))


def test_every_metric_that_is_asked_for_exists():
    known = set(series())
    wrong = [
        f"{where}: {name}"
        for where, expression in expressions()
        for name in re.findall(r"\bmasakari_\w+", expression)
        if name not in known
    ]

    assert wrong == []


def test_every_alarm_has_a_rule():
    text = RULES.read_text()

    assert [a.code for a in ALARMS if f'code="{a.code}"' not in text] == []


def test_severities_are_those_of_the_table():
    of = {alarm.code: str(alarm.severity) for alarm in ALARMS}
    for rule in rules():
        for code in re.findall(r"MSK-\d{3}", rule["expr"]):
            assert rule["labels"]["severity"] == of[code], code


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


def test_each_alert_fires_in_the_recorded_incident():
    cases = [
        case
        for test in yaml.safe_load(INCIDENT.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    rests = {case["alertname"] for case in cases if not case["exp_alerts"]}

    assert {rule["alert"] for rule in rules()} - (fires & rests) == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_alerts_fire_in_a_recorded_incident_and_only_then(tmp_path):
    for path in (RULES, INCIDENT):
        shutil.copy(path, tmp_path)
    checked = subprocess.run(
        ["promtool", "check", "rules", tmp_path / RULES.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr

    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / INCIDENT.name],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
