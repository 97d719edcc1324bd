"""`openstack` with the plugin of python-masakariclient."""

import argparse
import importlib.metadata
import json
import os
import re
import shlex
import string
import subprocess
import sys
import types

import pytest
from osc_lib.command import command

from masakari.tests.functional.clients import commands, openstack_commands
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

STEPS = [*commands.SEGMENTS, *commands.HOSTS, *commands.NOTIFICATIONS]
PLUGIN = {
    entry.name.replace("_", " "): entry
    for entry in importlib.metadata.entry_points(group="openstack.ha.v1")
}
MAKES_JSON = [
    name
    for name, entry in PLUGIN.items()
    if issubclass(entry.load(), command.Lister | command.ShowOne)
]


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("OS_")}


class CommandLine:
    """Many calls of `openstack`, in few seconds."""

    def __init__(self, environment):
        self._process = subprocess.Popen(
            [sys.executable, "-m", openstack_commands.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment() | environment,
            text=True,
        )

    def run(self, *arguments, **environment):
        """(exit status, stdout, stderr)"""
        print(json.dumps([arguments, environment]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def end(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def openstack(deployment):
    """The command line of an administrator."""
    made = CommandLine(deployment.environment())
    yield made
    made.end()


# ---- the table


def command_of(line):
    """The command that the line begins with, after global options."""
    words = [word for word in shlex.split(line) if not re.match(r"--os|\d", word)]
    return max((n for n in PLUGIN if words[: len(n.split())] == n.split()), key=len)


def test_every_command_is_tried():
    assert {command_of(step.line) for step in STEPS} == set(PLUGIN)


@pytest.mark.parametrize("name", PLUGIN)
def test_every_option_is_tried(name):
    def options(kind):
        parser = kind(argparse.Namespace(), None).get_parser("openstack")
        return {option for action in parser._actions for option in action.option_strings}

    kind = PLUGIN[name].load()
    base = next(b for b in kind.__mro__ if b.__module__ == command.__name__)
    bare = type("Bare", (base,), {"__module__": __name__, "take_action": None})
    own = options(kind) - options(bare)
    tried = [s.line for s in STEPS if command_of(s.line) == name and not s.refused]

    assert own <= {word for line in tried for word in shlex.split(line)}


# ---- the steps


class Story:
    """Steps, one after the other, and what they have kept."""

    def __init__(self, openstack, ha, **names):
        self._openstack, self._ha, self.names = openstack, ha, names

    def tell(self, steps):
        for step in steps:
            self._step(step)

    def _fill(self, text):
        return string.Template(text).substitute(self.names)

    def _step(self, step):
        arguments = shlex.split(self._fill(step.line.replace("\n", "")))
        makes_json = command_of(step.line) in MAKES_JSON and "-f" not in arguments
        if makes_json and not step.refused:
            arguments += ["-f", "json"]
        status, out, err = self._openstack.run(*arguments)
        if step.until:

            def is_so():
                return self._openstack.run(*arguments)[1] == step.until

            wait(f"{step.line} prints {step.until}", is_so, 120)
            return
        told = f"openstack {step.line}\nended with {status} and printed\n{out}{err}"
        if step.refused:
            assert status != 0, told
            assert step.prints.search(err), told
            assert "Traceback" not in err, told
            return
        assert (status, err) == (0, ""), told
        found = json.loads(out) if makes_json else out
        assert list(self._differences(found, step.prints)) == [], told
        if step.keep:
            self._keep(step.keep, commands.UUID.search(out)[0], command_of(step.line))

    def _keep(self, name, uuid, command):
        """The command line does not tell every id."""
        match command.split()[:2]:
            case ["segment", "host"]:
                row = self._ha.get_host(uuid, self.names["rack1"])
            case ["segment", _]:
                row = self._ha.get_segment(uuid)
            case ["notification", "vmove"]:
                row = self._ha.get_vmove(uuid, self.names["dead"])
            case _:
                row = self._ha.get_notification(uuid)
        self.names |= {name: uuid, f"{name}_id": row.id}

    def _differences(self, found, expected, where=""):
        """Where *found* is something else, in words."""
        match found, expected:
            case _, types.EllipsisType():
                return
            case dict(), dict() if list(found) == list(expected):
                pairs = [(f".{key}", found[key], expected[key]) for key in expected]
            case list(), list() if len(found) == len(expected):
                pairs = [(f"[{n}]", item, expected[n]) for n, item in enumerate(found)]
            case _:
                if not self._agrees(found, expected):
                    yield f"{where}: {found!r} is not like {expected!r}"
                return
        for step, *pair in pairs:
            yield from self._differences(*pair, where + step)

    def _agrees(self, found, expected):
        if isinstance(expected, re.Pattern):
            return expected.fullmatch(str(found))
        return found == (self._fill(expected) if isinstance(expected, str) else expected)


def test_every_command_prints_what_it_should(deployment, openstack):
    servers = {
        name: deployment.cloud.add_server(host, name, metadata={"HA_Enabled": "True"})
        for name, host in (("vm1", "compute1"), ("vm2", "compute1"), ("vm3", "compute2"))
    }
    story = Story(openstack, deployment.connect(), **servers)

    story.tell(commands.SEGMENTS)
    story.tell(commands.HOSTS)
    deployment.power_off("compute1")
    deployment.cloud.crash(servers["vm3"])
    story.tell(commands.NOTIFICATIONS)
