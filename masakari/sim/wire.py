"""HTTP/1.1, as much of it as Keystone's and Nova's clients need: one thread per connection.

Connections stay open, answers leave at once (TCP_NODELAY); there is no TLS and no chunked answer.
"""

import contextlib
import json
import logging
import socket
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, BinaryIO

LOG = logging.getLogger(__name__)

Json = Any  # Any: documents are what json makes of them


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case, paths without a trailing slash."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """The body; {} if there is none.  Raises ValueError."""
        return json.loads(self.body) if self.body else {}


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; with status 0 the connection is cut instead."""

    status: int
    document: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    """The body, where it is not the document."""


Handler = Callable[[Request], Response]


class WireServer:
    """Serves *handler* on a TCP port until `stop`."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._stopping = False
        self._listener = socket.create_server((host, port), backlog=1024)
        self.host, self.port = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, name="sim-http", daemon=True)

    @property
    def url(self) -> str:
        """Where it is found."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """The port is closed and so are all connections."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.is_alive():
            self._thread.join()
        self.cut_connections()

    def cut_connections(self) -> None:
        """Clients that are connected have to connect again."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._stopping:
                    return
                raise
            threading.Thread(
                target=self._serve, args=(connection,), name="sim-http-connection", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer one request after the other until the client has gone."""
        with self._lock:
            self._open.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as stream:
                while not self._stopping:
                    request = _read(stream)
                    if request is None:
                        return
                    response = self._answer(request)
                    if not response.status:
                        return
                    connection.sendall(_render(request, response))
        except (OSError, ValueError) as error:
            LOG.debug("connection ended: %s", error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _answer(self, request: Request) -> Response:
        try:
            return self._handler(request)
        except Exception:
            LOG.exception("%s %s failed", request.method, request.path)
            return Response(500, {"simulatorDefect": {"code": 500, "message": "see its log"}})


def _read(stream: BinaryIO) -> Request | None:
    """The next request, or None when there is none any more.  Raises ValueError."""
    line = stream.readline(65536)
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while (line := stream.readline(65536)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _read_chunks(stream)
    else:
        body = stream.read(int(headers.get("content-length") or 0))
    url = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    path = urllib.parse.unquote(url.path).rstrip("/") or "/"
    return Request(method, path, query, headers, body)


def _read_chunks(stream: BinaryIO) -> bytes:
    body = b""
    while size := int(stream.readline(1024).split(b";")[0], 16):
        body += stream.read(size)
        stream.readline(8)
    stream.readline(8)
    return body


def _render(request: Request, response: Response) -> bytes:
    body = (response.text or "").encode()
    if response.document is not None:
        body = json.dumps(response.document, separators=(",", ":")).encode()
    head = {
        "Content-Length": str(len(body)),
        "x-openstack-request-id": f"req-{uuid.uuid4()}",
        **({"Content-Type": "application/json"} if body else {}),
        **response.headers,
    }
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    text = "\r\n".join(lines) + "\r\n\r\n"
    return text.encode("latin-1") + (b"" if request.method == "HEAD" else body)
