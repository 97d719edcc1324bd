"""An alarm of a monitor, in its metric and its log."""

import logging

import pytest

from masakari import alarms, exposition, metrics
from masakari.monitors.lamp import Lamp


@pytest.fixture
def exposed():
    return exposition.of_process([metrics.Program.HOSTMONITOR], "hostmonitor", "1")


def test_log_tells_when_it_changes_and_the_metric_always(exposed, caplog):
    caplog.set_level(logging.INFO)
    lamp = Lamp(alarms.SILENT, exposed[0])
    metric = []

    for trouble in (None, "all are silent", "all are silent still", None, None):
        lamp.show(trouble)
        lines = exposed[1]()[1].decode().splitlines()
        metric += [line[-3:] for line in lines if line.startswith("masakari_alarm{")]

    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", f"{alarms.SILENT.code} all are silent"),
        ("INFO", f"{alarms.SILENT.code} is over"),
    ]
    assert metric == ["0.0", "1.0", "1.0", "0.0", "0.0"]
    assert not lamp.is_on
