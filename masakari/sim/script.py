"""Scenarios: a script is parsed and played on a simulated system, its log compared.

A scenario is a directory with README (two lines: what, why), script and expected.log.  A script is
made of statements, one a line or separated by `;`, comments begin with `#`:

* `STATEMENT` sets the stage, before time begins;
* `at SECONDS STATEMENT` happens then;
* `when "REGULAR EXPRESSION" STATEMENT` happens right after the first line of the log (without its
  time) that matches;
* `until idle` or `until SECONDS` ends the script.
"""

import difflib
import functools
import pathlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from masakari.sim import invariants, outcome, words
from masakari.sim.clock import SimClock
from masakari.sim.language import Phrase, ScriptError, Statement, understand
from masakari.sim.phrases import PHRASES
from masakari.sim.system import System

SCENARIOS = pathlib.Path(__file__).parent.parent / "tests" / "scenarios"
LIMIT_S = 4 * 3600.0
"""A script that is not idle by then has failed, in simulated seconds after its last act."""


@dataclass(frozen=True)
class Script:
    """What is to happen."""

    stage: tuple[Statement, ...]
    acts: tuple[tuple[float, Statement], ...]
    reactions: tuple[tuple[str, Statement], ...]
    """(regular expression, what happens when a line matches)"""
    until: float | None
    """None: until nothing is left to do"""


@dataclass(frozen=True)
class Run:
    """What has happened."""

    lines: list[str]
    violations: list[str]
    """Broken promises; never part of an expectation."""

    @property
    def log(self) -> str:
        """As in expected.log."""
        return "".join(f"{line}\n" for line in self.lines)


def scenarios() -> list[pathlib.Path]:
    """The directories of all scenarios."""
    return sorted(path.parent for path in SCENARIOS.glob("*/script"))


def parse(text: str, language: tuple[Phrase, ...] = PHRASES) -> Script:
    """The script in *text*.  Raises ScriptError, naming the line."""
    parser = _Parser(language)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            parser.read(line)
        except ScriptError as e:
            raise ScriptError(f"line {number}: {e}") from None
    return parser.script()


def play(
    script: Script,
    echo: Callable[[str], None] | None = None,
    meddle: Callable[[System], None] = lambda _: None,
) -> Run:
    """Play *script*; *echo* sees each line of the log at once, *meddle* changes the set stage."""
    with SimClock() as clock, System(clock, echo) as system:
        for statement in script.stage:
            _do(system, statement)
        meddle(system)
        # The kills come last: who is killed while it logs cannot begin anything more.
        for pattern, statement in sorted(script.reactions, key=lambda r: _is_kill(r[1])):
            system.story.when(pattern, functools.partial(_react, system, statement))
        for at, statement in script.acts:
            clock.call_at(
                at, functools.partial(_act, system, statement), name=statement.text, group="sim"
            )
        system.begin()
        last = max((at for at, _ in script.acts), default=0.0)
        clock.run_until(last)
        violations = []
        if script.until is not None:
            clock.run_until(script.until)
        elif not clock.run_until(system.is_idle, LIMIT_S, every=5):
            violations.append(f"not idle {LIMIT_S:g} s after the last act")
        outcome.tell(system)
        violations += invariants.broken(system)
        return Run(system.story.lines, violations)


def difference(name: str, expected: str, log: str) -> str:
    """How *log* differs from what was expected; empty if it does not."""
    return "".join(
        difflib.unified_diff(
            expected.splitlines(keepends=True),
            log.splitlines(keepends=True),
            f"{name}/expected.log",
            f"{name} as played",
        )
    )


def _do(system: System, statement: Statement) -> None:
    try:
        statement.do(system)
    except ScriptError as e:
        raise ScriptError(f"{statement.text!r}: {e}") from None


def _is_kill(statement: Statement) -> bool:
    return statement.phrase.do is words.kill


def _act(system: System, statement: Statement) -> None:
    system.story.say("sim", statement.text)
    _do(system, statement)


def _react(system: System, statement: Statement) -> None:
    """Called by a thread that has just logged: it may be killed here, but it must not wait."""
    if _is_kill(statement):
        _act(system, statement)
    else:
        system.clock.spawn(
            functools.partial(_act, system, statement), name=statement.text, group="sim"
        )


class _Parser:
    """The script as far as it was read."""

    def __init__(self, language: tuple[Phrase, ...]) -> None:
        self._language = language
        self._stage: list[Statement] = []
        self._acts: list[tuple[float, Statement]] = []
        self._reactions: list[tuple[str, Statement]] = []
        self._until: float | None = None
        self._ended = False

    def script(self) -> Script:
        """All of it."""
        if not self._ended:
            raise ScriptError("the script does not end with until")
        return Script(tuple(self._stage), tuple(self._acts), tuple(self._reactions), self._until)

    def read(self, line: str) -> None:
        """One more line."""
        code = re.sub(r"(^|\s)#.*", "", line).strip()
        if not code:
            return
        if self._ended:
            raise ScriptError("nothing comes after until")
        match = re.fullmatch(r'(at|until)\s+(\S+)(.*)|(when)\s+"([^"]*)"(.*)', code)
        if match is None:
            self._stage += self._understand(code)
        elif match[1] == "until":
            self._end(match[2], match[3])
        elif match[1] == "at":
            at = _number(match[2])
            self._acts += [(at, statement) for statement in self._understand(match[3])]
        else:
            _check_pattern(match[5])
            self._reactions += [(match[5], s) for s in self._understand(match[6])]

    def _understand(self, text: str) -> list[Statement]:
        parts = [part.strip() for part in text.split(";")]
        if not all(parts):
            raise ScriptError("a statement is missing")
        return [understand(self._language, part) for part in parts]

    def _end(self, until: str, rest: str) -> None:
        if rest:
            raise ScriptError(f"nothing comes after until {until}")
        self._until = None if until == "idle" else _number(until)
        self._ended = True


def _check_pattern(text: str) -> None:
    try:
        re.compile(text)
    except re.error as e:
        raise ScriptError(f'"{text}" is not a regular expression: {e}') from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ScriptError(f"{text!r} is not a number of seconds") from None
