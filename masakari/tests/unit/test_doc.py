"""The pages for administrators name options that exist, with their defaults."""

import ast
import pathlib
import re

import pytest
from oslo_config import cfg
from oslo_service import opts as service_opts

from masakari import conf as masakari_conf
from masakari.cmd import options

ADMIN = pathlib.Path(__file__).parents[3] / "doc/source/admin"
NAMED = re.compile(r"``\[(\w+)\]\s+(\w+)")
ROW = re.compile(r"\* - ``\[(\w+)\] (\w+)``\n +- (\S+(?: s)?)\n")

pytestmark = pytest.mark.skipif(not ADMIN.exists(), reason="these tests read the source tree")


@pytest.fixture(scope="module")
def declared():
    """All options of our programs, with defaults."""
    conf = cfg.ConfigOpts()
    options.register_api(conf)
    masakari_conf.register_monitors(conf)
    service_opts.register_service_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    return conf


def value(conf, group, name):
    return conf[name] if group == "DEFAULT" else conf[group][name]


@pytest.mark.parametrize("page", ["installation", "timeouts", "connections"])
def test_options_that_a_page_names_exist(declared, page):
    named = NAMED.findall((ADMIN / f"{page}.rst").read_text())

    for group, name in named:
        try:
            value(declared, group, name)
        except cfg.NoSuchOptError:
            pytest.fail(f"[{group}] {name} is no option")
    assert named


def test_timeouts_have_the_defaults_of_the_page(declared):
    rows = ROW.findall((ADMIN / "timeouts.rst").read_text())

    wrong = {
        f"[{group}] {name}": (said, value(declared, group, name))
        for group, name, said in rows
        if said != "see" and float(said.removesuffix(" s")) != value(declared, group, name)
    }
    assert wrong == {}
    assert len(rows) > 15


FUNCTIONAL = pathlib.Path(__file__).parents[1] / "functional"
NAMED_TEST = re.compile(r"``((?:\w+/)?test_\w+\.py)::(test_\w+)``")


def written_in(file):
    """Names of the test functions in the file."""
    tree = ast.parse(file.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_outages_are_tested_as_the_page_says():
    named = NAMED_TEST.findall((ADMIN / "outages.rst").read_text())
    ours = FUNCTIONAL / "outages"

    missing = [
        f"{file}::{test}"
        for file, test in named
        if test not in written_in((FUNCTIONAL if "/" in file else ours) / file)
    ]
    assert missing == []
    written = {
        (path.name, name)
        for path in ours.glob("test_*.py")
        for name in written_in(path)
        if name.startswith("test_")
    }
    assert written <= set(named)
    assert len(written) >= 5 * 4  # services, conditions
