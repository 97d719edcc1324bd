"""What is watched: the file process_list.yaml, read and checked.

It is a list.  An entry has `process_name`, and either the commands that OpenStack's monitor knows
or `unit`, a unit of systemd; a unit may have commands, too:

    - process_name: /usr/local/bin/nova-compute
      start_command: systemctl start nova-compute
      pre_start_command:
      post_start_command:
      restart_command: systemctl restart nova-compute
      pre_restart_command:
      post_restart_command:
      run_as_root: True
    - process_name: libvirtd
      unit: libvirtd.service

Commands are split as a shell splits words, and run without one.
"""

import logging
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from masakari.errors import ConfigInvalid

LOG = logging.getLogger(__name__)

COMMANDS = (
    "start_command",
    "pre_start_command",
    "post_start_command",
    "restart_command",
    "pre_restart_command",
    "post_restart_command",
)
KEYS = ("process_name", *COMMANDS, "run_as_root")
"""What an entry without `unit` must have."""
LONGEST_NAME = 255
"""Characters of a process's name in a notification."""
UNIT_TYPES = (
    *("service", "socket", "target", "timer", "path", "mount", "automount", "swap", "device"),
    *("slice", "scope"),
)
UNIT = re.compile(r"[\w:.\\-]+(@[\w:.\\@-]+)?\.(" + "|".join(UNIT_TYPES) + ")", re.ASCII)
"""systemd.unit(5); a template, such as getty@.service, is no unit."""
LONGEST_UNIT = 255

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One process to watch."""

    process_name: str
    unit: str | None
    """of systemd; None: it is looked for among the processes"""
    start: Sequence[Command]
    """what starts it, in this order; empty: nothing does"""
    restart: Sequence[Command]
    """likewise, after it died"""
    run_as_root: bool

    @property
    def reported_name(self) -> str:
        """As notifications call it: what is behind the last slash."""
        return self.process_name.rpartition("/")[2]


class Unreadable(Exception):
    """The list cannot be used; `str()` names entry and key."""


def parse(text: str) -> tuple[Entry, ...]:
    """The entries of the file with that content.  Raises Unreadable."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise Unreadable(f"it is no YAML: {' '.join(str(e).split())}") from None
    if not isinstance(found, list):
        raise Unreadable(f"it is to be a list of processes, not {_kind(found)}")
    entries = tuple(_entry(n, each) for n, each in enumerate(found, 1))
    seen: dict[str, int] = {}
    for n, entry in enumerate(entries, 1):
        first = seen.setdefault(entry.reported_name, n)
        if first != n:
            raise Unreadable(
                f"entry {n}, process_name: notifications would call it {entry.reported_name!r}, as "
                f"entry {first}"
            )
    return entries


def _entry(n: int, found: object) -> Entry:
    if not isinstance(found, Mapping):
        raise Unreadable(f"entry {n}: it is to have keys and values, and is {_kind(found)}")
    name = found.get("process_name")
    where = f"entry {n} ({name})" if isinstance(name, str) else f"entry {n}"
    unit = found.get("unit")
    missing = [key for key in (KEYS if unit is None else ("process_name",)) if key not in found]
    if missing:
        raise Unreadable(f"{where}: {', '.join(missing)} missing")
    unknown = [str(key) for key in found if key not in (*KEYS, "unit")]
    if unknown:
        raise Unreadable(
            f"{where}: {', '.join(unknown)} unknown; known are {', '.join(KEYS)}, unit"
        )
    commands = {key: _command(where, key, found.get(key)) for key in COMMANDS}
    as_root = found.get("run_as_root", False)
    if as_root is not None and not isinstance(as_root, bool):
        raise Unreadable(f"{where}, run_as_root: it is to be true or false, not {as_root!r}")
    return Entry(
        _name(where, name),
        None if unit is None else _unit(where, unit),
        _sequence(commands, "start"),
        _sequence(commands, "restart"),
        bool(as_root),
    )


def _name(where: str, name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise Unreadable(f"{where}, process_name: it is to be a name, not {_kind(name)}")
    name = name.strip()
    _words(where, "process_name", name)
    reported = name.rpartition("/")[2]
    if not reported or len(reported) > LONGEST_NAME:
        raise Unreadable(
            f"{where}, process_name: behind the last slash it is to have 1 to {LONGEST_NAME} "
            "characters"
        )
    return name


def _unit(where: str, unit: object) -> str:
    if not isinstance(unit, str) or not unit.strip():
        raise Unreadable(f"{where}, unit: it is to be a unit's name, not {unit!r}")
    name = unit.strip()
    name = name if "." in name else f"{name}.service"
    if not UNIT.fullmatch(name) or len(name) > LONGEST_UNIT:
        raise Unreadable(
            f"{where}, unit: {unit!r} is no name of a unit (systemd.unit(5)): letters, digits and "
            f":-_.\\, for a template its instance behind @, at the end one of "
            f"{', '.join(f'.{each}' for each in UNIT_TYPES)}"
        )
    return name


def _command(where: str, key: str, found: object) -> Command:
    if found is None:
        return ()
    if not isinstance(found, str):
        raise Unreadable(f"{where}, {key}: it is to be a command, not {_kind(found)}")
    return _words(where, key, found)


def _words(where: str, key: str, text: str) -> Command:
    try:
        return tuple(shlex.split(text))
    except ValueError as e:
        raise Unreadable(f"{where}, {key}: {str(e).lower()}") from None


def _sequence(commands: Mapping[str, Command], verb: str) -> Sequence[Command]:
    """Before, itself, after; nothing, if there is no command itself."""
    if not commands[f"{verb}_command"]:
        return ()
    keys = (f"pre_{verb}_command", f"{verb}_command", f"post_{verb}_command")
    return tuple(commands[key] for key in keys if commands[key])


def _kind(found: object) -> str:
    return "nothing" if found is None else f"a {type(found).__name__}"


class ProcessList:
    """The list in force: the file's, as it was when it could be used last.  For one thread."""

    def __init__(self, path: str) -> None:
        """As the file says.  Raises ConfigInvalid."""
        self._path = pathlib.Path(path)
        self._trouble: str | None = None
        try:
            self._text = self._path.read_text()
            self.entries = parse(self._text)
        except (OSError, UnicodeError, Unreadable) as e:
            raise ConfigInvalid(
                group="process", option="process_list_path", problem=f"{path}: {_why(e)}"
            ) from None

    def reload(self) -> bool:
        """Whether the file has changed and is in force; what cannot be used is told once."""
        try:
            text = self._path.read_text()
            entries = self.entries if text == self._text else parse(text)
        except (OSError, UnicodeError, Unreadable) as e:
            why = _why(e)
            if why != self._trouble:
                LOG.error("%s: %s; what was read last stays in force", self._path, why)
            self._trouble = why
            return False
        if self._trouble is not None:
            LOG.info("%s can be used again", self._path)
        self._trouble = None
        if text == self._text:
            return False
        self._text, self.entries = text, entries
        LOG.info("%s has changed: %d processes are watched", self._path, len(entries))
        return True


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is no text" if isinstance(error, UnicodeError) else str(error)
