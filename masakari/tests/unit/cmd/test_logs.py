"""What a line of the log looks like."""

import concurrent.futures
import importlib.util
import json
import logging
import pathlib

import pytest
from oslo_config import cfg
from oslo_log import versionutils

import masakari.conf
from masakari.cmd import common, options

LOG = logging.getLogger("masakari.tests.logs")


def logged(tmp_path: pathlib.Path, text: str = "") -> str:
    """What is in the log after a warning and a traceback, both while an exception is handled."""
    path, file = tmp_path / "masakari.conf", tmp_path / "log"
    path.write_text(f"[DEFAULT]\nlog_file = {file}\n{text}")
    common.configure(
        cfg.ConfigOpts(), "prog", ["--config-file", str(path)], register=options.register_engine
    )
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # where no request was ever served
        pool.submit(warn).result()
    return file.read_text()


def warn() -> None:
    try:
        raise RuntimeError("the tables are not there")
    except RuntimeError as e:
        LOG.warning("not taken: %s", e)
        LOG.exception("unexpected error")


@pytest.mark.usefixtures("keep_logging")
def test_exception_that_is_handled_is_not_repeated(tmp_path: pathlib.Path) -> None:
    warning, error, *traceback = logged(tmp_path).splitlines()

    assert warning.endswith("not taken: the tables are not there")
    assert "unexpected error: RuntimeError: the tables are not there" in error
    assert any("Traceback" in line for line in traceback)


@pytest.mark.usefixtures("keep_logging")
def test_exception_that_an_operator_wants_is_told(tmp_path: pathlib.Path) -> None:
    wanted = "logging_default_format_string = %(message)s: %(error_summary)s\n"

    warning = logged(tmp_path, wanted).splitlines()[0]

    assert warning == (
        "not taken: the tables are not there: RuntimeError: the tables are not there"
    )


@pytest.mark.usefixtures("keep_logging")
def test_deprecated_option_is_told_in_the_log(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # told once in a process, of an option and in the same words
    for _, opts in masakari.conf.list_opts():
        for opt in opts:
            monkeypatch.setattr(opt, "_logged_deprecation", False)
    monkeypatch.setattr(versionutils, "_deprecated_messages_sent", {})
    logging.getLogger("oslo_config.cfg").setLevel(logging.WARNING)  # whatever the root has now
    text = logged(tmp_path, "[osapi_v1]\nproject_id_regex = [0-9]+\n")

    assert 'Option "project_id_regex" from group "osapi_v1" is deprecated for removal' in text
    assert "deprecated" not in capsys.readouterr().err


@pytest.mark.usefixtures("keep_logging")
def test_log_without_a_file_goes_to_stdout(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "masakari.conf"
    path.write_text("[DEFAULT]\n")

    common.configure(
        cfg.ConfigOpts(), "prog", ["--config-file", str(path)], register=options.register_engine
    )
    LOG.warning("all is well")

    said = capsys.readouterr()
    assert said.out.endswith("all is well\n")
    assert said.err == ""


@pytest.mark.usefixtures("keep_logging")
def test_log_in_a_directory_is_named_after_the_program(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "masakari.conf"
    path.write_text(f"[DEFAULT]\nlog_dir = {tmp_path}\n")

    common.configure(
        cfg.ConfigOpts(),
        "masakari-api",
        ["--config-file", str(path)],
        register=options.register_engine,
    )
    LOG.warning("here")

    assert (tmp_path / "masakari-api.log").read_text().endswith("here\n")


@pytest.mark.skipif(importlib.util.find_spec("systemd") is not None, reason="journal is there")
@pytest.mark.usefixtures("keep_logging")
def test_journal_that_cannot_be_reached_is_said(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "masakari.conf"
    path.write_text("[DEFAULT]\nuse_journal = true\n")

    common.configure(
        cfg.ConfigOpts(), "prog", ["--config-file", str(path)], register=options.register_engine
    )

    assert "[DEFAULT] use_journal has no effect" in capsys.readouterr().out


@pytest.mark.usefixtures("keep_logging")
def test_json_has_an_object_in_each_line_traceback_included(tmp_path: pathlib.Path) -> None:
    lines = [json.loads(line) for line in logged(tmp_path, "use_json = true\n").splitlines()]

    ours = [line for line in lines if line["name"] == LOG.name]
    assert [(line["levelname"], line["message"]) for line in ours] == [
        ("WARNING", "not taken: the tables are not there"),
        ("ERROR", "unexpected error"),
    ]
    assert "RuntimeError: the tables are not there" in "".join(ours[1]["traceback"])
