import concurrent.futures
import threading

import pytest

from masakari.cmd import turns
from masakari.cmd.turns import AT_A_TIME, Turns

MANY = AT_A_TIME + 3


class Application:
    """Keeps its requests until *meet* of them have met inside."""

    def __init__(self, meet):
        self._meeting = threading.Barrier(meet)
        self._lock = threading.Lock()
        self._inside = self.most = 0

    def __call__(self, environ, start_response):
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        self._meeting.wait(30)
        with self._lock:
            self._inside -= 1
        if environ.get("fails"):
            raise ValueError
        return [b"done"]


def ask(application, *environs):
    with concurrent.futures.ThreadPoolExecutor(len(environs)) as pool:
        return [pool.submit(Turns.__call__, application, e, None) for e in environs]


def test_few_requests_run_at_a_time(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_S", 60)
    application = Application(meet=AT_A_TIME)

    asked = ask(Turns(application), *[{}] * (2 * AT_A_TIME))

    assert [f.result() for f in asked] == [[b"done"]] * 2 * AT_A_TIME
    assert application.most == AT_A_TIME


def test_nobody_waits_long_behind_those_that_wait_themselves(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_S", 0.01)
    application = Application(meet=MANY)

    asked = ask(Turns(application), *[{}] * MANY)

    assert [f.result() for f in asked] == [[b"done"]] * MANY


def test_place_of_a_request_that_fails_is_free_again(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_S", 60)
    gate = Turns(Application(meet=1))
    for failed in ask(gate, *[{"fails": True}] * MANY):
        with pytest.raises(ValueError):
            failed.result()

    assert [f.result() for f in ask(gate, {})] == [[b"done"]]
