"""What our middleware has in common, and the types of WSGI."""

import abc
from collections.abc import Callable, Iterable
from typing import Any

import webob

Environ = dict[str, Any]  # WSGI: values of every kind
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class HttpRequest(webob.Request):
    """A request whose body stays in memory: it has a limit, and a temporary file would be left."""

    request_body_tempfile_limit = 1 << 40


class Endpoint(abc.ABC):
    """A WSGI application whose `answer` sees requests and gives responses."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        answer: Iterable[bytes] = self.answer(HttpRequest(environ))(environ, start_response)
        return answer

    @abc.abstractmethod
    def answer(self, http: webob.Request) -> webob.Response:
        """The response."""


class Middleware(abc.ABC):
    """An application around another one, which may answer in its place."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        response = self.answer(HttpRequest(environ))
        chosen: Application = self._application if response is None else response
        return chosen(environ, start_response)

    @abc.abstractmethod
    def answer(self, http: webob.Request) -> webob.Response | None:
        """The response, or None: the application inside answers."""


Wrap = Callable[[Application], Application]


def where(concerns: Callable[[Environ], object], wrap: Wrap) -> Wrap:
    """Only requests that it *concerns* go through the middleware that *wrap* makes.

    A library's middleware costs each request about as much as reading ten rows.
    """

    def make(application: Application) -> Application:
        wrapped = wrap(application)

        def choose(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            chosen = wrapped if concerns(environ) else application
            return chosen(environ, start_response)

        return choose

    return make
