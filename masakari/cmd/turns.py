"""Few requests of a process at a time, since Python runs one thread at a time anyway.

Threads that want to run take the interpreter from one another at each answer of the database, and
each change costs as much as a tenth of a small request.  Those that wait for their turn do not.
"""

import threading
from collections.abc import Iterable

from masakari.api.middleware import Application, Environ, StartResponse

AT_A_TIME = 2
"""While one waits for the database, the other runs."""
PATIENCE_S = 0.1
"""Whoever has waited so long begins anyway: those before may wait for a database that is away."""


class Turns:
    """A WSGI application; its requests take turns."""

    def __init__(self, application: Application) -> None:
        """Pass on to *application*."""
        self._application = application
        self._places = threading.Semaphore(AT_A_TIME)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        has_place = self._places.acquire(timeout=PATIENCE_S)
        try:
            return self._application(environ, start_response)
        finally:
            if has_place:
                self._places.release()
