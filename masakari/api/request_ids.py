"""Request ids, as oslo.middleware gives them, without copying request and response."""

import re
from collections.abc import Iterable
from typing import Any

from oslo_context import context
from oslo_middleware import request_id as oslo

from masakari.api.middleware import Application, Environ, StartResponse

_HEADER = oslo.HTTP_RESP_HEADER_REQUEST_ID
_INBOUND = "HTTP_" + oslo.INBOUND_HEADER.upper().replace("-", "_")
_GLOBAL = re.compile(oslo.ID_FORMAT)


def numbering(application: Application) -> Application:
    """Gives each request an id, which answer and log show, and takes over the caller's."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if _GLOBAL.match(environ.get(_INBOUND, "")):
            environ[oslo.GLOBAL_REQ_ID] = environ[_INBOUND]
        environ[oslo.ENV_REQUEST_ID] = request_id = context.generate_request_id()

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:  # WSGI
            return start_response(status, [*headers, (_HEADER, request_id)], *more)

        return application(environ, start)

    return answer
