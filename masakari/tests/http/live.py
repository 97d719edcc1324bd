"""The API as a real HTTP server that asks the simulated Keystone about tokens."""

import contextlib
import threading

from keystoneauth1 import loading
from keystonemiddleware import opts as keystonemiddleware_opts
from oslo_service import opts as service_opts

from masakari import db
from masakari.api.app import make_app
from masakari.clock import SystemClock, wait_until
from masakari.cmd import server as server_module
from masakari.db import migration, progress
from masakari.db.vmoves import NewMove
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.states import VMoveStatus
from masakari.tests.conftest import new_conf

PATIENCE_S = 20
HOSTS = 40
VM = "00000000-0000-4000-8000-000000000001"


class Engines:
    """Remembers what the API announces."""

    def __init__(self):
        self.announced = []

    def recover(self, uuid):
        self.announced.append(uuid)


def secure(conf, auth_url):
    """The API asks Keystone."""
    for group, opts in keystonemiddleware_opts.list_auth_token_opts():
        conf.register_opts(opts, group=group)
    conf.register_opts(loading.get_auth_plugin_conf_options("password"), "keystone_authtoken")
    for name, value in {
        "auth_type": "password",
        "www_authenticate_uri": "http://keystone.example.com",
        "auth_url": auth_url,
        "username": "masakari",
        "password": "x",
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "http_request_max_retries": 0,
    }.items():
        conf.set_override(name, value, "keystone_authtoken")


@contextlib.contextmanager
def listening(conf, application):
    """The application's URL, as long as it is served."""
    # the server's threads do not take part in simulated time
    service_opts.register_service_opts(conf)
    listener = server_module.listen("127.0.0.1", 0)
    server = server_module.Server(conf, application, listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert wait_until(SystemClock(), lambda: server.ready, PATIENCE_S, 0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        thread.join(PATIENCE_S)


@contextlib.contextmanager
def serving(directory):
    """(URL, {variable of paths: the id of something that is there}), on a database of its own."""
    clock = SystemClock()
    cloud = SimCloud(clock, Settings(retries=0))
    for number in range(1, HOSTS + 1):
        cloud.add_host(f"compute{number}")
    conf = new_conf(directory)
    migration.sync(conf)
    with contextlib.ExitStack() as stack:
        keystone = stack.enter_context(SimServer(cloud))
        secure(conf, keystone.auth_url)
        database = db.session.connect(conf, clock)
        stack.callback(database.dispose)
        store = stack.enter_context(contextlib.closing(progress.connect(conf)))
        parts = {"database": database, "progress": store, "cloud": cloud, "engine": Engines()}
        url = stack.enter_context(listening(conf, make_app(conf, **parts)))
        yield url, fill(database, clock)


def fill(database, clock):
    """A segment with a host, of which a failure was reported, with a VM that has moved."""
    segment = db.segments.create(
        database, name="rack1", recovery_method="auto", service_type="COMPUTE"
    )
    host = db.hosts.create(
        database, segment.uuid, name="compute1", type="COMPUTE", control_attributes="SSH"
    )
    reported = db.reports.report(
        database,
        type="COMPUTE_HOST",
        hostname="compute1",
        generated_time=clock.now(),
        payload={"event": "STOPPED"},
        likeness=db.reports.Likeness(equal_s=180),
    )
    vm = NewMove(VM, "web1", "compute1", 1, "active", None, 1, VMoveStatus.IGNORED, "Not of HA")
    (move,) = db.vmoves.prepare(database, reported.notification_uuid, 1, 1, [vm])
    return {
        "segment_id": segment.uuid,
        "host_id": host.uuid,
        "notification_id": reported.notification_uuid,
        "vmove_id": move.uuid,
        "alias": "vmoves",
    }
