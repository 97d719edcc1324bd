"""What recovery never touches: hosts, instances, projects and name patterns, from a file.

The file is YAML.  Every key may be missing:

    hosts: [gpu-*]          # patterns of host names: nothing is recovered when one of them fails
    instances: [<uuid>]     # VMs
    projects: [<id>]        # all VMs of these projects
    names: ["test-*"]       # patterns of VM names
    defaults: true          # false: VMs that other services manage are recovered, too

A pattern has `*`, `?` and `[...]`, and distinguishes upper and lower case.
"""

import fnmatch
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import yaml
from oslo_log import log

from masakari.cloud import Server
from masakari.errors import ConfigInvalid

LOG = log.getLogger(__name__)

DEFAULT_NAMES: Mapping[str, str] = {
    "amphora-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": (
        "its name is that of a load balancer's amphora, and Octavia replaces those itself"
    ),
}
"""Regular expression of VM names -> why such VMs are left alone by default."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one reading of the file gave."""

    hosts: tuple[str, ...] = ()
    instances: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    defaults: bool = True

    @property
    def count(self) -> int:
        """How many there are, the defaults aside."""
        return len(self.hosts) + len(self.instances) + len(self.projects) + len(self.names)


class Exclusions:
    """The rules in force.  `reload` replaces them in one assignment, so readers need no lock."""

    def __init__(self, path: str | None, rules: Rules) -> None:
        """In force are *rules*, read from *path*."""
        self._path = path
        self._rules = rules

    def host(self, name: str) -> str | None:
        """Why the host is left alone, or None."""
        return _matching("hosts", self._rules.hosts, name)

    def server(self, server: Server) -> str | None:
        """Why the VM is left alone, or None."""
        rules = self._rules
        if server.id in rules.instances:
            return f"excluded by instances: {server.id}"
        if server.project_id in rules.projects:
            return f"excluded by projects: {server.project_id}"
        return _matching("names", rules.names, server.name) or (
            _default(server.name) if rules.defaults else None
        )

    def reload(self) -> None:
        """The rules are as the file says now; if that cannot be used, they stay as they were."""
        if self._path is None:
            return
        try:
            self._rules = _read(self._path)
        except _Unusable as e:
            LOG.error("the exclusions stay as they were: %s", e)
        else:
            LOG.info("%s: %d exclusions are in force", self._path, self._rules.count)


def load(path: str | None) -> Exclusions:
    """The rules of the file; without one, the defaults.

    Raises ConfigInvalid, which names the file, the line and what is wrong there.
    """
    try:
        return Exclusions(path, Rules() if path is None else _read(path))
    except _Unusable as e:
        raise ConfigInvalid(group="engine", option="exclusions_file", problem=e) from e


def _matching(key: str, patterns: Iterable[str], name: str) -> str | None:
    for pattern in patterns:
        if fnmatch.fnmatchcase(name, pattern):
            return f"excluded by {key}: {pattern}"
    return None


def _default(name: str) -> str | None:
    for pattern, why in DEFAULT_NAMES.items():
        if re.fullmatch(pattern, name):
            return why
    return None


# ---- reading


class _Unusable(Exception):
    """File, line and what is wrong there."""


class _Wrong(Exception):
    """What is wrong, and in which line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def _read(path: str) -> Rules:
    try:
        return _rules(_text(pathlib.Path(path).read_bytes()))
    except OSError as e:
        raise _Unusable(f"{path}: {e.strerror}") from e
    except _Wrong as e:
        raise _Unusable(f"{path}, line {e.line}: {e}") from e


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise _Wrong(raw.count(b"\n", 0, e.start) + 1, "is not UTF-8") from e


def _rules(text: str) -> Rules:
    root = _compose(text)
    if root is None or _is_null(root):
        return Rules()
    if not isinstance(root, yaml.MappingNode):
        raise _Wrong(_line(root), f"is not a list of keys; known are {', '.join(_KEYS)}")
    found: dict[str, yaml.Node] = {}
    for key, value in root.value:
        name = key.value
        if not isinstance(key, yaml.ScalarNode) or name not in _KEYS:
            raise _Wrong(_line(key), f"unknown key {_shown(key)}; known are {', '.join(_KEYS)}")
        if name in found:
            raise _Wrong(_line(key), f"{name} is given twice")
        found[name] = value
    return Rules(
        hosts=tuple(_entries("hosts", found)),
        instances=frozenset(_entries("instances", found, _uuid)),
        projects=frozenset(_entries("projects", found)),
        names=tuple(_entries("names", found)),
        defaults=_switch("defaults", found),
    )


_KEYS = ("hosts", "instances", "projects", "names", "defaults")


def _compose(text: str) -> yaml.Node | None:
    """The document as nodes, which know their lines."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        problem = ", ".join(filter(None, (e.context, e.problem)))
        raise _Wrong(mark.line + 1 if mark else 1, f"is not YAML: {problem}") from e
    except yaml.reader.ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        raise _Wrong(line, f"is not YAML: the character U+{ord(text[e.position]):04X}") from e
    except RecursionError as e:
        raise _Wrong(1, "is nested too deeply") from e


def _entries(
    key: str, found: Mapping[str, yaml.Node], convert: Callable[[str], str] = str
) -> Iterator[str]:
    node = found.get(key)
    if node is None or _is_null(node):
        return
    if not isinstance(node, yaml.SequenceNode):
        raise _Wrong(_line(node), f"{key}: {_shown(node)} is not a list")
    for item in node.value:
        is_text = isinstance(item, yaml.ScalarNode) and item.tag == "tag:yaml.org,2002:str"
        if _is_null(item) or (is_text and not item.value.strip()):
            raise _Wrong(_line(item), f"{key}: an entry is empty")
        if not is_text:
            raise _Wrong(_line(item), f"{key}: {_shown(item)} is not text")
        try:
            yield convert(item.value)
        except ValueError as e:
            raise _Wrong(_line(item), f"{key}: {e}") from e


def _uuid(text: str) -> str:
    """In Nova's spelling.  Raises ValueError."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a uuid") from None


def _switch(key: str, found: Mapping[str, yaml.Node]) -> bool:
    node = found.get(key)
    if node is None:
        return True
    is_bool = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:bool"
    value = yaml.SafeLoader.bool_values.get(node.value.lower()) if is_bool else None
    if value is None:
        raise _Wrong(_line(node), f"{key}: {_shown(node)} is neither true nor false")
    return bool(value)


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _shown(node: yaml.Node) -> str:
    """What stands there, in a few words."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value) if len(node.value) <= 80 else f"{node.value[:80]}…"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
