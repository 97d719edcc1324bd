"""What our middleware has in common, and the types of WSGI."""

import abc
from collections.abc import Callable, Iterable
from typing import Any

import webob

Environ = dict[str, Any]  # WSGI: values of every kind
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class Endpoint(abc.ABC):
    """A WSGI application whose `answer` sees requests and gives responses."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        answer: Iterable[bytes] = self.answer(webob.Request(environ))(environ, start_response)
        return answer

    @abc.abstractmethod
    def answer(self, http: webob.Request) -> webob.Response:
        """The response."""


class Middleware(Endpoint):
    """An application around another one."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def pass_on(self, http: webob.Request) -> webob.Response:
        """The response of the application inside."""
        return http.get_response(self._application)
