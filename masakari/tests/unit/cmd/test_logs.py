"""What a line of the log looks like."""

import concurrent.futures
import logging
import pathlib

import pytest
from oslo_config import cfg

from masakari.cmd import common

LOG = logging.getLogger("masakari.tests.logs")


def logged(tmp_path: pathlib.Path, text: str = "") -> str:
    """What is in the log after a warning and a traceback, both while an exception is handled."""
    path, file = tmp_path / "masakari.conf", tmp_path / "log"
    path.write_text(f"[DEFAULT]\nlog_file = {file}\n{text}")
    common.configure(cfg.ConfigOpts(), "prog", ["--config-file", str(path)])
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
