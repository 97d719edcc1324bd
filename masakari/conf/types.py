"""Types of options that oslo.config lacks, or whose complaints nobody understands."""

import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from oslo_config import types

PARTS = ("pre", "main", "post")
"""The parts of a recovery flow, in the order in which they run."""


def is_http_url(value: str) -> bool:
    """Whether it names a host over http or https."""
    try:
        parts = urllib.parse.urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


class HttpUrl(types.String):
    """An http or https URL; empty: none."""

    def __init__(self) -> None:
        super().__init__(type_name="URL")

    def __call__(self, value: object) -> str:
        """The value.  Raises ValueError."""
        text = str(value)
        if text and not is_http_url(text):
            raise ValueError(f"{text!r} is not an http or https URL")
        return text

    def __repr__(self) -> str:
        return "URL"


class Regex(types.String):
    """A regular expression."""

    def __init__(self) -> None:
        super().__init__(type_name="regular expression")

    def __call__(self, value: object) -> str:
        """The value.  Raises ValueError."""
        text = str(value)
        try:
            re.compile(text)
        except re.error as e:
            raise ValueError(f"{text!r} is not a regular expression: {e}") from e
        return text

    def __repr__(self) -> str:
        return "regular expression"


class Choices(types.ConfigType):
    """`NAME:WORD` pairs, separated by commas, each with one of a few words: {name: word}.

    The last colon of a pair separates, so names may have some.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        name: str = "NAME",
        form: str = ".+",
        fixed: Mapping[str, str] | None = None,
    ) -> None:
        """*name* is what the names are called, *form* the regular expression of all of one.

        *fixed* are names that cannot be given a word, each with the reason.
        """
        super().__init__(type_name=f"{name}:{'|'.join(words)}")
        self.words = tuple(words)
        self.name = name
        self._form = re.compile(form)
        self._fixed = fixed or {}

    def __call__(self, value: str | Mapping[str, str]) -> dict[str, str]:
        """The value.  Raises ValueError."""
        pairs = value.items() if isinstance(value, Mapping) else self._pairs(value)
        found: dict[str, str] = {}
        for name, word in pairs:
            if word not in self.words:
                raise ValueError(f"{name}: {word!r} is not one of {', '.join(self.words)}")
            if not self._form.fullmatch(name):
                raise ValueError(f"{name!r} is not of the form {self.name}")
            if name in self._fixed:
                raise ValueError(f"{name!r} cannot be given: {self._fixed[name]}")
            if name in found:
                raise ValueError(f"{name!r} is given twice")
            found[name] = word
        return found

    def _pairs(self, text: str) -> Iterator[tuple[str, str]]:
        for pair in text.split(",") if text.strip() else ():
            name, colon, word = (piece.strip() for piece in pair.rpartition(":"))
            if not colon:
                raise ValueError(f"{pair.strip()!r} is not of the form {self.type_name}")
            yield name, word

    def _formatter(self, value: Mapping[str, str]) -> str:
        return ",".join(f"{name}:{word}" for name, word in sorted(value.items()))

    def __repr__(self) -> str:
        return f"{self.type_name} pairs"


class RecoveryFlow(types.ConfigType):
    """`pre:['a'],main:['b','c'],post:[]` in any order: {part: names of tasks}, all parts.

    OpenStack's syntax, without braces around it; quotes around names may be left out.
    """

    _PART = re.compile(r"\s*([^\s:,\[\]]+)\s*:\s*\[([^\[\]]*)\]\s*(,|$)")
    _NAME = re.compile(r"""(["']?)([\w.-]+)\1""")

    def __init__(self) -> None:
        super().__init__(type_name="pre:[...],main:[...],post:[...]")

    def __call__(self, value: str | Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The value.  Raises ValueError."""
        if isinstance(value, Mapping):
            found = {part: list(names) for part, names in value.items()}
        else:
            found = self._parse(value)
        unknown = sorted(found.keys() - set(PARTS))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(PARTS)}")
        named = [name for part in PARTS for name in found.get(part, ())]
        twice = [name for name in named if named.count(name) > 1]
        if twice:
            raise ValueError(f"the task {twice[0]} is named twice")
        if not named:
            raise ValueError("no task is named; to do nothing, name no_op")
        return {part: found.get(part, []) for part in PARTS}

    def _parse(self, text: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        at = 0
        while at < len(text):
            part = self._PART.match(text, at)
            if part is None:
                raise ValueError(f"{text[at:].strip()!r} is not of the form {self.type_name}")
            if part[1] in found:
                raise ValueError(f"{part[1]!r} is given twice")
            found[part[1]] = list(self._names(part[2]))
            at = part.end()
        return found

    def _names(self, text: str) -> Iterator[str]:
        for item in text.split(",") if text.strip() else ():
            name = self._NAME.fullmatch(item.strip())
            if name is None:
                raise ValueError(f"{item.strip()!r} is not the name of a task")
            yield name[2]

    def _formatter(self, value: Mapping[str, Sequence[str]]) -> str:
        return ",".join(
            f"{part}:[{','.join(repr(name) for name in value.get(part, ()))}]" for part in PARTS
        )

    def __repr__(self) -> str:
        return "recovery flow"
