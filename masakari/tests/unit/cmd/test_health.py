"""Health checks over HTTP: who is told what."""

import http.client
import json
import socket
import threading

import pytest

from masakari import contacts, metrics
from masakari.clock import SystemClock
from masakari.cmd import health, server
from masakari.errors import ConfigInvalid
from masakari.metrics import Program

TOKEN = "correct-horse"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def vitals(clock):
    return health.Vitals(
        clock, needs=(contacts.DATABASE,), uses=(contacts.NOVA,), likes=(contacts.BUS,)
    )


@pytest.fixture
def ask(vitals):
    """ask(path, headers, …): (status, body) of the endpoint with a token, or with another one."""
    endpoints = []

    def call(path, headers=None, *, token=TOKEN, method="GET"):
        listener = server.listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        endpoint = health.Endpoint(listener, vitals, lambda: ("text/plain", b"a 1\n"), token)
        endpoint.start()
        endpoints.append(endpoint)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    yield call
    for endpoint in endpoints:
        endpoint.close()


def test_program_whose_loops_get_on_is_alive(vitals, ask):
    vitals.pulse.expect("sweep", 30)

    assert ask("/healthz/live") == (200, b'{"status": "ok"}\n')


def test_stalled_loop_is_named_to_those_who_may_know(vitals, clock, ask):
    vitals.pulse.expect("sweep", 30)
    clock.sleep(31)

    assert ask("/healthz/live") == (503, b'{"status": "not ok"}\n')
    status, body = ask("/healthz/live", BEARER)
    assert (status, json.loads(body)) == (503, {"status": "not ok", "stalled": ["sweep"]})
    assert ask("/healthz/live", {"Authorization": "Bearer wrong"})[1] == b'{"status": "not ok"}\n'
    assert ask("/healthz/live", BEARER, token=None)[1] == b'{"status": "not ok"}\n'


def readiness(ask):
    status, body = ask("/healthz/ready", BEARER)
    return status, {c["name"]: (c["ok"], c["detail"]) for c in json.loads(body)["checks"]}


def test_not_ready_before_the_database_has_answered(ask):
    status, checks = readiness(ask)

    assert (status, checks) == (503, {"database": (False, "not asked yet")})
    assert ask("/healthz/ready") == (503, b'{"status": "not ok"}\n')


def test_ready_tells_of_everything(vitals, clock, ask):
    vitals.pulse.expect("sweep", 30)
    vitals.contacts.answered(contacts.DATABASE)
    vitals.contacts.answered(contacts.NOVA)
    vitals.contacts.failed(contacts.BUS, "ConnectionRefusedError")
    vitals.tell = lambda: [health.Check("leases", True, "2 held")]
    clock.sleep(3)
    status, checks = readiness(ask)

    assert status == 200
    assert checks == {
        "thread sweep": (True, "got on 3.0 s ago"),
        "database": (True, "answered 3.0 s ago"),
        "Nova": (True, "answered 3.0 s ago"),
        "bus": (False, "ConnectionRefusedError (never answered)"),
        "leases": (True, "2 held"),
    }


def test_nova_that_answers_no_more_makes_it_not_ready(vitals, clock, ask):
    vitals.contacts.answered(contacts.DATABASE)
    vitals.contacts.answered(contacts.NOVA)
    clock.sleep(5)
    vitals.contacts.failed(contacts.NOVA, "HTTP 503")
    clock.sleep(2)
    status, checks = readiness(ask)

    assert status == 503
    assert checks["Nova"] == (False, "HTTP 503 (answered last 7.0 s ago)")


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [({}, TOKEN, 401), (BEARER, TOKEN, 200), ({}, None, 200)],
    ids=["no token", "token", "none is needed"],
)
def test_metrics_are_for_those_with_the_token_if_there_is_one(ask, headers, token, status):
    answered, body = ask("/metrics", headers, token=token)

    assert answered == status
    assert (body == b"a 1\n") == (status == 200)


def test_other_paths_and_methods_are_refused(ask):
    assert ask("/")[0] == 404
    assert ask("/healthz/live", method="POST")[0] == 501
    assert ask("/healthz/live", method="HEAD") == (200, b"")


def test_callers_who_say_nothing_do_not_keep_others_out_for_ever(vitals):
    listener = server.listen("127.0.0.1", 0)
    address = listener.getsockname()[:2]
    endpoint = health.Endpoint(listener, vitals, lambda: ("text/plain", b""), None)
    endpoint.start()
    silent = [socket.create_connection(address, timeout=30) for _ in range(health.MOST + 4)]

    closed = [s for s in silent[health.MOST :] if s.recv(1) == b""]

    assert len(closed) == 4
    before = threading.active_count()
    for s in silent:
        s.close()
    endpoint.close()
    assert before >= health.MOST


# ---- configuration


@pytest.fixture
def token_file(conf, tmp_path):
    path = tmp_path / "token"
    conf.set_override("token_file", str(path), group="health")
    return path


def test_token_is_the_line_of_the_file(conf, token_file):
    token_file.write_text(f"{TOKEN}\n")
    token_file.chmod(0o640)

    assert health.read_token(conf) == TOKEN


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        (TOKEN, 0o644, "can be read or written by everybody"),
        ("", 0o600, "does not have one line"),
        ("two words", 0o600, "does not have one line"),
        (None, 0o600, "No such file"),
    ],
)
def test_token_file_that_will_not_do_is_refused_without_its_content(
    conf, token_file, text, mode, problem
):
    if text is not None:
        token_file.write_text(text)
        token_file.chmod(mode)

    with pytest.raises(ConfigInvalid, match=problem) as caught:
        health.read_token(conf)
    assert str(caught.value).startswith("[health] token_file")
    assert not text or text not in str(caught.value)


def test_port_in_use_names_the_option(conf):
    with server.listen("127.0.0.1", 0) as taken:
        conf.set_override("engine_port", taken.getsockname()[1], group="health")
        vitals = health.Vitals(SystemClock(), needs=())

        with pytest.raises(ConfigInvalid, match=r"^\[health\] engine_port: cannot listen on 127"):
            health.Watched(conf, vitals, "masakari-engine", (Program.ENGINE,), "engine_port")


def test_without_a_port_nothing_listens_and_nothing_is_counted(conf):
    vitals = health.Vitals(SystemClock(), needs=())
    watched = health.Watched(conf, vitals, "masakari-engine", (Program.ENGINE,), "engine_port")

    assert vitals.meter is metrics.UNMETERED
    watched.close()
