"""Every option of OpenStack's Masakari, as the table in the documentation tells it."""

import configparser
import csv
import importlib.metadata
import logging
import pathlib

import pytest
from oslo_config import cfg

import masakari.conf
from masakari.conf.unused import Unused

TREE = pathlib.Path(__file__).parents[3]
TABLE = TREE / "doc" / "source" / "admin" / "openstack-options.csv"
SAMPLES = {
    "server": TREE / "etc" / "masakari" / "masakari-config-generator.conf",
    "monitors": TREE / "etc" / "masakarimonitors" / "masakarimonitors-config-generator.conf",
}
FATES = {
    "used": None,
    "deprecated": None,
    "ignored": logging.WARNING,
    "built in": logging.WARNING,
    "silent": logging.INFO,
}
"""How loud it is said that it has no effect; at most."""
POSSIBLE = {
    "boolean": (["true", "0", "yes"], ["maybe", "2"]),
    "integer": (["7", "60"], ["x", "1,2"]),
    "port": (["1", "65535"], ["0", "65536", "x"]),
    "host": (["10.0.0.1", "node7.example.com", "::1"], ["a/b"]),
    "list": (["a,b", ""], []),
    "list of ports": (["5405,5406"], ["x"]),
    "string": ([], []),
    "tasks": (["pre:[],main:['no_op'],post:[]"], ["x"]),
}

pytestmark = pytest.mark.skipif(not TABLE.exists(), reason="these tests read the source tree")


def rows() -> list[dict[str, str]]:
    with TABLE.open() as file:
        return list(csv.DictReader(file))


ROWS = rows() if TABLE.exists() else []


def listed(program: str) -> dict[tuple[str, str], cfg.Opt]:
    """The options of the namespaces of which the sample file is made."""
    parser = configparser.RawConfigParser(strict=False)
    lines = SAMPLES[program].read_text().splitlines()
    parser.read_string("\n".join(line for line in lines if not line.startswith("namespace")))
    names = [line.partition("=")[2].strip() for line in lines if line.startswith("namespace")]
    entries = importlib.metadata.entry_points(group="oslo.config.opts")
    return {
        (str(getattr(group, "name", group) or "DEFAULT"), opt.dest): opt
        for name in names
        for group, opts in entries[name].load()()
        for opt in opts
    }


@pytest.fixture(scope="module")
def options() -> dict[str, dict[tuple[str, str], cfg.Opt]]:
    masakari.conf.set_defaults()
    return {program: listed(program) for program in SAMPLES}


def text_of(opt: cfg.Opt) -> str:
    """The default as the table has it."""
    value = opt.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value)) or "(empty)"
    if isinstance(value, dict):
        (value,) = opt.type.format_defaults(value)
    return str(value) or "(empty)"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['program']} {row['option']}")
def test_option_is_what_the_table_says(options, row) -> None:
    opt = options[row["program"]].get((row["group"], row["option"]))

    assert opt is not None, "not accepted"
    fate = FATES[row["fate"]]
    assert isinstance(opt, Unused) == (fate is not None)
    if isinstance(opt, Unused):
        assert opt.level <= fate
        assert opt.is_built_in or row["fate"] != "built in"
        assert (opt.level == logging.WARNING) == (row["fate"] in ("ignored", "built in"))
    assert bool(opt.deprecated_for_removal) == (row["fate"] == "deprecated")
    wanted = row["here"] or row["default"]
    if not wanted.startswith("(") or wanted == "(empty)":
        assert wanted in (text_of(opt), opt.sample_default)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['program']} {row['option']}")
def test_option_takes_what_is_of_its_type_and_nothing_else(options, row) -> None:
    opt = options[row["program"]][row["group"], row["option"]]
    words = row["type"].split("|")
    possible, impossible = (words, ["x"]) if len(words) > 1 else POSSIBLE[row["type"]]

    for value in possible:
        opt.type(value)
    for value in impossible:
        with pytest.raises(ValueError):
            opt.type(value)


def test_table_names_each_option_once() -> None:
    names = [(row["program"], row["group"], row["option"]) for row in ROWS]

    assert len(names) == len(set(names))
