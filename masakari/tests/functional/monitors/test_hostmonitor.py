"""The host monitor in front of our own API, over HTTP: the simulated cloud is its Keystone."""

import logging
import os
import pathlib
import signal
import socketserver
import subprocess
import sys
import threading
import wsgiref.simple_server

import pytest
import webob
from oslo_config import cfg

import masakari.conf
from masakari import clock as clock_
from masakari import db
from masakari.api import app
from masakari.clock import SystemClock
from masakari.monitors import hostmonitor
from masakari.sim import cloud as sim_cloud
from masakari.sim import http as sim_http

IS_THOROUGH = os.environ.get("MASAKARI_THOROUGH") == "1"
HOSTS = ["compute1", "compute2", "compute3"]
CLOCK = SystemClock()
PATIENCE_S = 120
"""A program takes half a minute to start where others keep all CPUs."""

CONFIG = """
[DEFAULT]
auth_strategy = keystone
hostname = controller
state_path = {directory}
[database]
connection = sqlite:///{directory}/masakari.sqlite
[keystone_authtoken]
auth_type = password
auth_url = {auth_url}
username = masakari
password = secret
project_name = service
user_domain_name = Default
project_domain_name = Default
service_type = instance-ha
service_token_roles_required = true
[host]
monitoring_driver = nova
monitoring_interval = 0.1
monitoring_samples = 2
api_retry_interval = 0.4
maintenance_retry_interval = 0.2
second_opinion_addresses = {addresses}
second_opinion_refused = dead
"""


class Announced:
    """rpc.Engine: keeps the uuids."""

    def __init__(self):
        self.uuids = []

    def recover(self, uuid):
        self.uuids.append(uuid)


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_args):
        pass


class ThreadingServer(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class World:
    """An API that can be killed, its database, the cloud."""

    def __init__(self, directory, cloud, server):
        self.cloud = cloud
        addresses = ",".join(f"{h}=127.0.0.1:{server.listeners.port(h)}" for h in HOSTS)
        path = self.config_file = directory / "masakari.conf"
        path.write_text(
            CONFIG.format(directory=directory, auth_url=server.auth_url, addresses=addresses)
        )
        self.conf = self._configure(masakari.conf.register, path)
        self.monitor_conf = self._configure(masakari.conf.register_monitors, path)
        db.migration.sync(self.conf)
        self.database = db.session.connect(self.conf, CLOCK)
        self.announced = Announced()
        self.app = app.make_app(
            self.conf,
            database=self.database,
            progress=db.progress.connect(self.conf),
            cloud=cloud,
            engine=self.announced,
        )
        self._port = 0
        self._server = None
        self.start_api()
        server.keystone.ha_url = f"http://127.0.0.1:{self._port}/v1"

    def _configure(self, register, path):
        conf = cfg.ConfigOpts()
        register(conf)
        conf([], project="masakari", default_config_files=[str(path)], default_config_dirs=[])
        return conf

    def start_api(self):
        self._server = wsgiref.simple_server.make_server(
            "127.0.0.1", self._port, self.app, ThreadingServer, QuietHandler
        )
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="api").start()

    def stop_api(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def register_hosts(self):
        """A segment with all hosts; the first one's uuid and the segment's."""
        segment = db.segments.create(
            self.database, name="rack1", recovery_method="auto", service_type="COMPUTE"
        )
        return {
            host: db.hosts.create(
                self.database,
                segment.uuid,
                name=host,
                type="COMPUTE",
                control_attributes="SSH",
            )
            for host in HOSTS
        }

    def told(self):
        """(event, host uuid) of the stored notifications, oldest first."""
        page = db.query.Page(1000, None, ("created_at", "id"), ("asc", "asc"))
        rows = db.notifications.page(self.database, page)
        return [(row["payload"]["event"], row["source_host_uuid"]) for row in rows]

    def wait_until_told(self, *events):
        assert clock_.wait_until(CLOCK, lambda: self.told() == list(events), PATIENCE_S, 0.05), (
            self.told()
        )


@pytest.fixture
def world(tmp_path):
    settings = sim_cloud.Settings(service_down_time_s=0.6, report_interval_s=0.2)
    cloud = sim_cloud.SimCloud(CLOCK, settings)
    for host in HOSTS:
        cloud.add_host(host)
    with sim_http.SimServer(cloud) as server:
        world = World(tmp_path, cloud, server)
        yield world
        world.stop_api()
        world.database.dispose()


@pytest.fixture
def start(world):
    """Starts a monitor that is stopped at the end."""
    stop = threading.Event()
    monitors, threads = [], []

    def start():
        monitor = hostmonitor.build(world.monitor_conf, CLOCK)
        monitors.append(monitor)
        thread = threading.Thread(target=monitor.run, args=(stop,), name="monitor")
        threads.append(thread)
        thread.start()

    yield start
    for monitor in monitors:
        monitor.end(stop)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def wait_for_log(caplog, text):
    def is_said():
        return any(text in record.getMessage() for record in list(caplog.records))

    assert clock_.wait_until(CLOCK, is_said, PATIENCE_S, 0.05), caplog.text


def test_host_dies_and_returns_is_stored_and_announced(world, start, caplog):
    caplog.set_level(logging.INFO)
    host = world.register_hosts()["compute1"].uuid
    start()
    wait_for_log(caplog, "3 of 3 hosts online")

    world.cloud.power_off("compute1")
    world.wait_until_told(("STOPPED", host))
    world.cloud.power_on("compute1")
    world.wait_until_told(("STOPPED", host), ("STARTED", host))

    assert len(world.announced.uuids) == 2


def test_host_dead_at_start_and_api_away_is_stored_when_the_api_is_back(world, start, caplog):
    host = world.register_hosts()["compute1"].uuid
    world.cloud.power_off("compute1")
    world.stop_api()
    start()
    wait_for_log(caplog, "the Masakari API has not said which hosts to watch")

    world.start_api()

    world.wait_until_told(("STOPPED", host))


@pytest.mark.parametrize(
    "away_s",
    [
        0,
        pytest.param(
            300,
            marks=pytest.mark.skipif(not IS_THOROUGH, reason="five minutes: make soak runs it"),
        ),
    ],
)
def test_api_killed_while_the_host_dies_is_stored_when_the_api_is_back(
    world, start, caplog, away_s
):
    caplog.set_level(logging.INFO)
    host = world.register_hosts()["compute1"].uuid
    start()
    wait_for_log(caplog, "3 of 3 hosts online")
    world.stop_api()
    world.cloud.power_off("compute1")
    wait_for_log(caplog, "Masakari has not heard that it is offline")
    CLOCK.sleep(away_s)
    assert world.told() == []

    world.start_api()

    world.wait_until_told(("STOPPED", host))
    complaints = [r for r in caplog.records if "has not heard that it is" in r.getMessage()]
    assert len(complaints) < 10  # not one a try


def test_host_on_maintenance_is_stored_when_maintenance_ends(world, start, caplog):
    hosts = world.register_hosts()
    segment, host = hosts["compute1"].failover_segment.uuid, hosts["compute1"].uuid
    db.hosts.update(world.database, segment, host, {"on_maintenance": True})
    world.cloud.power_off("compute1")
    start()
    wait_for_log(caplog, "Masakari refuses the report that it is offline (409 maintenance")
    assert world.told() == []

    db.hosts.update(world.database, segment, host, {"on_maintenance": False})

    world.wait_until_told(("STOPPED", host))


def test_two_monitors_lead_to_one_notification(world, start, caplog):
    caplog.set_level(logging.INFO)
    host = world.register_hosts()["compute1"].uuid
    world.cloud.power_off("compute1")
    start()
    start()

    wait_for_log(caplog, "compute1: offline reported (409 duplicate")

    assert world.told() == [("STOPPED", host)]


PROGRAM = pathlib.Path(sys.executable).with_name("masakari-hostmonitor")


def test_program_watches_until_it_is_asked_to_stop(world):
    host = world.register_hosts()["compute1"].uuid
    world.cloud.power_off("compute1")
    process = subprocess.Popen(
        [PROGRAM, "--config-file", world.config_file],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        world.wait_until_told(("STOPPED", host))
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()

    assert process.returncode == 0
    assert "compute1: offline reported (202)" in log
    assert "Traceback" not in log


def run_until(world, done):
    """A program that is killed as soon as *done*; what it has written."""
    log = world.config_file.with_suffix(".log")
    with log.open("w") as file:
        process = subprocess.Popen(
            [PROGRAM, "--config-file", world.config_file], stdout=file, stderr=file
        )
    try:
        assert clock_.wait_until(CLOCK, lambda: done(log.read_text()), PATIENCE_S, 0.05), (
            log.read_text()
        )
    finally:
        process.kill()
        process.wait()
    return log.read_text()


def test_killed_program_remembers_what_was_heard_and_what_was_not(world):
    hosts = world.register_hosts()
    one, two = hosts["compute1"].uuid, hosts["compute2"].uuid
    world.cloud.power_off("compute1")
    run_until(world, lambda log: "compute1: offline reported (202)" in log)
    world.stop_api()
    # both happen while nobody looks
    world.cloud.power_on("compute1")
    world.cloud.power_off("compute2")
    world.start_api()

    run_until(world, lambda _: len(world.told()) == 3)

    assert world.told()[0] == ("STOPPED", one)
    assert sorted(world.told()[1:]) == sorted([("STARTED", one), ("STOPPED", two)])


def test_memory_that_is_broken_is_set_aside(world):
    world.register_hosts()
    file = world.config_file.with_name("hostmonitor.json")
    file.write_text('{"told": {"compute1":')

    said = run_until(world, lambda log: "3 of 3 hosts online" in log)

    assert f"{file} cannot be used" in said
    assert "Traceback" not in said
    assert file.with_suffix(".broken").read_text() == '{"told": {"compute1":'


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("", "[api] auth_url: "),
        ("[host]\nmonitoring_driver = acme\n", "[host] monitoring_driver: "),
        ("[host]\nmonitoring_driver = nova\n", "[api] auth_url: "),
        ("[host]\nmonitoring_samples = 0\n", "[host] monitoring_samples: "),
    ],
)
def test_program_unusable_configuration_ends_it_with_one_sentence(tmp_path, text, option):
    path = tmp_path / "masakarimonitors.conf"
    path.write_text(text)

    done = subprocess.run(
        [PROGRAM, "--config-file", path], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 78
    assert done.stderr.splitlines()[-1].startswith(f"masakari-hostmonitor: {option}")
    assert "Traceback" not in done.stderr


def test_request_without_a_token_is_refused(world):
    request = webob.Request.blank("/v1/segments")

    assert request.get_response(world.app).status_int == 401
