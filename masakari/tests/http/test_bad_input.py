"""What clients send wrongly, out of malice or by accident, over real connections."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import shutil
import socket

import pytest
from oslo_service import opts as service_opts

from masakari.api.app import make_app
from masakari.clock import SystemClock, wait_until
from masakari.db import progress, session
from masakari.sim.clock import SimClock
from masakari.sim.cloud import SimCloud
from masakari.tests.conftest import new_conf
from masakari.tests.http.client import Answer, check
from masakari.tests.http.serving import PATIENCE_S, serving

TOKEN = "X-Auth-Token: admin:0123456789abcdef0123456789abcdef\r\n"
SEGMENT = {"name": "rack1", "recovery_method": "auto", "service_type": "COMPUTE"}
SMALL = json.dumps({"segment": SEGMENT}).encode()
LARGE = 10 * 1024 * 1024


def patient(conf, timeout_s=1.0):
    """*conf* with two threads, and so many seconds for a request."""
    conf.set_override("auth_strategy", "noauth2")
    conf.set_override("masakari_api_threads", 2)
    conf.set_override("client_request_timeout", timeout_s, "wsgi")
    return conf


@pytest.fixture(scope="module")
def server(tmp_path_factory, sqlite_template):
    """An API on a real server, the same for most tests."""
    directory = tmp_path_factory.mktemp("api")
    shutil.copy(sqlite_template, directory / "masakari.sqlite")
    conf = patient(new_conf(directory))
    service_opts.register_service_opts(conf)
    with SimClock() as clock, contextlib.ExitStack() as stack:
        database = session.connect(conf, clock)
        stack.callback(database.dispose)
        books = progress.connect(conf)
        stack.callback(books.close)
        application = make_app(
            conf, database=database, progress=books, cloud=SimCloud(clock), engine=None
        )
        with serving(conf, application) as (_, where):
            yield where


@pytest.fixture
def address(server):
    """Where it listens; afterwards it answers, and has stored nothing of all that."""
    yield server
    listed = exchange(server, request("GET"))
    assert (listed.status, listed.json["segments"]) == (200, [])


@pytest.fixture
def settings(options):
    return patient(options)


def request(method="POST", path="/v1/segments", body=b"", headers="", length=None):
    """A request as bytes."""
    target = path if isinstance(path, bytes) else path.encode()
    size = (
        f"Content-Length: {len(body) if length is None else length}\r\n" if method != "GET" else ""
    )
    head = f" HTTP/1.1\r\nHost: h\r\n{TOKEN}{headers}{size}\r\n"
    return method.encode() + b" " + target + head.encode("latin-1") + body


def answer_on(connection):
    """The next answer, None if the connection is closed instead."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        text = response.read().decode()
    except (ConnectionError, http.client.BadStatusLine):
        return None
    finally:
        response.close()
    answer = Answer(response.status, dict(response.headers), text)
    check(answer)
    return answer


def everything_on(connection):
    """All bytes until the server closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def exchange(address, data):
    """What is answered to the bytes."""
    with socket.create_connection(address, PATIENCE_S) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        return answer_on(connection)


def is_refused(answer, *statuses):
    return answer is None or answer.status in (statuses or range(400, 500))


# ---- bodies


def post(address, body, headers=""):
    return exchange(address, request(body=body, headers=headers))


def segment(**changes):
    return json.dumps({"segment": SEGMENT | changes}).encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\xff\xfe{}", "byte 0 is not UTF-8"),
        (SMALL.replace(b"rack1", b"rack\xe9"), "is not UTF-8"),
        (SMALL.decode().encode("utf-16"), "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 20_000, "nested too deeply"),
        (b'{"segment": {"name": "a", "name": "b"}}', "'name' is there more than once"),
        (b'{"segment": {}, "segment": {}}', "'segment' is there more than once"),
        (SMALL.replace(b'"rack1"', b"NaN"), "NaN is no number"),
        (SMALL.replace(b'"rack1"', b"-Infinity"), "-Infinity is no number"),
        (SMALL.replace(b'"rack1"', b"9" * 5000), "more than 32 digits"),
        (SMALL.replace(b'"rack1"', b"-" + b"9" * 30), "name: is number"),
        (SMALL.replace(b'"rack1"', b"1e999"), "name: is number"),
        (SMALL.replace(b"rack1", b"rack\\u0000"), "segment.name"),
        (SMALL.replace(b"rack1", b"rack\x00"), "not JSON"),
        (SMALL.replace(b"rack1", b"\\ud800"), "segment.name"),
        (segment(name="r\U0001f600"), "U+1F600"),
        (SMALL.replace(b"rack1", "r\U0001f600".encode()), "U+1F600"),
        (segment(description="\U0001f600"), "U+1F600"),
        (segment(name=None), "name: is null"),
        (segment(recovery_method=None), "recovery_method: "),
        (segment(recovery_method="AUTO"), "'AUTO' is not one of"),
        (segment(recovery_method=["auto"]), "recovery_method: "),
        (segment(name={"$ne": 1}), "name: is object"),
        (segment(name="x" * 256), "longer than 255"),
        (segment(service_type=""), "service_type: is empty"),
        (b'"segment"', "body: is string"),
        (b"[]", "body: is array"),
        (b"null", "body: is null"),
        (b"true false", "not JSON"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_body_that_is_wrong_is_a_bad_request(address, body, said):
    answer = post(address, body)

    assert (answer.status, answer.error[0]) == (400, "badRequest")
    assert said in answer.error[1]
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    "kind", ["text/html", "multipart/form-data; boundary=x", "application/x", "\xe9"]
)
def test_content_type_that_is_wrong_is_not_supported(address, kind):
    answer = post(address, SMALL, headers=f"Content-Type: {kind}\r\n")

    assert (answer.status, answer.error[0]) == (415, "badMediaType")


def chunked(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked\r\n"


def post_chunked(address, raw):
    return exchange(
        address, request("POST", headers=CHUNKED, body=raw).replace(b"Content-Length", b"X")
    )


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"], ids=["", "expect"])
def test_body_of_ten_megabytes_is_too_large(address, expect):
    data = request(body=b"x" * LARGE, headers=expect)
    with socket.create_connection(address, PATIENCE_S) as connection:
        connection.sendall(data)
        answer = answer_on(connection)

    assert (answer.status, answer.error[0]) == (413, "overLimit")


def test_ten_megabytes_in_chunks_are_too_large(address):
    answer = post_chunked(address, chunked(*[b"x" * 65536] * (LARGE // 65536)))

    assert (answer.status, answer.error[0]) == (413, "overLimit")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 30, "0x10", "+5", "5, 6"])
def test_length_that_is_none_is_refused(address, length):
    assert is_refused(exchange(address, request(body=SMALL, length=length)))


@pytest.mark.parametrize(
    "raw", [b"zz\r\n" + SMALL, b"-5\r\nhello\r\n0\r\n\r\n", b"ffffffffff\r\nx\r\n0\r\n\r\n"]
)
def test_chunks_that_are_none_are_refused(address, raw):
    assert is_refused(post_chunked(address, raw))


@pytest.mark.parametrize("sent", [b"", SMALL[:20]])
@pytest.mark.parametrize("headers", ["", CHUNKED])
def test_body_that_ends_early_is_refused(address, sent, headers):
    data = request(body=sent, headers=headers, length=len(SMALL))
    if headers:
        data = data.replace(b"Content-Length", b"X") + b"%x\r\n" % len(SMALL) + SMALL[:20]
    with socket.create_connection(address, PATIENCE_S) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

        assert is_refused(answer_on(connection))


# ---- the line and the headers


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/segments/\xff\xfe",
        b"/v1/segments/%ff",
        b"/v1/segments?name=%ff",
        b"/v1/segments?limit=\xff",
        b"/v1/segments/%00",
        "/v1/segments/\U0001f600",
        "/v1/segments?limit=x",
        "/v1/segments?limit=-1",
        "/v1/segments?name=x;limit=-1",  # as WebOb separates parameters
        "/v1/segments?marker=%00",
        "/v1/segments?marker=" + "9" * 400,
        "/v1/segments?marker=%F0%9F%98%80",
        "/v1/segments?sort_key=__class__",
        "/v1/segments?sort_key=id%3BDROP%20TABLE%20hosts",
        "/v1/segments?sort_dir=up",
        "/v1/segments?enabled=perhaps",
        "/v1/notifications?generated-since=now",
        "/v1/notifications?generated-since=%00",
        "/v1/" + "x" * 10_000,
        "/v1/segments?" + "x" * 100_000,
        "/v1/segments/../../etc/passwd",
        "/v1/segments#there",
        "v1/segments",
        "http://elsewhere/v1/segments",
        "/v1/segments /v1",
    ],
    ids=lambda path: repr(path)[:40],
)
def test_url_that_is_wrong_is_refused(address, path):
    answer = exchange(address, request("GET", path))

    assert is_refused(answer)
    assert answer is not None
    assert len(answer.text) < 1000


@pytest.mark.parametrize("limit", ["9" * 18, "9" * 400, "2147483648", "00001000000"])
def test_huge_limit_is_the_largest(address, limit):
    assert exchange(address, request("GET", f"/v1/segments?limit={limit}")).status == 200


@pytest.mark.parametrize(
    "query",
    ["status=perhaps", "type=VMs", "source_host_uuid=%F0%9F%98%80", "status=%27%20OR%201%3D1"],
)
def test_unknown_word_in_a_filter_finds_nothing(address, query):
    answer = exchange(address, request("GET", f"/v1/notifications?{query}"))

    assert (answer.status, answer.json["notifications"]) == (200, [])


@pytest.mark.parametrize(
    "headers",
    [
        "X-Long: " + "x" * 20_000 + "\r\n",
        "".join(f"X-{n}: y\r\n" for n in range(5000)),
        "OpenStack-API-Version: instance-ha " + "9" * 3000 + ".1\r\n",
        "OpenStack-API-Version: instance-ha \xff\r\n",
        "OpenStack-API-Version: instance-ha 1.99\r\n",
        "no colon\r\n",
    ],
    ids=lambda headers: headers[:20],
)
def test_headers_that_are_wrong_are_refused(address, headers):
    assert is_refused(exchange(address, request("GET", headers=headers)))


@pytest.mark.parametrize(
    "headers",
    [
        "X-Forwarded-For: \xff, <script>\r\n",
        "X-Openstack-Request-Id: " + "x" * 9000 + "\r\n",
        "Accept: \xff/*;q=nan\r\n",
        "X-Auth-Token: \xff:\xff\r\n",
        "Host: \xff\r\n",
        "Origin: http://evil\r\n",
        " : \r\n",
    ],
)
def test_headers_that_are_odd_do_no_harm(address, headers):
    answer = exchange(address, request("GET", "/v1/segments", headers=headers))

    assert answer is None or answer.status in (200, 400, 401)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / SPDY/1\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\n\n",
        b"\x00" * 20_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda data: repr(data)[:20],
)
def test_what_is_no_http_is_refused_or_cut_off(address, data):
    assert is_refused(exchange(address, data), 400, 408, 414, 505)


def test_body_that_is_not_read_is_no_request(address):
    data = request("POST", "/v1/nowhere", headers=CHUNKED).replace(b"Content-Length", b"X")
    with socket.create_connection(address, PATIENCE_S) as connection:
        connection.sendall(data + chunked(request(body=SMALL)))

        assert everything_on(connection).count(b"HTTP/1.1 ") == 1


# ---- slowness


HELD = {
    "nothing": b"",
    "half a line": b"GET /v1/seg",
    "half the headers": b"POST /v1/segments HTTP/1.1\r\nHost: h\r\nX-",
    "half a body": request(body=SMALL[:20], length=len(SMALL)),
    "half a chunk": request(headers=CHUNKED, body=b"5\r\nhe").replace(b"Content-Length", b"X"),
}


@pytest.mark.parametrize("begun", HELD.values(), ids=HELD)
def test_others_are_served_while_many_are_slow(address, begun):
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(address, PATIENCE_S)) for _ in range(30)
        ]
        for connection in slow:
            connection.sendall(begun)

        for _ in range(3):
            assert exchange(address, request("GET")).status == 200
        for connection in slow[:3] if begun else []:
            assert is_refused(answer_on(connection), 408)


@pytest.mark.parametrize("begun", ["half the headers", "half a body", "half a chunk"])
def test_client_that_sends_a_byte_now_and_then_is_cut_off(address, begun):
    with socket.create_connection(address, PATIENCE_S) as connection:
        connection.sendall(HELD[begun])

        def is_cut_off():
            try:
                connection.sendall(b"x")
                connection.settimeout(0.05)
                return b" 408 " in connection.recv(1000)
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        assert wait_until(SystemClock(), is_cut_off, PATIENCE_S, 0.05)


def test_request_that_drips_in_in_time_is_served(settings, api):
    settings.set_override("client_request_timeout", 20.0, "wsgi")
    data = request(body=SMALL)
    with (
        serving(settings, api.application) as (_, where),
        socket.create_connection(where, PATIENCE_S) as connection,
    ):
        for byte in data:
            connection.sendall(bytes([byte]))

        assert answer_on(connection).status == 201


def test_requests_sent_at_once_are_answered_in_order(address):
    last = request("GET", "/", headers="Connection: close\r\n")
    with socket.create_connection(address, PATIENCE_S) as connection:
        connection.sendall(request("GET") + request("GET", "/v1/nowhere") + last)

        statuses = re.findall(rb"HTTP/1.1 (\d+)", everything_on(connection))
        assert statuses == [b"200", b"404", b"200"]


def test_answer_that_nobody_takes_holds_no_thread_for_long(settings, api):
    for number in range(40):
        api.segment(f"rack{number}", description="x" * 60_000)
    with serving(settings, api.application) as (_, where), contextlib.ExitStack() as stack:
        for _ in range(3):
            greedy = stack.enter_context(socket.create_connection(where, PATIENCE_S))
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.sendall(request("GET"))

        assert exchange(where, request("GET", "/")).status == 200


def test_five_hundred_idle_connections_delay_nobody(address):
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(address, PATIENCE_S)) for _ in range(500)
        ]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(exchange, address, request("GET")) for _ in range(40)]
            assert {call.result(PATIENCE_S).status for call in calls} == {200}

        idle[0].sendall(request("GET"))
        assert answer_on(idle[0]).status == 200


def test_who_is_idle_longest_makes_room(settings, api, monkeypatch):
    monkeypatch.setattr("masakari.cmd.connections.MOST", 5)
    with serving(settings, api.application) as (_, where), contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(where, PATIENCE_S)) for _ in range(7)]

        assert exchange(where, request("GET")).status == 200
        assert idle[0].recv(1) == b""
        idle[-1].sendall(request("GET"))
        assert answer_on(idle[-1]).status == 200
