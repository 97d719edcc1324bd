"""What a host monitor knows survives its end, whatever becomes of the file."""

import json
import logging
import stat

import pytest

from masakari.monitors.memory import Memory
from masakari.monitors.report import Answer

DEATH = ("compute1", "STOPPED")
RETURN = ("compute1", "STARTED")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "hostmonitor.json"


@pytest.fixture
def three(world, file):
    """Three hosts, all up; the monitor, not started, keeps what it knows."""
    world.hosts("compute1", "compute2", "compute3")
    world.kept = Memory(file)
    return world


def restart(world, file, kill):
    kill()
    world.kept = Memory(file)
    return world.start()


def test_what_was_kept_is_recalled_and_private(file):
    Memory(file).keep({"a": [1, None]})

    assert Memory(file).recall() == {"a": [1, None]}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_trouble_is_over_when_what_is_known_is_again_what_the_file_has(file):
    memory = Memory(file)
    memory.keep({"a": 1})
    beside = file.with_suffix(".new")
    beside.mkdir()
    memory.keep({"a": 2})
    assert memory.trouble

    memory.keep({"a": 1})

    assert memory.trouble is None
    assert Memory(file).recall() == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01", '{"told": {"compute1": 5}}'])
def test_file_that_is_broken_is_set_aside_with_one_line(three, file, caplog, text):
    file.parent.mkdir()
    file.write_text(text)

    three.start()
    three.run(60)

    (line,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert line.getMessage().startswith(f"{file} cannot be used")
    assert file.with_suffix(".broken").read_text() == text
    assert json.loads(file.read_text()) == {"told": {}, "waiting": {}}


def test_directory_that_cannot_be_written_is_told_once_and_it_goes_on(three, file, caplog):
    file.parent.write_text("no directory")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(100)

    (line,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert line.getMessage().startswith("MSK-404 ")
    assert "a restart would forget" in line.getMessage()
    assert three.masakari.told == [DEATH]
    assert three.kept.trouble


def test_death_that_was_heard_is_not_told_again_after_a_restart(three, file):
    three.cloud.power_off("compute1")
    kill = three.start()
    three.run(60)
    restart(three, file, kill)
    three.run(60)

    assert [asked[1:] for asked in three.masakari.asked] == [DEATH]


def test_host_that_returned_while_nobody_looked_is_told(three, file):
    three.cloud.power_off("compute1")
    kill = three.start()
    three.run(60)
    kill()
    three.cloud.power_on("compute1")
    three.run(300)
    restart(three, file, kill)
    three.run(60)

    assert three.masakari.told == [DEATH, RETURN]


def test_report_that_waits_keeps_its_time_over_a_restart(three, file):
    kill = three.start()
    three.run(30)
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.run(30)
    died_at = three.clock.now()
    kill = restart(three, file, kill)
    three.run(300)
    three.masakari.is_up = True
    three.run(60)

    (heard,) = three.masakari.heard
    assert heard.generated_time < died_at


def test_report_of_who_returned_meanwhile_is_taken_back(three, file):
    kill = three.start()
    three.run(30)
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.run(30)
    kill()
    three.masakari.is_up = True
    three.cloud.power_on("compute1")
    three.run(100)
    restart(three, file, kill)
    three.run(60)

    assert three.masakari.asked[-1][0] < 100
    assert three.masakari.told == []


def test_host_that_masakari_does_not_know_raises_an_alarm_until_the_registry_changes(three, caplog):
    three.masakari.script.append(Answer(400, "unknown-host", "Host could not be found."))
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(100)

    alarms = [r.getMessage() for r in caplog.records if "MSK-402" in r.getMessage()]
    assert len(alarms) == 1
    assert "compute1" in alarms[0]
    three.hosts("compute4")
    three.run(60)
    assert three.masakari.told == [DEATH]
