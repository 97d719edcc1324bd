"""Our HTTP server on a port of its own, in a thread of the test."""

import contextlib
import threading

from masakari.clock import SystemClock, wait_until
from masakari.cmd import server as server_module

PATIENCE_S = 20


@contextlib.contextmanager
def serving(options, application, **kwargs):
    """A server on a port of its own, in a thread."""
    listener = server_module.listen("127.0.0.1", 0)
    server = server_module.Server(options, application, listener, **kwargs)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert wait_until(SystemClock(), lambda: server.ready, PATIENCE_S, 0.01)
    try:
        yield server, listener.getsockname()
    finally:
        server.stop()
        thread.join(PATIENCE_S)
        listener.close()
