"""The alarm that somebody has not answered for long."""

import pytest

from masakari import alarms, exposition, metrics
from masakari.monitors.silence import Silence
from masakari.tests.unit.db.clocks import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def exposed():
    return exposition.of_process([metrics.Program.INSTANCEMONITOR], "instancemonitor", "1")


@pytest.fixture
def silence(clock, exposed):
    return Silence(alarms.LIBVIRT, clock, after_s=600, meter=exposed[0])


def shown(exposed):
    """What the metric shows."""
    lines = exposed[1]()[1].decode().splitlines()
    return [line for line in lines if line.startswith("masakari_alarm{")]


def test_alarm_is_raised_once_when_it_was_silent_for_long(silence, clock, exposed, caplog):
    silence.missed("no answer within 10 s")
    for _ in range(10):
        silence.look()
        clock.advance(59)
        silence.missed("connection refused")
    assert caplog.text == ""
    assert shown(exposed) == ['masakari_alarm{code="MSK-411"} 0.0']

    clock.advance(11)
    silence.look()
    silence.look()

    assert caplog.text.count("MSK-411") == 1
    assert "(for 601 s: connection refused)" in caplog.text
    assert shown(exposed) == ['masakari_alarm{code="MSK-411"} 1.0']


def test_answer_ends_it(silence, clock, exposed, caplog):
    caplog.set_level("INFO")
    silence.missed("connection refused")
    clock.advance(600)
    silence.look()

    silence.answered()
    silence.look()
    clock.advance(600)
    silence.look()

    assert [r.levelname for r in caplog.records] == ["ERROR", "INFO"]
    assert caplog.records[1].getMessage() == "MSK-411 is over"
    assert shown(exposed) == ['masakari_alarm{code="MSK-411"} 0.0']
