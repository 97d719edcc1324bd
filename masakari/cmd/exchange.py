"""A request and its answer.

What nearly all requests are, *plain*, is read and answered here in a few steps.  cheroot's way,
with a function for each line and each header, takes as long as a question to the database; it
remains for all else: chunks, large bodies, `Expect`, escapes in paths, HTTP/1.0, and whatever is
malformed.
"""

import datetime
import email.utils
import functools
import io
import re
import sys
from collections.abc import Iterable
from typing import Any

from cheroot import server as cheroot_server

from masakari.api.middleware import Environ
from masakari.clock import SystemClock

MOST_NAMES = 256
"""Of headers, whose keys in the environment are remembered."""

_LINE = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE) ((/(?:[\w.~-][\w.~/-]*)?)(?:\?([!-\"$-~]*))?) HTTP/1\.1", re.ASCII
)
_HEADER = re.compile(rb"([\w!#$%&'*+.^`|~-]+):[ \t]*([ -~\x80-\xff]*?)[ \t]*", re.ASCII)
_NOT_PLAIN = {"HTTP_EXPECT", "HTTP_TRANSFER_ENCODING", "HTTP_UPGRADE"}
_LENGTH = re.compile(r"[0-9]{1,18}")
_EMPTY_BODIES = ("1", "204", "304")

CLOCK = SystemClock()


class Exchange(cheroot_server.HTTPRequest):  # type: ignore[misc]  # cheroot is untyped
    """A request and its answer."""

    environ: Environ | None = None
    """WSGI's, of a plain request"""

    def parse_request(self) -> None:
        """Read the head, and the body of a plain request."""
        arrived = self.conn.rfile
        head = arrived.head(self.server.max_request_header_size)
        self.environ = None if head is None else self._plain(head)
        if self.environ is None:
            super().parse_request()
            return
        arrived.read(len(head))
        self.environ["wsgi.input"] = io.BytesIO(arrived.read(self._length))
        self.started_request = self.ready = True
        self.response_protocol = "HTTP/1.1"

    def _plain(self, head: bytes) -> Environ | None:
        """The environment of a plain request with the *head*, None of another."""
        line, *headers = head[:-4].split(b"\r\n")
        asked = _LINE.fullmatch(line)
        if asked is None:
            return None
        found: Environ = {}
        for header in headers:
            parts = _HEADER.fullmatch(header)
            if parts is None or (key := _key(parts[1])) in found:
                return None
            found[key] = parts[2].decode("latin-1")
        length = found.get("CONTENT_LENGTH", "0")
        if not _NOT_PLAIN.isdisjoint(found) or not _LENGTH.fullmatch(length):
            return None
        self._length = int(length)
        if len(head) + self._length > len(self.conn.rfile):
            return None
        self.method = asked[1]
        self.close_connection = found.get("HTTP_CONNECTION") == "close"
        method, uri, path, query = (part.decode() for part in asked.groups(b""))
        return {
            **self.conn.environ,
            "REQUEST_METHOD": method,
            "REQUEST_URI": uri,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            **found,
        }

    def respond(self) -> None:
        """Answer."""
        if self.environ is not None:
            self._answer(self.environ)
            return
        super().respond()
        # what is left of a chunked body must not be taken for the next request
        if self.chunked_read and not self.rfile.closed:
            self.close_connection = True

    def _answer(self, environ: Environ) -> None:
        """All of it is sent at once."""
        began: tuple[str, list[tuple[str, str]]] = "", []
        chunks: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> Any:  # WSGI
            nonlocal began
            began = status, headers
            return chunks.append

        answered: Iterable[bytes] = self.server.wsgi_app(environ, start_response)
        try:
            chunks += answered
        finally:
            if hasattr(answered, "close"):
                answered.close()
        body = b"".join(chunks)
        self.conn.wfile.write(self._head(*began, len(body)) + body)
        self.sent_headers = True

    def _head(self, status: str, headers: list[tuple[str, str]], length: int) -> bytes:
        """Of the answer; what HTTP asks for besides is added."""
        lines = [f"HTTP/1.1 {status}"]
        told = None
        for name, value in headers:
            lines.append(f"{name}: {value}")
            if name.lower() == "content-length":
                told = int(value)
        is_head = self.method == b"HEAD"
        if told is None and not is_head and not status.startswith(_EMPTY_BODIES):
            lines.append(f"Content-Length: {length}")
        elif told is not None and not is_head and told != length:
            raise ValueError(f"an answer of {length} bytes says that it has {told}")
        if status.startswith("413") or not self.server.can_add_keepalive_connection:
            self.close_connection = True
        if self.close_connection:
            lines.append("Connection: close")
        lines += (
            f"Date: {_date(CLOCK.now().replace(microsecond=0))}",
            f"Server: {self.server.server_name}",
            "",
            "",
        )
        return "\r\n".join(lines).encode("latin-1")


@functools.lru_cache(maxsize=MOST_NAMES)
def _key(name: bytes) -> str:
    """In the environment, for the header."""
    key = name.decode().upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


@functools.lru_cache(maxsize=1)
def _date(second: datetime.datetime) -> str:
    return email.utils.format_datetime(second.replace(tzinfo=datetime.UTC), usegmt=True)


def of_connection(server: Any, conn: Any) -> Environ:  # cheroot's, untyped
    """What the environments of all its requests have in common."""
    return {
        "ACTUAL_SERVER_PROTOCOL": server.protocol,
        "REMOTE_ADDR": conn.remote_addr or "",
        "REMOTE_PORT": str(conn.remote_port or ""),
        "SCRIPT_NAME": "",
        "SERVER_NAME": server.server_name,
        "SERVER_PORT": str(server.bind_addr[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": server.software,
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": False,
        "wsgi.multiprocess": False,
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.url_scheme": "http" if server.ssl_adapter is None else "https",
        "wsgi.version": (1, 0),
        **conn.ssl_env,
    }
