"""The cases, what OpenStack's Masakari answered to them, and which other answers are meant."""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parents[2] / "doc/source/admin/differences.rst"


def cases():
    """The text of the file of cases."""
    return (HERE / "cases.yaml").read_text(encoding="utf-8")


def answers():
    """{case: answer}."""
    return json.loads((HERE / "golden.json").read_text(encoding="utf-8"))


def meant():
    """{"CASE: METHOD PATH": lines of `compare.differences`}, as the page lists them.

    They stand in its literal blocks: a case indented by four, its differences by eight.
    """
    found, case = {}, None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith(" " * 8):
            found[case].append(line.strip())
        elif line.startswith(" " * 4):
            case = line.strip()
            if case in found:
                raise ValueError(f"{PAGE}: {case} is listed twice")
            found[case] = []
    return found
