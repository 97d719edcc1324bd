"""The grammar of scenario scripts: templates of statements, and how a line is understood.

In a template CAPITALS stand for a parameter, `STATE=on|off` for one of these words, brackets for
what may be left out.  Parameters in the plural are lists of names; `web1..3` is `web1 web2 web3`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LISTS = frozenset({"hosts", "vms"})
NUMBERS = frozenset({"duration", "times", "limit", "code"})


class ScriptError(Exception):
    """A script cannot be understood; the message says why."""


@dataclass(frozen=True)
class Phrase:
    """One form of statement, and what it does: called with the subject and its parameters."""

    template: str
    pattern: re.Pattern[str]
    do: Callable[..., None]

    @property
    def meaning(self) -> str:
        """The first line of the function's docstring."""
        return (self.do.__doc__ or "").splitlines()[0]


@dataclass(frozen=True)
class Statement:
    """A phrase with its parameters."""

    text: str
    phrase: Phrase
    parameters: Mapping[str, Any]
    """text, a number or a list of names, by the parameter's name in lower case"""

    def do(self, subject: object) -> None:
        """Carry it out."""
        self.phrase.do(subject, **self.parameters)


def phrases(table: Mapping[str, Callable[..., None]]) -> tuple[Phrase, ...]:
    """The phrases of a language, from template to function."""
    return tuple(Phrase(template, _compile(template), do) for template, do in table.items())


def understand(language: Iterable[Phrase], text: str) -> Statement:
    """The statement that *text* is.  Raises ScriptError."""
    text = " ".join(text.split())
    for known in language:
        match = known.pattern.fullmatch(text)
        if match:
            parameters = {k: _value(k, v) for k, v in match.groupdict().items() if v is not None}
            return Statement(text, known, parameters)
    word = text.partition(" ")[0]
    similar = [p.template for p in language if _begins_with(p.template, word)]
    hint = f"say: {' or: '.join(similar)}" if similar else f"no statement begins with {word}"
    raise ScriptError(f"{text!r} is not understood; {hint}")


def names(text: str) -> list[str]:
    """The names in *text*, ranges written out: `web1 db2..4` is web1 db2 db3 db4."""
    found = []
    for word in text.split():
        match = re.fullmatch(r"(.*?)(\d+)\.\.(\d+)", word)
        if match is None:
            found.append(word)
            continue
        first, last = int(match[2]), int(match[3])
        if last < first:
            raise ScriptError(f"{word} is an empty range")
        found += [f"{match[1]}{number}" for number in range(first, last + 1)]
    return found


def _begins_with(template: str, word: str) -> bool:
    first = template.partition(" ")[0]
    return word in first.partition("=")[2].split("|") if "=" in first else word == first


def _compile(template: str) -> re.Pattern[str]:
    pattern = ""
    for part in re.findall(r"[A-Z]+=[\w|-]+|[A-Z]+\b|[\[\]]|[^A-Z\[\]]+", template):
        name, _, words = part.partition("=")
        if part in "[]":
            pattern += "(?:" if part == "[" else ")?"
        elif not name.isupper():
            pattern += re.escape(part)
        else:
            pattern += f"(?P<{name.lower()}>{words or _any(name.lower())})"
    return re.compile(pattern)


def _any(parameter: str) -> str:
    if parameter in NUMBERS:
        return r"\d+(?:\.\d+)?"
    if parameter in LISTS:
        return r"\S+(?: \S+)*?"
    return ".+" if parameter == "text" else r"\S+"


def _value(parameter: str, text: str) -> Any:  # see Statement.parameters
    if parameter in LISTS:
        return names(text)
    if parameter in NUMBERS:
        return float(text)
    return text
