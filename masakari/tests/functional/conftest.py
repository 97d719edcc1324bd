"""A second attempt for tests on real servers; at the end, no program has written a secret."""

import os
import pathlib

import pytest

from masakari.tests.functional import program, promises, scan

SECOND_ATTEMPT = pytest.mark.flaky(reruns=1, rerun_except=[promises.Broken])
"""Servers, kernels and guests share a small machine with the tests, and are late now and then.

The summary of a run names each test that needed it.  What may never happen is not forgiven.
"""


def pytest_collection_modifyitems(items):
    """Called by pytest."""
    if os.environ.get("MASAKARI_THOROUGH") == "1":
        return
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(SECOND_ATTEMPT)


@pytest.fixture(scope="session", autouse=True)
def no_secrets_are_told():
    """Fails the last test of a process whose programs have written a secret."""
    with scan.of_outputs() as told:
        yield
    told |= {
        str(log): lines
        for log in program.LOGS
        if log.exists() and (lines := scan.found_in(log.read_text(errors="replace")))
    }
    assert told == {}
