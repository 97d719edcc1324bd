"""What the tests of the programs share."""

import logging
import sys
from collections.abc import Iterator

import pytest

from masakari.sim.clock import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Simulated time."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def keep_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The programs set up logging for the whole process; afterwards it is as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in root.manager.loggerDict}
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
