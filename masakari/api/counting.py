"""Requests are counted and measured, whoever answers them."""

from collections.abc import Iterable
from typing import Any

from masakari import metrics
from masakari.api.middleware import Application, Environ, StartResponse, Wrap
from masakari.clock import Clock
from masakari.metrics import Meter

OPERATION = "masakari.operation"
"""Key in the environment: which operation answers, set by who has found it."""
OTHER = "other"


def counting(meter: Meter, clock: Clock) -> Wrap:
    """Tells *meter* of each request, by operation and status."""

    def wrap(application: Application) -> Application:
        def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            began = clock.monotonic()
            statuses: list[str] = []

            def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:  # WSGI
                statuses.append(status[:3])
                return start_response(status, headers, *more)

            body = application(environ, start)
            operation = environ.get(OPERATION, OTHER)
            meter.count(metrics.API_REQUESTS, operation, statuses[-1] if statuses else "500")
            meter.observe(metrics.API_SECONDS, clock.monotonic() - began, operation)
            return body

        return answer

    return wrap
