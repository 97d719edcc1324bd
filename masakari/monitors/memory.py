"""What a monitor knows and must not forget, in a file of JSON that is whole or not there."""

import json
import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from masakari import alarms

LOG = logging.getLogger(__name__)

Known = Mapping[str, Any]
"""What JSON can hold; who reads it checks it."""


class Memory:
    """One file, which its owner alone can read; for one thread."""

    def __init__(self, path: pathlib.Path) -> None:
        """Nothing is read or written yet."""
        self._path = path
        self._written: str | None = None
        self.trouble: str | None = None
        """Why nothing can be kept at present."""

    def recall(self) -> Known:
        """What was kept last; nothing, if there is no such file or it cannot be read."""
        try:
            found = json.loads(self._path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as e:
            self.set_aside(str(e))
            return {}
        if not isinstance(found, dict):
            self.set_aside("it has no known form")
            return {}
        return found

    def set_aside(self, why: str) -> None:
        """The file cannot be used: it is kept under another name for whoever looks after it."""
        aside = self._path.with_suffix(".broken")
        what = f"set aside as {aside}"
        try:
            self._path.replace(aside)
        except OSError as e:
            what = f"it stays where it is ({e.strerror})"
        LOG.error(
            "%s cannot be used (%s), %s; what it had is not known any more", self._path, why, what
        )

    def keep(self, known: Known) -> None:
        """It survives the end of the process and of the machine; what was kept before is gone.

        Where it cannot be written, one line says so, and this goes on without.
        """
        text = json.dumps(known, sort_keys=True)
        try:
            if text != self._written:
                self._write(text)
        except OSError as e:
            why = f"{self._path} cannot be written ({e.strerror}): a restart would forget"
            if why != self.trouble:
                LOG.error("%s %s", alarms.NOT_KEPT.code, why)
            self.trouble = why
            return
        if self.trouble:
            LOG.info("%s has again what is known", self._path)
        self.trouble, self._written = None, text

    def _write(self, text: str) -> None:
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with open(beside, "w", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
