"""A plain request is read as cheroot reads it, and answered at once."""

import socket

import pytest

from masakari.cmd import connections, exchange
from masakari.tests.http.serving import PATIENCE_S, serving

PLAIN = {
    "get": b"GET /v1/segments HTTP/1.1\r\nHost: here:1\r\n\r\n",
    "query": b"GET /v1/segments?limit=1&a=%20;/?b HTTP/1.1\r\nHost: here\r\n\r\n",
    "blanks": b"GET / HTTP/1.1\r\nHost:here\r\nX-One: \t a, b\t \r\nX-Two:\r\n\r\n",
    "latin-1": b"GET / HTTP/1.1\r\nHost: here\r\nX-Name: m\xe9\r\n\r\n",
    "body": b"POST /v1 HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc",
    "close": b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nHost: here\r\n\r\n",
}
OTHER = {
    "escape": b"GET /a%20b HTTP/1.1\r\nHost: here\r\n\r\n",
    "two slashes": b"GET //there/ HTTP/1.1\r\nHost: here\r\n\r\n",
    "fragment": b"GET /#there HTTP/1.1\r\nHost: here\r\n\r\n",
    "absolute": b"GET http://here/ HTTP/1.1\r\nHost: here\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\n\r\n",
    "newer": b"GET / HTTP/2.0\r\n\r\n",
    "lower case": b"get / HTTP/1.1\r\nHost: here\r\n\r\n",
    "twice": b"GET / HTTP/1.1\r\nHost: here\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
    "continued": b"GET / HTTP/1.1\r\nHost: here\r\nX-A: 1\r\n 2\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "blank before colon": b"GET / HTTP/1.1\r\nHost : here\r\n\r\n",
    "control character": b"GET / HTTP/1.1\r\nHost: here\r\nX-A: \x01\r\n\r\n",
    "line feed": b"GET / HTTP/1.1\r\nHost: here\r\nX-A: 1\nX-B: 2\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: +3\r\n\r\nabc",
    "lengths": b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc",
    "chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "expect": b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
}


class Seen:
    """An application that remembers what it is asked."""

    def __init__(self):
        self.environs = []

    def __call__(self, environ, start_response):
        body = environ.pop("wsgi.input").read()
        environ.pop("REMOTE_PORT")
        environ.pop("SERVER_PORT")
        self.environs.append((environ, body))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]


def ask(options, requests):
    """{name: what the application saw, and the answer without its date}."""
    found = {}
    with serving(options, seen := Seen()) as (_, address):
        for name, request in requests.items():
            with socket.create_connection(address, PATIENCE_S) as client:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                answer = client.makefile("rb").read().splitlines()
            shown = [line for line in answer if not line.startswith(b"Date: ")]
            found[name] = seen.environs.copy(), shown
            seen.environs.clear()
    return found


def test_plain_request_is_what_cheroot_makes_of_it(options, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(exchange.Exchange, "_plain", lambda *_: None)
        by_cheroot = ask(options, PLAIN)
    with monkeypatch.context() as patch:
        patch.setattr(exchange.cheroot_server.HTTPRequest, "parse_request", None)
        plain = ask(options, PLAIN)

    assert plain == by_cheroot
    assert [len(environs) for environs, _ in plain.values()] == [1] * len(PLAIN)


def test_other_requests_are_left_to_cheroot(options, monkeypatch):
    is_plain = []
    plain = exchange.Exchange._plain

    def watched(*args):
        environ = plain(*args)
        is_plain.append(environ is not None)
        return environ

    monkeypatch.setattr(exchange.Exchange, "_plain", watched)
    ask(options, OTHER)

    assert is_plain == [False] * len(OTHER)


def test_answer_leaves_at_once(options, monkeypatch):
    writes = []
    write = connections.Outgoing.write
    monkeypatch.setattr(
        connections.Outgoing, "write", lambda *args: writes.append(1) or write(*args)
    )

    ask(options, {"get": PLAIN["get"]})

    assert len(writes) == 1


@pytest.mark.parametrize(
    ("status", "told", "answer"),
    [
        ("200 OK", None, b"Content-Length: 5"),
        ("200 OK", "4", b"HTTP/1.1 500 Internal Server Error"),
        ("413 Too Large", "5", b"Connection: close"),
    ],
    ids=["length is added", "length is wrong", "too large"],
)
def test_head_of_the_answer(options, status, told, answer):
    def application(environ, start_response):
        start_response(status, [] if told is None else [("Content-Length", told)])
        return [b"hel", b"lo"]

    with (
        serving(options, application) as (_, address),
        socket.create_connection(address, PATIENCE_S) as client,
    ):
        client.sendall(PLAIN["get"])
        client.shutdown(socket.SHUT_WR)
        lines = client.makefile("rb").read().splitlines()

    assert answer in lines
