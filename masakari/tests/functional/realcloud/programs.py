"""Our programs as processes, with configuration files like an operator's."""

import pathlib
import socket
import subprocess
import sys
import urllib.parse

import pymysql
import pytest

from masakari.tests.functional.program import Program
from masakari.tests.functional.realcloud import testbed

PORT = 15868
"""The catalogue of the cloud points here."""
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def keystone(env):
    """Who our services are, as lines of a configuration file."""
    return [
        "auth_type = password",
        f"auth_url = {env['OS_AUTH_URL']}",
        f"username = {env['REALCLOUD_SERVICE_USER']}",
        f"password = {env['REALCLOUD_SERVICE_PASSWORD']}",
        f"project_name = {env['REALCLOUD_SERVICE_PROJECT']}",
        "user_domain_id = default",
        "project_domain_id = default",
    ]


def host_monitor(hosts):
    """Options of a quick host monitor."""
    return [
        "[host]",
        "monitoring_driver = nova",
        "monitoring_interval = 1",
        "second_opinion_addresses = " + ",".join(f"{h}={a}" for h, a in hosts.items()),
        "second_opinion_refused = dead",
    ]


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Deployment:
    """API, engine and host monitor with RabbitMQ, MariaDB and Keystone.

    *options* are lines of the configuration of API and engines, the first of them in [DEFAULT].
    A second engine is there to be started.
    """

    def __init__(self, bed, directory, *options):
        if is_listening(PORT):
            pytest.fail(f"something listens on port {PORT} already")
        self._directory = directory
        env = bed.env
        self.config = self._write(
            "masakari.conf",
            "[DEFAULT]",
            f"transport_url = {env['REALCLOUD_RABBIT_URL']}",
            "masakari_api_listen = 127.0.0.1",
            "masakari_api_workers = 2",
            *options,
            "[database]",
            f"connection = {env['REALCLOUD_DB_URL']}",
            "[keystone_authtoken]",
            *keystone(env),
            f"www_authenticate_uri = {env['OS_AUTH_URL']}",
            "service_type = instance-ha",
        )
        monitor = self._write(
            "masakarimonitors.conf",
            "[DEFAULT]",
            f"state_path = {directory}",
            "[api]",
            *keystone(env),
            *host_monitor(bed.hosts),
        )
        empty(env["REALCLOUD_DB_URL"])
        self.manage("db", "sync")
        self.api = self._program("masakari-api", self.config)
        self.engine = self._program("masakari-engine", self.config)
        self.second_engine = self._program("masakari-engine", self.config, "second-engine")
        self.monitor = self._program("masakari-hostmonitor", monitor)

    def start(self):
        for program in (self.api, self.engine, self.monitor):
            program.start()
        testbed.wait("the API listens", lambda: is_listening(PORT), 60)
        return self

    def stop(self):
        for program in (self.monitor, self.engine, self.second_engine, self.api):
            program.stop()

    def manage(self, *arguments):
        """What masakari-manage prints."""
        tool = pathlib.Path(sys.executable).parent / "masakari-manage"
        done = subprocess.run(
            [tool, "--config-file", self.config, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"masakari-manage {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _write(self, name, *lines):
        path = self._directory / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def _program(self, name, config, log=None):
        return Program(name, config, self._directory / f"{log or name}.log")


def empty(url):
    """The database is there and has no tables."""
    parts = urllib.parse.urlsplit(url)
    name = parts.path.lstrip("/")
    connection = pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb3")
