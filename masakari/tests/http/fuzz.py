"""Schemathesis plays the API's own description against a real server.

    python -m masakari.tests.http.fuzz --examples 2000 --minutes 12

Whoever it plays (an administrator, a plain user, somebody without a token), no answer may be a 5xx,
have a status, a header or a shape that the description does not have, accept what it forbids or
refuse what it allows.  What is allowed all the same stands in `fuzz_hooks`, with its reason.
"""

import argparse
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unicodedata

from masakari.api import documents, policy  # noqa: F401  policy imports every resource
from masakari.tests.http import fuzz_hooks, live

TOKENS = {"admin": "admin-token", "plain-user": "demo-token", "no-token": None}
"""Those of the simulated Keystone, by who has them."""
SCHEMATHESIS = pathlib.Path(sys.executable).with_name("st")
SUMMARY = re.compile(r"^  (Tested: .*|\d+ generated.*)$", re.MULTILINE)


def play(directory, who, *, examples, seed=None, minutes=None):
    """(exit status, what is printed) of Schemathesis as *who*.

    *examples* are per operation and phase.  Without a *seed* it is always the same.
    """
    with live.serving(directory) as (url, there):
        allowed = _all_but if TOKENS[who] else _ascii_but
        (directory / "openapi.json").write_text(spelt_out(documents.document(), allowed))
        (directory / "schemathesis.toml").write_text(settings(url, there, who, examples, seed))
        command = [SCHEMATHESIS, "run", "openapi.json", "--suppress-health-check=all"]
        if TOKENS[who]:
            command += ["-H", f"X-Auth-Token: {TOKENS[who]}"]
        if minutes:
            command += ["--max-time", str(minutes * 60)]
        if seed is not None:
            command += ["--seed", str(seed)]
        run = subprocess.run(
            command,
            check=False,
            cwd=directory,
            env=os.environ | {fuzz_hooks.PERSONA: who, "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return run.returncode, run.stdout


def summary(who, printed):
    """A line that says how much was tried."""
    return f"schemathesis as {who}: {', '.join(SUMMARY.findall(printed))}"


def settings(url, there, who, examples, seed):
    """Schemathesis' configuration: no state between runs, and ids of what is there."""
    # others than administrators get no further, so there is less to be tried
    phases = ["examples", "coverage", "fuzzing", "stateful"] if who == "admin" else ["fuzzing"]
    hosts = [f"compute{number}" for number in range(1, live.HOSTS + 1)]
    lines = [
        f'base-url = "{url}"',
        f"hooks = {json.dumps(fuzz_hooks.__file__)}",
        "continue-on-failure = true",
        "[warnings]",
        "enabled = false",
        "[generation]",
        f"max-examples = {examples}",
        f"deterministic = {json.dumps(seed is None)}",
        'database = "none"',
        'dictionaries = {string = {dictionary = "hosts", probability = 0.3}}',
        "[phases]",
        *(
            f"{phase}.enabled = {json.dumps(phase in phases)}"
            for phase in ("examples", "coverage", "fuzzing", "stateful")
        ),
        'coverage.unexpected-methods = ["PATCH", "TRACE"]',
        f"[dictionaries.hosts]\nvalues = {json.dumps(hosts)}",
        *(f"[dictionaries.{name}]\nvalues = {json.dumps([id_])}" for name, id_ in there.items()),
        "[parameters]",
        *(f'{name} = {{dictionary = "{name}", probability = 0.7}}' for name in there),
    ]
    return "\n".join(lines)


def spelt_out(document, allowed):
    r"""*document* with ranges of characters in place of classes: Python does not know \p.

    *allowed* gives those that are in none of the categories.
    """
    classes = {
        r"[^\\p{C}\\p{Zl}\\p{Zp}\\u{10000}-\\u{10FFFF}]": ("C", "Zl", "Zp"),
        r"[^\\p{C}\\p{Z}\\u{10000}-\\u{10FFFF}]": ("C", "Z"),
    }
    text = json.dumps(document)
    for written, forbidden in classes.items():
        assert written in text
        text = text.replace(written, json.dumps(allowed(forbidden))[1:-1])
    assert "\\p{" not in text
    return text


def _ascii_but(forbidden):
    """Quicker to make texts of (20 s), for whom nothing is examined."""
    return _all_but(forbidden, end=0x80)


def _all_but(forbidden, end=0x10000):
    """A class of the characters before *end* whose categories do not begin like that."""
    allowed = [c for c in range(end) if not unicodedata.category(chr(c)).startswith(forbidden)]
    runs = itertools.groupby(enumerate(allowed), lambda at: at[1] - at[0])
    ranges = [[code for _, code in run] for _, run in runs]
    return "[" + "".join(f"\\u{run[0]:04x}-\\u{run[-1]:04x}" for run in ranges) + "]"


def main():
    """Play longer than the tests do."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=2000, help="per operation and phase")
    parser.add_argument("--minutes", type=int, default=12, help="at most, per user")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as", dest="who", choices=TOKENS, action="append")
    args = parser.parse_args()
    failed = False
    for who in args.who or TOKENS:
        with tempfile.TemporaryDirectory() as directory:
            status, printed = play(
                pathlib.Path(directory),
                who,
                examples=args.examples,
                seed=args.seed,
                minutes=args.minutes,
            )
        print(printed, summary(who, printed), sep="\n", flush=True)
        failed |= status != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
