"""At the end of a run: nothing that a program has written has a secret in it."""

import pytest

from masakari.tests.functional import program, scan


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
