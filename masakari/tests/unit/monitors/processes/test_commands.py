"""Commands of the process list as real processes."""

import logging
import os
import queue

import pytest

from masakari.monitors.processes.commands import Runner


@pytest.fixture
def run():
    runner = Runner(timeout_s=0.5, as_root=("false",))
    yield lambda *commands: runs(runner, *commands)
    runner.close()


def runs(runner, *commands, as_root=False):
    """Whether all went well."""
    ended = queue.SimpleQueue()
    runner.begin("x", commands, as_root=as_root, ended=ended.put)
    return ended.get(timeout=30)


def test_what_is_said_on_stderr_is_no_failure(run):
    assert run(("sh", "-c", "echo trouble >&2"))


def test_words_reach_the_command_as_they_are(run, tmp_path):
    assert run(("touch", str(tmp_path / "a b; $HOME")))
    assert (tmp_path / "a b; $HOME").exists()


def test_first_failure_is_the_last_command(run, tmp_path, caplog):
    assert not run(("sh", "-c", "echo no luck; exit 3"), ("touch", str(tmp_path / "x")))

    assert not (tmp_path / "x").exists()
    assert "x: sh failed with status 3: no luck" in caplog.text


def test_command_that_is_not_there(run, caplog):
    assert not run(("/nonexistent/command",))
    assert "/nonexistent/command cannot be run: No such file or directory" in caplog.text


def test_command_that_hangs_is_killed_with_its_children(run, caplog):
    caplog.set_level(logging.INFO)
    assert not run(("sh", "-c", "sleep 1000 & wait"))
    assert "sh did not end within 0.5 s" in caplog.text


def test_daemon_that_a_command_leaves_behind_is_not_waited_for(run, tmp_path):
    assert run(("sh", "-c", f"sleep 5 & echo $! > {tmp_path}/pid"))
    assert run(("sh", "-c", f"kill $(cat {tmp_path}/pid)"))


@pytest.mark.parametrize(
    ("user", "as_root", "asked"),
    [(1000, True, "sh -c true\n"), (1000, False, None), (0, True, None)],
    ids=["as root", "not as root", "root already"],
)
def test_root_is_asked_only_for_what_it_is_to_run(monkeypatch, tmp_path, user, as_root, asked):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    words = tmp_path / "words"
    runner = Runner(timeout_s=10, as_root=("sh", "-c", f'echo "$@" > {words}', "sudo"))

    assert runs(runner, ("sh", "-c", "true"), as_root=as_root)
    runner.close()

    assert (words.read_text() if words.exists() else None) == asked
