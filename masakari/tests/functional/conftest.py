"""At the end of a run: no log of a program has a secret in it."""

import re

import pytest

from masakari.tests.functional import program

SECRETS = re.compile(
    # passwords of the configurations: in URLs, as values of options, in documents
    r":(?:secret|hunter2|the-password-of-the-service)@"
    r"|password\W{1,6}(?:secret|hunter2|the-password-of-the-service)\b"
    # tokens: of the simulated Keystone, and of a real one
    r"|\b(?:admin|demo|reader|service)-token\b|\bgAAAA[\w-]{20}"
    r"|X-(?:Auth|Subject|Service)-Token\W{1,6}(?!SHA256|\*)\w{4}",
    re.IGNORECASE,
)


def found_in(text: str) -> list[str]:
    """The lines that tell a secret."""
    return [line for line in text.splitlines() if SECRETS.search(line)]


@pytest.fixture(scope="session", autouse=True)
def no_secrets_in_logs():
    """Fails the last test of a process whose programs have written a secret."""
    yield
    told = {
        str(log): lines
        for log in program.LOGS
        if log.exists() and (lines := found_in(log.read_text(errors="replace")))
    }
    assert told == {}
