"""API and engine as processes, which ask Keystone about tokens, and a simulated cloud."""

import contextlib
import pathlib
import subprocess
import sys

import openstack

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.program import Program, free_port, wait

HOSTS = [f"compute{n}" for n in range(1, 7)]
CONFIG = """\
[DEFAULT]
transport_url = {bus}
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 1
[database]
connection = {database}
[engine]
sweep_interval = 1
[keystone_authtoken]
auth_type = password
auth_url = {keystone}
www_authenticate_uri = {keystone}
username = masakari
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
"""


def is_listening(program):
    assert program.returncode is None, program.log.read_text()
    return program.said("listening on")


class Deployment:
    """A cloud of six hosts, whose catalogue names the API with the project in its path."""

    def __init__(self, directory: pathlib.Path, database: str, bus: str) -> None:
        self.database = database
        self.cloud = SimCloud(SystemClock(), Settings(evacuation_s=0.5, service_down_time_s=2))
        for host in HOSTS:
            self.cloud.add_host(host)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        self._keystone = SimServer(self.cloud, ha_url=f"{self.url}/$PROJECT")
        self._config = directory / "masakari.conf"
        self._config.write_text(
            CONFIG.format(port=port, database=database, bus=bus, keystone=self.auth_url)
        )
        self.api, self.engine = (
            Program(name, self._config, directory / f"{name}.log")
            for name in ("masakari-api", "masakari-engine")
        )

    @property
    def auth_url(self) -> str:
        """Keystone's."""
        return self._keystone.auth_url

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._keystone.start()
            stack.callback(self._keystone.stop)
            manage = pathlib.Path(sys.executable).parent / "masakari-manage"
            subprocess.run([manage, "--config-file", self._config, "db", "sync"], check=True)
            for program in (self.engine, self.api):
                program.start()
                stack.callback(program.stop)
            for program in (self.engine, self.api):
                wait(f"{program.name} listens", lambda p=program: is_listening(p), 120)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()
        for program in (self.api, self.engine):
            assert "Traceback" not in program.log.read_text(), program.log

    def environment(self, user="admin"):
        """What the user's openrc sets."""
        return {
            "OS_AUTH_URL": self.auth_url,
            "OS_USERNAME": user,
            "OS_PASSWORD": "secret",
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": "RegionOne",
            "OS_IDENTITY_API_VERSION": "3",
        }

    def connect(self, user="admin", **more):
        """The user's `instance_ha` of openstacksdk."""
        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth_url=self.auth_url,
            username=user,
            password="secret",
            project_name="admin",
            user_domain_id="default",
            project_domain_id="default",
            region_name="RegionOne",
            **more,
        ).instance_ha

    def power_off(self, host):
        """The host is dead, and Nova has seen it."""
        self.cloud.set_service_state(host, up=False)
