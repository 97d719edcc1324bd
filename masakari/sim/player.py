"""Plays scenarios at the command line."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from masakari.sim import script
from masakari.sim.language import ScriptError
from masakari.sim.phrases import PHRASES


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 if every log is as expected and every promise was kept."""
    parser = argparse.ArgumentParser(
        prog="python -m masakari.sim",
        description="Play scenarios on simulated time and compare their logs with what is "
        "expected.  `python -m masakari.sim demo --help` tells about the demo.",
    )
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help="a name in masakari/tests/scenarios, a directory, or a script; none: all of them",
    )
    parser.add_argument("--accept", action="store_true", help="write what was played as expected")
    parser.add_argument("--quiet", action="store_true", help="print differences only")
    parser.add_argument("--language", action="store_true", help="print the statements and exit")
    options = parser.parse_args(arguments)
    if options.language:
        print(language())
        return 0
    paths = [_find(name) for name in options.scenarios] or script.scenarios()
    return max(_play(path, accept=options.accept, quiet=options.quiet) for path in paths)


def language() -> str:
    """The statements and their meanings, as text."""
    width = max(len(phrase.template) for phrase in PHRASES)
    return "\n".join(f"{phrase.template:{width}}  {phrase.meaning}" for phrase in PHRASES)


def _find(name: str) -> pathlib.Path:
    path = pathlib.Path(name)
    return path if path.exists() else script.SCENARIOS / name


def _play(path: pathlib.Path, *, accept: bool, quiet: bool) -> int:
    """0 if all is well."""
    source, expected = (path / "script", path / "expected.log") if path.is_dir() else (path, None)
    try:
        run = script.play(script.parse(source.read_text()), None if quiet else print)
    except (OSError, ScriptError) as e:
        sys.stderr.write(f"{source}: {e}\n")
        return 2
    for violation in run.violations:
        sys.stderr.write(f"{path.name}: BROKEN PROMISE: {violation}\n")
    if expected is None:
        return 1 if run.violations else 0
    if accept:
        expected.write_text(run.log)
    before = expected.read_text() if expected.exists() else ""
    difference = script.difference(path.name, before, run.log)
    sys.stdout.write(difference)
    verdict = "differs" if difference else "as expected"
    print(f"{path.name}: {verdict}{', promises broken' if run.violations else ''}")
    return 1 if difference or run.violations else 0
