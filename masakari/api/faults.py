"""From an exception to the JSON body of an error; the only place that knows the envelope."""

import logging
from collections.abc import Iterable
from typing import Any
from urllib import parse

import webob
import webob.exc

from masakari import errors
from masakari.api import jsontext
from masakari.api.middleware import Application, Environ, StartResponse

LOG = logging.getLogger(__name__)

REASON_HEADER = "X-Masakari-Reason"
RETRY_AFTER_S = "5"

_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_OTHER = "masakariFault"
UNEXPECTED = "Unexpected error. The log of the API server tells more about this request."
_OURS = "masakari.fault"
"""Key in the environment of requests that were answered with a `Fault`."""


class Fault(webob.Response):  # type: ignore[misc]  # webob is untyped
    """An error in the envelope; `enveloping` sees that it is ours."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        environ[_OURS] = True
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer


def of(exc: Exception) -> webob.Response:
    """The answer to a request that ended in *exc*; logs what nobody expected."""
    if isinstance(exc, errors.MasakariError) and exc.status != 500:
        if exc.status == 503:  # the log has been told already, once, by the service's `outage`
            LOG.debug("%s %s", exc, exc.details.get("detail", ""))
        response = fault(exc.status, str(exc))
        if exc.reason is not None:
            response.headers[REASON_HEADER] = str(exc.reason)
        return response
    if isinstance(exc, webob.exc.HTTPException):
        response = fault(exc.code, exc.detail or exc.explanation)
        if exc.headers.get("Allow") is not None:
            response.headers["Allow"] = exc.headers["Allow"]
        return response
    LOG.error("unexpected error", exc_info=exc)
    return fault(500, UNEXPECTED)


def fault(status: int, message: str) -> webob.Response:
    """An error in the envelope."""
    content: dict[str, Any] = {"code": status, "message": message}  # JSON
    response = Fault(status=status)
    response.headers["Content-Type"] = "application/json; charset=UTF-8"
    if status == 503:
        response.headers["Retry-After"] = RETRY_AFTER_S
    response.body = jsontext.dumps({name(status): content})
    return response


def name(status: int) -> str:
    """The key of errors with the status."""
    return _NAMES.get(status, _OTHER)


def refusing_other_than_utf8(application: Application) -> Application:
    """Refuses URLs that are not UTF-8; WebOb would raise wherever it first looks at them."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ.get("PATH_INFO", "").encode("latin-1").decode()
            parse.unquote_to_bytes(environ.get("QUERY_STRING", "").encode("latin-1")).decode()
        except UnicodeError:
            refusal: Iterable[bytes] = fault(400, "The URL is not UTF-8")(environ, start_response)
            return refusal
        return application(environ, start_response)

    return answer


def catching_all(application: Application) -> Application:
    """Makes a 500 of whatever escapes, so that the connection stays usable."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except Exception as exc:
            response: Iterable[bytes] = of(exc)(environ, start_response)
            return response

    return answer


NO_KEYSTONE = "Keystone is not available: the token could not be validated"
_OF_LIBRARIES = {
    413: "The body is larger than [oslo_middleware] max_request_body_size allows",
    503: NO_KEYSTONE,
}


def enveloping(application: Application) -> Application:
    """Errors of libraries' middleware (413, 503) also come in our envelope.

    Only the 401 of keystonemiddleware stays as it is: it says where Keystone is.
    """

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        began: list[tuple[Any, ...]] = []  # arguments of start_response
        body = application(environ, lambda *arguments: began.append(arguments))
        status = int(began[0][0][:3])
        if status < 400 or status == 401 or _OURS in environ:
            start_response(*began[0])
            return body
        refusal: Iterable[bytes] = fault(status, _OF_LIBRARIES.get(status, began[0][0]))(
            environ, start_response
        )
        return refusal

    return answer
