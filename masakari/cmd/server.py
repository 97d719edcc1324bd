"""The HTTP server of masakari-api and masakari-standalone: cheroot, made for many processes."""

import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from cheroot import wsgi
from cheroot.workers import threadpool
from oslo_config import cfg
from oslo_log import log

from masakari.cmd import connections, tls
from masakari.cmd.work import Work
from masakari.errors import Unusable

LOG = log.getLogger(__name__)

BACKLOG = 128
LARGEST_BODY = 16 * 1024 * 1024
"""A larger body ends the connection; the API's own limit, far below, is answered politely."""
FOREVER_S = 365 * 86400


def listen(
    host: str,
    port: int,
    *,
    keepidle_s: int | None = None,
    option: tuple[str, str] = ("DEFAULT", "masakari_api_listen"),
) -> socket.socket:
    """A listening socket.  Raises Unusable, with the group and name of the *option*.

    The other side of a connection that is silent for *keepidle_s* is asked whether it is there.
    """
    listener = _listen(host, port, option)
    if keepidle_s is not None:  # connections inherit it
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepidle_s)
    return listener


def _listen(host: str, port: int, option: tuple[str, str]) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(
            address[:2],  # type: ignore[arg-type]  # typeshed: a host may be an int
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as e:
        raise Unusable(
            group=option[0],
            option=option[1],
            problem=f"cannot listen on {host} port {port}: {_reason(e)}",
        ) from e
    # connections inherit it: a body waits 40 ms behind its headers otherwise, for the client's ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _reason(error: OSError) -> str:
    """What the system says, without the address that Python adds to it."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror or error)
    return os.strerror(error.errno)


class Server(wsgi.Server):  # type: ignore[misc]  # cheroot is untyped
    """Serves one application on a socket that listens already and may be shared by processes.

    `serve_forever` returns after `stop`, which waits for requests in flight.
    """

    ConnectionClass = connections.Connection

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        application: Callable[..., Any],  # WSGI
        listener: socket.socket,
        adapter: tls.Adapter | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Accept from *listener*, encrypted as *adapter* does.

        *beat* is called by the threads that serve, again and again, as long as they get on.
        """
        super().__init__(
            listener.getsockname()[:2],
            application,
            numthreads=conf.masakari_api_threads,
            request_queue_size=BACKLOG,
            timeout=conf.wsgi.client_socket_timeout or FOREVER_S,
            shutdown_timeout=conf.graceful_shutdown_timeout or FOREVER_S,
        )
        self.ssl_adapter = adapter
        self.max_request_header_size = conf.wsgi.max_header_line
        self.max_request_body_size = LARGEST_BODY
        self.software = self.server_name = "masakari"
        # cheroot's default is 10, whoever they are
        self.keep_alive_conn_limit = connections.MOST if conf.wsgi.keep_alive else 0
        self.request_timeout_s = conf.wsgi.client_request_timeout or FOREVER_S
        self._listener = listener
        ends = threadpool._SHUTDOWNREQUEST  # type: ignore[attr-defined]
        self._work: Work[connections.Connection] = Work(connections.CLOCK, ends)
        self.requests._queue = self._work
        self.requests.get = self._work.get
        self._progress = connections.Progress(beat)

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
        """The socket that is there."""
        self.socket = self._listener
        return self._listener

    def serve_forever(self) -> None:
        """Serve until `stop` is called."""
        self.get_ready()
        self.serve_prepared()

    def get_ready(self) -> None:
        """From now on `stop` is heard."""
        self.prepare()
        self._connections.close()  # type: ignore[has-type]  # made by prepare
        self._connections = connections.Connections(self, self._work)
        # of several processes that see a connection only one gets it: the others must not wait
        self.socket.settimeout(0)

    def serve_prepared(self) -> None:
        """Serve until `stop` is called, or was."""
        self.serve()

    def stop(self) -> None:
        """Accept nothing new, and return when all requests have been answered."""
        was_ready = self.ready
        super().stop()
        if was_ready:
            self._work.close()

    def show_progress(self) -> None:
        """A thread that serves says that it gets on, as soon as one is free."""
        if self._progress.may_go():
            self.requests.put(self._progress)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """To our log; what clients do wrong is not worth more than DEBUG."""
        LOG.log(level if level >= logging.ERROR else logging.DEBUG, "%s", msg, exc_info=traceback)
