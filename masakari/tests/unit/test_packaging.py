"""What `pip install` makes of a plain copy of the tree, without git metadata."""

import configparser
import fnmatch
import importlib.metadata
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

TREE = pathlib.Path(__file__).parents[3]
IGNORED = ("__pycache__", "*.egg-info")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"

pytestmark = pytest.mark.skipif(
    not (TREE / "setup.cfg").exists(), reason="these tests read the source tree"
)


def is_ignored(path):
    return any(fnmatch.fnmatch(part, pattern) for part in path.parts for pattern in IGNORED)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that setuptools builds of a copy of the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "requirements.txt", "README.rst"):
        shutil.copy(TREE / name, copy)
    shutil.copy(TREE / "LICENSE", copy)
    shutil.copytree(TREE / "bin", copy / "bin")
    shutil.copytree(TREE / "masakari", copy / "masakari", ignore=shutil.ignore_patterns(*IGNORED))
    subprocess.run([sys.executable, "-c", BUILD, copy], cwd=copy, check=True, capture_output=True)
    with zipfile.ZipFile(next(copy.glob("*.whl"))) as archive:
        yield archive


def test_wheel_has_every_file_of_the_package(wheel):
    tree = {
        path.relative_to(TREE).as_posix()
        for path in (TREE / "masakari").rglob("*")
        if path.is_file() and not is_ignored(path.relative_to(TREE))
    }

    assert tree - set(wheel.namelist()) == set()


def test_wheel_has_nothing_beside_the_package(wheel):
    tops = {name.split("/")[0].partition("-")[0] for name in wheel.namelist()}

    assert tops == {"masakari"}


def entry_points():
    config = configparser.ConfigParser()
    config.read(TREE / "setup.cfg")
    for group, lines in config["options.entry_points"].items():
        for line in filter(None, lines.splitlines()):
            name, _, value = (word.strip() for word in line.partition("="))
            yield importlib.metadata.EntryPoint(name, value, group)


PROGRAMS = [entry for entry in entry_points() if entry.group == "console_scripts"]
PLUGINS = [entry for entry in entry_points() if entry.group != "console_scripts"]


@pytest.mark.parametrize("entry", PLUGINS, ids=lambda e: f"{e.group}:{e.name}")
def test_entry_point_can_be_loaded(entry):
    assert callable(entry.load())


@pytest.mark.parametrize("entry", PROGRAMS, ids=lambda e: e.name)
def test_program_explains_itself(entry):
    # a process of its own: programs choose the threading backend of oslo.service when imported
    call = (
        f"import sys, {entry.module} as m; sys.argv = ['{entry.name}', '--help']; m.{entry.attr}()"
    )

    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.split()[:2]) == (0, ["usage:", entry.name]), done.stderr
