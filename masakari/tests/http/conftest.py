"""The API as a WSGI application on a real database and the simulated cloud."""

import pytest
from oslo_service import opts as service_opts

import masakari.cmd  # noqa: F401  oslo.service must not choose eventlet
from masakari.api.app import make_app
from masakari.clock import SystemClock
from masakari.db import progress as store
from masakari.sim.clock import SimClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.http import live
from masakari.tests.http.client import Client


@pytest.fixture
def clock():
    with SimClock() as simulated:
        yield simulated


@pytest.fixture
def cloud(clock):
    """Nova with compute1 to compute9; requests are not repeated."""
    simulated = SimCloud(clock, Settings(retries=0))
    for number in range(1, 10):
        simulated.add_host(f"compute{number}")
    return simulated


@pytest.fixture
def database(connect_database, clock):
    """A fresh SQLite database on the simulated time."""
    return connect_database(clock)


@pytest.fixture
def engines():
    return live.Engines()


@pytest.fixture
def progress(migrated_conf):
    backend = store.connect(migrated_conf)
    yield backend
    backend.close()


@pytest.fixture
def make_client(conf, database, progress, cloud, engines):
    """A client of an API with the options of `conf` as they are when it is called."""
    usual = {"database": database, "progress": progress, "cloud": cloud, "engine": engines}

    def make(parts=None, **client):
        return Client(make_app(conf, **(usual | (parts or {}))), **client)

    return make


@pytest.fixture
def api(conf, make_client):
    """A client of an API that authenticates nobody."""
    conf.set_override("auth_strategy", "noauth2")
    return make_client()


@pytest.fixture
def options(conf):
    """Options of the HTTP server, too."""
    service_opts.register_service_opts(conf)
    return conf


# ---- with Keystone


@pytest.fixture(scope="module")
def keystone():
    """The simulated Keystone over HTTP, on the machine's time, as the middleware is."""
    with SimServer(SimCloud(SystemClock())) as server:
        yield server


@pytest.fixture
def secured(conf):
    """Options of an API that asks Keystone, once `auth_url` is set."""
    live.secure(conf, "http://127.0.0.1:1/v3")
    return conf


@pytest.fixture
def as_user(secured, make_client, keystone):
    """Makes a client with the token of a user of the simulated Keystone."""
    secured.set_override("auth_url", keystone.auth_url, "keystone_authtoken")
    application = make_client().application

    def make(user):
        return Client(application, headers={"X-Auth-Token": f"{user}-token"} if user else {})

    return make
