"""The HTTP server: threads, TLS, and a stop that finishes what is in flight."""

import concurrent.futures
import contextlib
import http.client
import socket
import ssl
import threading

import pytest
import trustme

from masakari.clock import SystemClock, wait_until
from masakari.cmd import connections, tls
from masakari.cmd import server as server_module
from masakari.errors import ConfigInvalid
from masakari.tests.http.serving import PATIENCE_S, serving


@pytest.fixture(scope="session")
def pem(tmp_path_factory):
    """A file with a key and certificate for localhost, and the CA's, valid for this run."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    issued = ca.issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o600)
    ca.cert_pem.write_to_path(str(path), append=True)
    return path


def hello(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


class Gate:
    """An application that answers when it is told to."""

    def __init__(self):
        self.entered = threading.Event()
        self.leave = threading.Event()

    def __call__(self, environ, start_response):
        self.entered.set()
        assert self.leave.wait(PATIENCE_S)
        return hello(environ, start_response)


def get(address, headers=None):
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("GET", "/", headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()


def test_stop_waits_for_requests_in_flight(options):
    gate = Gate()
    with (
        concurrent.futures.ThreadPoolExecutor() as pool,
        serving(options, gate) as (server, address),
    ):
        answer = pool.submit(get, address)
        assert gate.entered.wait(PATIENCE_S)

        stopped = pool.submit(server.stop)
        assert wait_until(SystemClock(), lambda: not server.ready, PATIENCE_S, 0.01)
        gate.leave.set()

        assert answer.result(PATIENCE_S) == (200, b"hello")
        stopped.result(PATIENCE_S)
        with pytest.raises(ConnectionError):
            get(address)


def test_stop_answers_who_has_connected_before(options, monkeypatch):
    monkeypatch.setattr(connections, "GRACE_S", PATIENCE_S)
    with (
        concurrent.futures.ThreadPoolExecutor() as pool,
        serving(options, hello) as (server, address),
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(10)]
        stopped = pool.submit(server.stop)
        assert wait_until(SystemClock(), lambda: not server.ready, PATIENCE_S, 0.01)

        for client in clients:
            client.settimeout(PATIENCE_S)
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        answers = [client.makefile("rb").read() for client in clients]

        stopped.result(PATIENCE_S)
    assert all(a.startswith(b"HTTP/1.1 200 OK") and a.endswith(b"hello") for a in answers), answers


def test_beats_come_while_threads_get_on(options):
    options.set_override("masakari_api_threads", 1)
    gate, beats = Gate(), []
    with (
        concurrent.futures.ThreadPoolExecutor() as pool,
        serving(options, gate, beat=lambda: beats.append(1)) as (server, address),
    ):
        assert wait_until(SystemClock(), lambda: len(beats) > 1, PATIENCE_S, 0.01)

        answer = pool.submit(get, address)
        assert gate.entered.wait(PATIENCE_S)
        assert wait_until(SystemClock(), lambda: server.requests.qsize, PATIENCE_S, 0.01)
        wedged = len(beats)
        for _ in range(10):
            server.show_progress()
        assert (len(beats), server.requests.qsize) == (wedged, 1)

        gate.leave.set()
        assert answer.result(PATIENCE_S) == (200, b"hello")
        assert wait_until(SystemClock(), lambda: len(beats) > wedged, PATIENCE_S, 0.01)


def test_connections_without_a_request_hold_no_thread(options):
    options.set_override("masakari_api_threads", 1)
    with serving(options, hello) as (_, address), contextlib.ExitStack() as idle:
        for _ in range(3):
            idle.enter_context(socket.create_connection(address, PATIENCE_S))

        assert get(address) == (200, b"hello")


@pytest.mark.parametrize(("keep", "closes"), [(True, False), (False, True)])
def test_keep_alive_is_an_option(options, keep, closes):
    options.set_override("keep_alive", keep, "wsgi")
    with serving(options, hello) as (_, address):
        connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()

            assert response.will_close is closes


def test_headers_are_limited(options):
    options.set_override("max_header_line", 1000, "wsgi")
    with serving(options, hello) as (_, address):
        assert get(address, {"X-Long": "x" * 900})[0] == 200
        assert get(address, {"X-Long": "x" * 1100})[0] == 413


def test_two_servers_share_one_socket(options):
    listener = server_module.listen("127.0.0.1", 0)
    address = listener.getsockname()
    first, second = (server_module.Server(options, hello, listener.dup()) for _ in range(2))
    threads = [threading.Thread(target=s.serve_forever) for s in (first, second)]
    for thread in threads:
        thread.start()
    for server in (first, second):
        assert wait_until(SystemClock(), lambda s=server: s.ready, PATIENCE_S, 0.01)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(get, address) for _ in range(40)]
        assert {a.result(PATIENCE_S) for a in answers} == {(200, b"hello")}
    first.stop()
    assert get(address) == (200, b"hello")

    second.stop()
    listener.close()
    for thread in threads:
        thread.join(PATIENCE_S)


# ---- TLS


@pytest.fixture
def encrypted(options, pem):
    options.set_override("use_ssl", True)
    options.set_override("ssl_cert_file", str(pem), "wsgi")
    options.set_override("ssl_key_file", str(pem), "wsgi")
    return options


def scheme(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.url_scheme"].encode()]


def get_encrypted(address, pem, *, present=False):
    context = ssl.create_default_context(cafile=pem)
    if present:
        context.load_cert_chain(pem)
    connection = http.client.HTTPSConnection(*address, timeout=PATIENCE_S, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()


def test_tls_tells_the_application(encrypted, pem):
    with serving(encrypted, scheme, adapter=tls.adapter(encrypted)) as (_, address):
        assert get_encrypted(address, pem) == b"https"


def echo_length(environ, start_response):
    body = str(len(environ["wsgi.input"].read())).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_tls_takes_large_bodies_one_after_the_other(encrypted, pem):
    context = ssl.create_default_context(cafile=pem)
    with serving(encrypted, echo_length, adapter=tls.adapter(encrypted)) as (_, address):
        connection = http.client.HTTPSConnection(*address, timeout=PATIENCE_S, context=context)
        with contextlib.closing(connection):
            for size in (0, 100_000, 1, 500_000, 60_000):
                connection.request("POST", "/", body=b"x" * size)
                assert connection.getresponse().read() == str(size).encode()


def test_handshake_that_never_comes_delays_nobody(encrypted, pem):
    encrypted.set_override("masakari_api_threads", 1)
    with (
        serving(encrypted, scheme, adapter=tls.adapter(encrypted)) as (_, address),
        socket.create_connection(address, PATIENCE_S),
    ):
        assert get_encrypted(address, pem) == b"https"


def test_tls_with_ca_file_asks_clients_for_a_certificate(encrypted, pem):
    encrypted.set_override("ssl_ca_file", str(pem), "wsgi")
    with serving(encrypted, scheme, adapter=tls.adapter(encrypted)) as (_, address):
        assert get_encrypted(address, pem, present=True) == b"https"
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.BadStatusLine)):
            get_encrypted(address, pem)


def test_without_use_ssl_there_is_no_tls(options, pem):
    options.set_override("ssl_cert_file", str(pem), "wsgi")

    assert tls.adapter(options) is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ssl_cert_file", None),
        ("ssl_key_file", None),
        ("ssl_cert_file", "/nowhere"),
        ("ssl_key_file", "/nowhere"),
        ("ssl_ca_file", "/nowhere"),
        ("ssl_ca_file", __file__),
    ],
)
def test_tls_that_cannot_be_is_told_at_start(encrypted, option, value):
    encrypted.set_override(option, value, "wsgi")

    with pytest.raises(ConfigInvalid, match=rf"^\[wsgi\] .*{option}"):
        tls.adapter(encrypted)


def test_port_that_is_taken_is_told_at_start():
    with server_module.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigInvalid, match=rf"masakari_api_listen: .*port {port}"):
            server_module.listen("127.0.0.1", port)


def test_silent_connections_are_asked_after():
    listener = server_module.listen("127.0.0.1", 0, keepidle_s=77)
    with listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77


def test_bodies_do_not_wait_for_the_ack_of_their_headers():
    with contextlib.closing(server_module.listen("127.0.0.1", 0)) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_connection_answers_request_after_request(options):
    with serving(options, hello) as (_, address):
        connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            for _ in range(20):
                connection.request("GET", "/")
                assert connection.getresponse().read() == b"hello"
