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
HOSTS = 6
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
            pytest.skip(f"the real cloud is not up; start it with {TOOL} up --hosts {HOSTS}")
        exports = self.run("env").stdout
        self.env = dict(re.findall(r"^export (\w+)='(.*)'$", exports, re.MULTILINE))
        self.hosts = dict(pair.split("=") for pair in self.env["REALCLOUD_HOSTS"].split(","))
        if len(self.hosts) < HOSTS:
            pytest.skip(f"the real cloud has {len(self.hosts)} hosts, {HOSTS} are needed")
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
        done = self.try_command_line(self.env, *arguments)
        if done.returncode:
            pytest.fail(f"openstack {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    @staticmethod
    def try_command_line(env, *arguments):
        """The finished command of who has that environment."""
        tool = pathlib.Path(sys.executable).parent / "openstack"
        return subprocess.run(
            [tool, *arguments],
            env={k: v for k, v in os.environ.items() if not k.startswith("OS_")} | env,
            capture_output=True,
            text=True,
            check=False,
        )

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

    def server(self, uuid):
        return self.nova.get_server(uuid)

    def actions(self, uuid):
        """The names of what was done to the server, oldest first."""
        return [a.action for a in self.nova.server_actions(uuid)][::-1]

    def migrations(self, uuid):
        """(type, status, source, destination) of each of its moves, oldest first."""
        found = [m for m in self.nova.migrations() if m.server_id == uuid]
        return [
            (m.migration_type, m.status, m.source_compute, m.dest_compute)
            for m in sorted(found, key=lambda m: m.id)
        ]

    def wait_for_server(self, uuid, status, timeout=60):
        def is_there():
            server = self.server(uuid)
            return (server.status, server.task_state) == (status, None)

        wait(f"server {uuid} is {status}", is_there, timeout)

    def kill(self, *hosts, monitor=None):
        """They lose their power, as soon as the monitor has seen all alive."""
        if monitor is not None:
            monitor.wait_until_said(f"{len(self.hosts)} of {len(self.hosts)} hosts online")
        for host in hosts:
            self.run("kill-host", host)

    def crash(self, uuid):
        """The guest dies, and Nova has seen it."""
        self.run("crash", uuid, "--told-after", "0.2")
        self.wait_for_server(uuid, "SHUTOFF")

    def disable(self, host, reason):
        self.nova.disable_service(self.service(host), disabled_reason=reason)

    def fault(self, *hosts, **faults):
        """Faults of the hosts, of all if none is named; the others that they had are gone."""
        for host in hosts or ["all"]:
            self.run("fault", host, *(f"{name}={value}" for name, value in faults.items()))

    def make_aggregate(self, name, *hosts, zone=None):
        more = {"availability_zone": zone} if zone else {}
        aggregate = self.nova.create_aggregate(name=name, **more)
        for host in hosts:
            self.nova.add_host_to_aggregate(aggregate, host)

    def aggregate(self, name):
        """The hosts in it."""
        return {h for a in self.nova.aggregates() if a.name == name for h in a.hosts or ()}

    def tidy(self):
        """No servers, aggregates or faults, every host up and enabled."""
        self.fault()
        self.run("start-host", "all")
        services = []

        def are_up():
            services[:] = self.nova.services(binary="nova-compute")
            return all(service.state == "up" for service in services)

        wait("all hosts are up", are_up, 60)
        for service in services:
            if service.status == "disabled":
                self.nova.enable_service(service)
        for server in self.nova.servers(all_projects=True):
            self.nova.delete_server(server, ignore_missing=True)
        wait("no servers are left", lambda: not list(self.nova.servers(all_projects=True)), 60)
        for aggregate in self.nova.aggregates():
            for host in aggregate.hosts or ():
                self.nova.remove_host_from_aggregate(aggregate, host)
            self.nova.delete_aggregate(aggregate)
