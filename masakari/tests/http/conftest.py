"""The API as a WSGI application on a real database and the simulated cloud."""

import pytest

import masakari.cmd  # noqa: F401  oslo.service must not choose eventlet
from masakari.api.app import make_app
from masakari.db import progress as store
from masakari.sim.clock import SimClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.tests.http.client import Client


class Engines:
    """Remembers what the API announces."""

    def __init__(self):
        self.announced = []

    def recover(self, uuid):
        self.announced.append(uuid)


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
    return Engines()


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
