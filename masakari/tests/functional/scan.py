"""No program of ours writes a secret: neither into its log, nor into the journal, nor anywhere."""

import contextlib
import pathlib
import re
import subprocess
from collections.abc import Iterator, Sequence

SECRETS = re.compile(
    # passwords of the configurations: in URLs, as values of options, in documents
    r":(?:secret|hunter2|the-password-of-the-service)@"
    r"|password\W{1,6}(?:secret|hunter2|the-password-of-the-service)\b"
    # tokens: of the simulated Keystone, and of a real one
    r"|\b(?:admin|demo|reader|service)-token\b|\bgAAAA[\w-]{20}"
    r"|X-(?:Auth|Subject|Service)-Token\W{1,6}(?!SHA256|\*)\w{4}",
    re.IGNORECASE,
)
_communicate = subprocess.Popen.communicate


def found_in(text: str) -> list[str]:
    """The lines that tell a secret."""
    return [line for line in text.splitlines() if SECRETS.search(line)]


@contextlib.contextmanager
def of_outputs() -> Iterator[dict[str, list[str]]]:
    """{command: lines that tell a secret}, of what tests read from our programs and the journal."""
    told: dict[str, list[str]] = {}

    def communicate(process, *args, **kwargs):
        said = _communicate(process, *args, **kwargs)
        if lines := [line for text in said if text for line in found_in(_as_text(text))]:
            command = process.args if isinstance(process.args, Sequence) else (process.args,)
            if is_ours(list(map(str, command))):
                told.setdefault(" ".join(map(str, command)), []).extend(lines)
        return said

    subprocess.Popen.communicate = communicate
    try:
        yield told
    finally:
        subprocess.Popen.communicate = _communicate


def is_ours(command: Sequence[str]) -> bool:
    """It is a program of ours, or shows what one has written."""
    return any(
        pathlib.Path(word).name.startswith("masakari-") or word == "journalctl" or LOG_DIR in word
        for word in command
    )


LOG_DIR = "/var/log/masakari"


def _as_text(said: str | bytes) -> str:
    return said if isinstance(said, str) else said.decode(errors="replace")
