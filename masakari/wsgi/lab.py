"""masakari-wsgi on a command line: the application on a small server, to try it out."""

import argparse
import contextlib
import signal
import socketserver
import sys
import wsgiref.simple_server
from collections.abc import Sequence

from masakari.wsgi.api import CONFIG_DIR, DEFAULT_CONFIG_DIR, application


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """A thread for each connection."""

    daemon_threads = True


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 1 if that cannot be done."""
    wanted = _arguments(argv)
    try:
        server = wsgiref.simple_server.make_server(wanted.host, wanted.port, application, Server)
    except OSError as e:
        sys.stderr.write(
            f"masakari-wsgi: cannot listen on {wanted.host} port {wanted.port}: {e.strerror}\n"
        )
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server, contextlib.suppress(KeyboardInterrupt):
        print(
            f"http://{wanted.host}:{server.server_port}/ (for tests only; "
            "in production a WSGI server loads this file, or masakari-api runs)",
            flush=True,
        )
        server.serve_forever()
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="masakari-wsgi",
        description="Serves Masakari's API, for tests only. Its configuration is masakari.conf in "
        f"the directory that {CONFIG_DIR} names, or in {DEFAULT_CONFIG_DIR}.",
    )
    parser.add_argument("--port", "-p", type=int, default=8000, help="(%(default)s)")
    parser.add_argument("--host", "-b", default="", metavar="IP", help="default: all addresses")
    return parser.parse_args(argv)
