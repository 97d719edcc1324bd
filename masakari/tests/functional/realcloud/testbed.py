"""The cloud of tools/realcloud: what it is asked to do, and what Nova says of it."""

import collections
import os
import pathlib
import re
import subprocess
import sys

import openstack
import pytest

from masakari import clock

TREE = pathlib.Path(__file__).parents[4]
TOOL = TREE / "tools" / "realcloud" / "cloud"
MICROVERSION = "2.94"
"""The last with which an evacuated server is ACTIVE again."""


def wait(what, predicate, timeout):
    """Return when *predicate* is true; fail with *what* after *timeout* seconds."""
    if not clock.wait_until(clock.SystemClock(), predicate, timeout, 0.25):
        pytest.fail(f"timed out after {timeout} s: {what}")


class Testbed:
    __test__ = False

    def __init__(self):
        if not TOOL.exists() or self.run("status", check=False).returncode:
            pytest.skip(f"the real cloud is not up; start it with {TOOL} up --hosts 3")
        exports = self.run("env").stdout
        self.env = dict(re.findall(r"^export (\w+)='(.*)'$", exports, re.MULTILINE))
        self.hosts = dict(pair.split("=") for pair in self.env["REALCLOUD_HOSTS"].split(","))
        if len(self.hosts) < 3:
            pytest.skip(f"the real cloud has {len(self.hosts)} hosts, 3 are needed")
        self.nova = self.connect().compute

    def run(self, *arguments, check=True):
        """The finished command."""
        done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode:
            pytest.fail(f"cloud {' '.join(arguments)}: {done.stderr}")
        return done

    def connect(self):
        """The administrator's connection to everything."""
        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth_url=self.env["OS_AUTH_URL"],
            username=self.env["OS_USERNAME"],
            password=self.env["OS_PASSWORD"],
            project_name=self.env["OS_PROJECT_NAME"],
            user_domain_id="default",
            project_domain_id="default",
            region_name=self.env["OS_REGION_NAME"],
            compute_default_microversion=MICROVERSION,
            ha_api_version="1.3",
        )

    def command_line(self, *arguments):
        """What `openstack` prints."""
        tool = pathlib.Path(sys.executable).parent / "openstack"
        env = {k: v for k, v in os.environ.items() if not k.startswith("OS_")} | self.env
        done = subprocess.run(
            [tool, *arguments], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.fail(f"openstack {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    # ---- servers and hosts

    def boot(self, host, count):
        """The ids of *count* new servers, which are ACTIVE on the host."""
        return self.run("boot", host, str(count), "--metadata", "HA_Enabled=True").stdout.split()

    def servers(self, ids):
        return [s for s in self.nova.servers(all_projects=True) if s.id in ids]

    def where(self, ids):
        """How many of the servers are in which status on which host."""
        return collections.Counter((s.status, s.compute_host) for s in self.servers(ids))

    def service(self, host):
        return next(self.nova.services(host=host, binary="nova-compute"))

    def evacuations(self, ids):
        """How many evacuations Nova has recorded of each server."""
        recorded = [
            m.server_id
            for m in self.nova.migrations(migration_type="evacuation")
            if m.server_id in ids
        ]
        return collections.Counter(recorded)

    def make_spawning_slow(self, seconds):
        for host in self.hosts:
            self.run("fault", host, *([f"spawn_delay={seconds}"] if seconds else []))

    def tidy(self):
        """No servers, no faults, every host up and enabled."""
        self.make_spawning_slow(0)
        for host in self.hosts:
            self.run("start-host", host)
        wait(
            "all hosts are up",
            lambda: all(self.service(h).state == "up" for h in self.hosts),
            60,
        )
        for host in self.hosts:
            if self.service(host).status == "disabled":
                self.nova.enable_service(self.service(host))
        for server in self.nova.servers(all_projects=True):
            self.nova.delete_server(server, ignore_missing=True)
        wait("no servers are left", lambda: not list(self.nova.servers(all_projects=True)), 60)
