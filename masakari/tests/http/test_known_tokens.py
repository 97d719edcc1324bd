"""The shortcut past keystonemiddleware says what keystonemiddleware says."""

import datetime

import pytest
import webob

from masakari.api import known_tokens
from masakari.api.known_tokens import HEADERS, REMEMBERED_S, KnownTokens
from masakari.tests.unit.db.clocks import ManualClock

FORGED = {name: "forged" for name in HEADERS}


class Library:
    """Stands where keystonemiddleware does: knows one token, and counts how often it is asked."""

    def __init__(self, application, clock, **token):
        self.application, self.asked = application, 0
        in_an_hour = clock.now() + datetime.timedelta(seconds=3600)
        self.token = {"expires_at": in_an_hour.isoformat() + "Z"} | token

    def __call__(self, environ, start_response):
        self.asked += 1
        for name in HEADERS:
            environ.pop(name, None)
        environ["HTTP_X_USER_ID"] = "alice"
        environ[known_tokens.INFO] = {"token": self.token}
        return self.application(environ, start_response)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make(clock):
    """Makes the shortcut around a token; returns (ask, the library)."""

    def make(**token):
        made = []

        def behind(application):
            made.append(Library(application, clock, **token))
            return made[0]

        shortcut = KnownTokens(seen, behind, clock)

        def ask(**environ):
            request = webob.Request.blank("/", environ={"HTTP_X_AUTH_TOKEN": "t"} | environ)
            return request.get_response(shortcut).json

        return ask, made[0]

    return make


@webob.dec.wsgify
def seen(request):
    return webob.Response(json={n: v for n, v in request.environ.items() if n in HEADERS})


def test_known_token_is_not_examined_again_and_forged_headers_go(make):
    ask, library = make()

    assert ask() == ask(**FORGED) == {"HTTP_X_USER_ID": "alice"}
    assert library.asked == 1


def test_token_is_examined_again_after_a_second(make, clock):
    ask, library = make()
    ask()

    clock.advance(REMEMBERED_S)
    ask()

    assert library.asked == 2


def test_other_token_is_examined(make):
    ask, library = make()
    ask()
    ask(HTTP_X_AUTH_TOKEN="other")

    assert library.asked == 2


@pytest.mark.parametrize(
    "token", [{"application_credential": {"id": "c"}}, {"bind": {"kerberos": "alice"}}]
)
def test_token_whose_use_is_restricted_is_always_examined(make, token):
    ask, library = make(**token)
    ask()
    ask()

    assert library.asked == 2


def test_request_of_a_service_is_always_examined(make):
    ask, library = make()
    ask()
    ask(HTTP_X_SERVICE_TOKEN="s")
    ask(HTTP_X_SERVICE_TOKEN="s")

    assert library.asked == 3


def test_token_that_ends_within_the_second_is_examined(make, clock):
    soon = clock.now() + datetime.timedelta(seconds=REMEMBERED_S)
    ask, library = make(expires_at=soon.isoformat() + "Z")
    ask()
    ask()

    assert library.asked == 2


def test_what_is_remembered_is_limited(make, monkeypatch):
    monkeypatch.setattr(known_tokens, "MOST", 2)
    ask, library = make()
    for token in "abc":
        ask(HTTP_X_AUTH_TOKEN=token)

    ask(HTTP_X_AUTH_TOKEN="c")
    ask(HTTP_X_AUTH_TOKEN="a")

    assert library.asked == 4
