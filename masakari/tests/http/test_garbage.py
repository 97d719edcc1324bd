"""Nothing that a request leaves waits for Python's garbage collector: it would hold buffers."""

import contextlib
import gc
import http.client
import weakref

import pytest
import webob

from masakari.clock import SystemClock, wait_until
from masakari.cmd import connections
from masakari.tests.http.serving import PATIENCE_S, serving


@pytest.fixture
def no_collector():
    """What is in a cycle stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Thing:
    """What may be in an environment."""


@pytest.mark.parametrize(
    "path",
    ["/v1/segments", "/v1/segments?limit=1&name=x&sort_key=name", "/v1/notifications", "/v1/none"],
)
def test_request_is_gone_when_it_is_answered(as_user, no_collector, path):
    client = as_user("admin")
    thing = Thing()
    environ = webob.Request.blank(path, headers=client.headers).environ | {"test.thing": thing}
    is_alive = weakref.ref(thing)
    del thing

    list(client.application(environ, lambda *_: None))
    del environ

    assert is_alive() is None


def hello(_environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def living(server):
    return sum(
        isinstance(thing, connections.Connection) and thing.server is server
        for thing in gc.get_objects()
    )


def test_connection_is_gone_when_it_is_closed(options, no_collector):
    with serving(options, hello) as (server, address):
        for _ in range(2 * options.masakari_api_threads):
            with contextlib.closing(http.client.HTTPConnection(*address, timeout=30)) as client:
                client.request("GET", "/")
                assert client.getresponse().read() == b"hello"

        def few():
            # a thread knows its last one until it has the next
            return living(server) <= options.masakari_api_threads

        assert wait_until(SystemClock(), few, PATIENCE_S, 0.05)
