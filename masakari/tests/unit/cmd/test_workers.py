"""Which workers of the API get on, and what becomes of those that do not."""

import signal
import subprocess
import sys

import pytest

from masakari.cmd.workers import PATIENCE_S, Beats, Overseer


class Told:
    """In the place of systemd."""

    watchdog_s = None

    def __init__(self):
        self.said = []

    def ready(self, sentence):
        self.said.append(sentence)

    def reloading(self):
        self.said.append("reloading")


@pytest.fixture
def beats(clock):
    return Beats(2, clock)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def overseer(beats, told, clock):
    return Overseer(beats, told, clock, "serving")


@pytest.fixture
def process():
    """A process that waits to be killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def test_ready_when_all_workers_serve(overseer, beats, told):
    overseer.look()
    beats.begin(0)
    overseer.look()
    assert told.said == []

    beats.begin(1)
    overseer.look()
    overseer.look()
    assert told.said == ["serving"]


def test_ready_again_when_all_were_replaced(overseer, beats, told, clock):
    for worker in (0, 1):
        beats.begin(worker)
    overseer.look()
    clock.sleep(1)

    overseer.reload(lambda: told.said.append("read"))
    clock.sleep(1)
    beats.begin(0)
    overseer.look()
    assert told.said == ["serving", "reloading", "read"]

    beats.begin(1)
    overseer.look()
    assert told.said[3:] == ["serving"]


def test_worker_that_gets_on_is_left_alone(overseer, beats, clock):
    for worker in (0, 1):
        beats.begin(worker)
    for _ in range(10):
        clock.sleep(PATIENCE_S - 1)
        for worker in (0, 1):
            beats.beat(worker)
        overseer.look()

    assert overseer.stalled() == []


def test_wedged_worker_is_killed_and_told_of_if_nobody_takes_its_place(
    overseer, beats, clock, process, caplog
):
    beats.begin(0)
    beats.begin(1, process.pid)
    clock.sleep(PATIENCE_S + 1)
    beats.beat(0)

    overseer.look()

    assert process.wait(30) == -signal.SIGKILL
    assert "worker 1 (process" in caplog.text
    assert overseer.stalled() == []
    clock.sleep(PATIENCE_S)
    beats.beat(0)
    overseer.look()
    assert overseer.stalled() == ["worker 1"]
    beats.begin(1)
    assert overseer.stalled() == []


def test_nothing_is_expected_of_a_worker_that_ends(overseer, beats, clock):
    for worker in (0, 1):
        beats.begin(worker)
        beats.rest(worker)
        beats.beat(worker)

    clock.sleep(10 * PATIENCE_S)
    overseer.look()

    assert overseer.stalled() == []


def test_worker_that_never_begins_is_told_of(overseer, clock):
    clock.sleep(2 * PATIENCE_S + 1)
    overseer.look()

    assert overseer.stalled() == ["worker 0", "worker 1"]
