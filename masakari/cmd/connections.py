"""Connections of the HTTP server: a request gets a thread when it is there, not while it drips in.

What cheroot reads in a thread of the request, bytes that a client may send one a second, is
collected here by whoever looks for work.
"""

import contextlib
import functools
import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from cheroot import connections as cheroot_connections
from cheroot import server as cheroot_server

from masakari.api.middleware import Environ
from masakari.clock import SystemClock
from masakari.cmd import exchange
from masakari.cmd.work import PATIENCE_S, Work

CHUNK = 65536
COLLECTED = 128 * 1024
"""Bytes of a body that are collected; the rest of a larger one is read, or refused, in a thread."""
LINGER_S = 5.0
"""How long a client may go on sending what is not read any more, to see why."""
GRACE_S = 1.0
"""How long a connection that is new when the server stops may take to send its request."""
MOST = 700
"""Connections of a process; who is idle longest makes room."""
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:.*chunked")
_EXPECTS = re.compile(rb"(?im)^expect:")
_LAST_CHUNK = b"0\r\n\r\n"

NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

CLOCK = SystemClock()


def await_socket(
    sock: socket.socket, why: OSError, limit_s: float | None, event: int = select.POLLIN
) -> None:
    """Wait until *sock* can do what failed because of *why*, for *limit_s* at most.

    Otherwise it raises TimeoutError.
    """
    if isinstance(why, ssl.SSLWantReadError):
        event = select.POLLIN
    elif isinstance(why, ssl.SSLWantWriteError):
        event = select.POLLOUT
    poll = select.poll()
    poll.register(sock, event)
    if not poll.poll(None if limit_s is None else max(0, limit_s * 1000)):
        raise TimeoutError("timed out")  # the words by which cheroot knows it


class Arrivals:
    """What has arrived on a socket, as a file; reading more waits, until the deadline at most."""

    bytes_read = 0  # cheroot's statistics

    def __init__(self, sock: socket.socket, largest_head: int) -> None:
        self._socket = sock
        self._largest_head = largest_head
        self._buffer = bytearray()
        self.has_ended = False
        """Nothing more will come."""
        self.is_discarding = False
        """Nothing of it will be read."""
        self.deadline: float | None = None
        """On the monotonic clock; None: without limit."""

    def __len__(self) -> int:
        """Bytes that can be read without waiting."""
        return len(self._buffer)

    def collect(self) -> None:
        """Take what is there without waiting."""
        is_plain = not isinstance(self._socket, ssl.SSLSocket)  # what TLS gives, it gives in parts
        try:
            while len(self._buffer) <= 2 * COLLECTED:
                data = self._socket.recv(CHUNK)
                self._buffer += data
                self.has_ended = not data
                if self.has_ended or (is_plain and len(data) < CHUNK):
                    break
        except NOT_NOW:
            pass
        except OSError:
            self.has_ended = True
        if self.is_discarding:
            self._buffer.clear()

    def has_data(self) -> bool:
        """For cheroot: whether the socket need not be watched, as there is something to do."""
        if self.is_discarding:
            return False
        # TLS may have decrypted more than was read
        is_pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return is_pending or self.has_whole_request()

    def has_whole_request(self) -> bool:
        """Whether a thread can go on without waiting, or has to say what is wrong."""
        end = self._buffer.find(_HEAD_ENDS)
        if end < 0:
            return len(self._buffer) > self._largest_head or b"\n\n" in self._buffer
        head = bytes(self._buffer[:end])
        body = len(self._buffer) - end - len(_HEAD_ENDS)
        if body > COLLECTED or _EXPECTS.search(head):
            return True
        if _CHUNKED.search(head):
            return self._buffer.endswith(_LAST_CHUNK)
        length = _LENGTH.search(head)
        return length is None or int(length[1]) > COLLECTED or body >= int(length[1])

    def head(self, limit: int) -> bytes | None:
        """The head of the request, with the line that ends it; None: not within *limit* bytes."""
        end = self._buffer.find(_HEAD_ENDS) + len(_HEAD_ENDS)
        return bytes(self._buffer[:end]) if len(_HEAD_ENDS) <= end <= limit else None

    # ---- what is read in a thread

    def read(self, size: int | None = None) -> bytes:
        """*size* bytes, fewer at the end."""
        while (size is None or len(self._buffer) < size) and self._wait_for_more():
            pass
        return self._take(len(self._buffer) if size is None else size)

    def readline(self, size: int | None = None) -> bytes:
        """A line with its end, or *size* bytes of it."""
        while True:
            end = self._buffer.find(b"\n") + 1
            if end and (size is None or end <= size):
                return self._take(end)
            if size is not None and len(self._buffer) >= size:
                return self._take(size)
            if not self._wait_for_more():
                return self._take(len(self._buffer))

    def close(self) -> None:
        """Nothing is to be closed beside the socket."""

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _wait_for_more(self) -> bool:
        while True:
            try:
                data = self._socket.recv(CHUNK)
            except NOT_NOW as e:
                left_s = None if self.deadline is None else self.deadline - CLOCK.monotonic()
                await_socket(self._socket, e, left_s)
            else:
                self._buffer += data
                return bool(data)


class Outgoing:
    """What is sent on a socket, as a file; nothing is kept.

    cheroot's copies each answer twice, and keeps it while its connection lives if it was cut off.
    """

    def __init__(self, sock: socket.socket, limit_s: float) -> None:
        self._socket = sock
        self._limit_s = limit_s
        self.bytes_written = 0  # cheroot's statistics

    def write(self, data: bytes) -> int:
        """Send all of it; the time limit is for each part that the client takes."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except NOT_NOW as e:
                await_socket(self._socket, e, self._limit_s, select.POLLOUT)
        self.bytes_written += len(data)
        return len(data)


class Connection(cheroot_server.HTTPConnection):  # type: ignore[misc]  # cheroot is untyped
    """A connection whose requests are collected before they get a thread."""

    RequestHandlerClass = exchange.Exchange

    def __init__(self, server: Any, sock: socket.socket, makefile: Any) -> None:
        """As cheroot makes it."""
        super().__init__(server, sock, makefile)
        self.rfile = self._arrivals = Arrivals(sock, server.max_request_header_size or COLLECTED)
        self.wfile = Outgoing(sock, server.request_timeout_s)
        sock.setblocking(False)
        for method in ("get_peer_creds", "resolve_peer_creds"):
            # cheroot's caches of them hold the connection that holds them
            vars(self).pop(method, None)
        self._last_used = self._since = time.time()
        self._limit_s: float | None = None  # while something must end soon
        self.is_new = True
        """It has brought no request yet."""

    @functools.cached_property
    def environ(self) -> Environ:
        """What those of all its requests have in common."""
        return exchange.of_connection(self.server, self)

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests."""
        return self._limit_s is None

    @property
    def last_used(self) -> float:
        """When it was; what was not used for the server's timeout is closed.

        With a request that has begun the time counts from there, and is `request_timeout_s`.
        """
        if self._limit_s is not None:
            return self._since + self._limit_s - float(self.server.timeout)
        return self._last_used

    @last_used.setter
    def last_used(self, value: float) -> None:
        self._last_used = value

    def collect(self) -> None:
        """Take what has arrived."""
        self._arrivals.collect()
        if len(self._arrivals):
            self._must_end_within(self.server.request_timeout_s)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do."""
        return self._arrivals.has_ended and not len(self._arrivals)

    @property
    def has_work(self) -> bool:
        """Whether a thread has something to do, if only to say what is wrong."""
        return self._arrivals.has_ended or self._arrivals.has_whole_request()

    def communicate(self) -> bool:
        """Serve what has arrived; True if the connection is to be watched further on."""
        if self._arrivals.is_discarding:
            return False
        if self.is_new and not self.server.ready and not self._begins_within(GRACE_S):
            return False
        return self._serve_one() or self._drain()

    def _serve_one(self) -> bool:
        """Whether the connection stays open."""
        limit_s = self.server.request_timeout_s
        self.is_new = False
        self._limit_s = None
        self._arrivals.deadline = CLOCK.monotonic() + limit_s
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self._arrivals.deadline = None

    def _begins_within(self, limit_s: float) -> bool:
        """Whether something of a request is there, or the other side has closed."""
        if len(self._arrivals) or self._arrivals.has_data():
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(limit_s * 1000))

    def close(self) -> None:
        """Who has begun a request and not ended it is told so."""
        if not self.is_idle and not self._arrivals.is_discarding:
            with contextlib.suppress(OSError):
                self.socket.send(TIMED_OUT)
        super().close()

    def _drain(self) -> bool:
        """The answer is complete.  If the rest of the request met a closed socket, the client's
        system would throw away the answer before it is read.
        """
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self._arrivals.is_discarding = True
        self._must_end_within(LINGER_S)
        return True

    def _must_end_within(self, limit_s: float) -> None:
        if self._limit_s is None:
            self._limit_s, self._since = limit_s, time.time()


class Progress:
    """Goes through the threads that serve as a connection does: it comes through if they get on."""

    def __init__(self, beat: Callable[[], None]) -> None:
        """*beat* is called when it has come through."""
        self._beat = beat
        self._is_under_way = False

    def may_go(self) -> bool:
        """Whether it is not under way; from now on it is."""
        was, self._is_under_way = self._is_under_way, True
        return not was

    def communicate(self) -> bool:
        """Called by a thread that serves; False: it is not to be watched."""
        self._is_under_way = False
        self._beat()
        return False

    def close(self) -> None:
        """Nothing is to be closed."""


class Connections(cheroot_connections.ConnectionManager):  # type: ignore[misc]  # untyped
    """All connections that have no thread: accepts them, and ends them when their time is up."""

    _from_server_socket: Any

    def __init__(self, server: Any, work: Work[Connection]) -> None:
        """Threads find in *work* what has arrived."""
        self.server = server
        self._work = work
        self._serving = self._stop_requested = False

    @property
    def _num_connections(self) -> int:
        return len(self._work)

    def put(self, conn: Connection) -> None:
        """It is watched, or has something to do already."""
        conn.last_used = time.time()
        if conn.rfile.has_data():
            conn.collect()
            if conn.is_over:
                conn.close()
                return
            if conn.has_work:
                self.server.requests.put(conn)
                return
        self._work.watch(conn)
        if self._work.is_ending:
            self._end(conn)

    def run(self, expiration_interval: float) -> None:
        """Until `stop`; time limits are kept each *expiration_interval* seconds."""
        self._serving = True
        try:
            self._run(expiration_interval)
        finally:
            self._serving = False

    def _run(self, expiration_interval: float) -> None:
        listening = select.poll()
        listening.register(self.server.socket, select.POLLIN)
        expired_at = CLOCK.monotonic()
        while not self._stop_requested:
            pause_s = PATIENCE_S if self._work.is_busy else expiration_interval
            if listening.poll(pause_s * 1000):
                self._accept()
            self._work.make_way()
            if CLOCK.monotonic() - expired_at >= expiration_interval:
                expired_at = CLOCK.monotonic()
                self._expire(time.time() - self.server.timeout)
                self.server.show_progress()

    def _accept(self) -> bool:
        conn = self._from_server_socket(self.server.socket)
        if conn is None:
            return False
        if len(self._work) >= MOST:
            self._make_room()
        self.put(conn)
        return True

    def _make_room(self) -> None:
        idle = [conn for conn in self._work.watched() if conn.is_idle]
        if idle:
            oldest = min(idle, key=lambda conn: conn.last_used)
            if self._work.take(oldest):
                oldest.close()

    def _expire(self, threshold: float) -> None:
        for conn in self._work.watched():
            if conn.last_used < threshold and self._work.take(conn):
                conn.close()

    def stop(self) -> None:
        """Nobody is accepted any more; who has connected until now is still answered.

        What the kernel has accepted for us would be reset with the socket otherwise.
        """
        super().stop()
        if self.server.socket is not None:
            while self._accept():
                pass
            self.server.socket.close()
            self.server.socket = None

    def close(self) -> None:
        """End them; requests that have begun, or are about to, are still answered."""
        self._work.is_ending = True
        for conn in self._work.watched():
            self._end(conn)

    def _end(self, conn: Connection) -> None:
        if not self._work.take(conn):
            return
        if conn.is_idle and not conn.is_new:
            conn.close()
        else:
            self.server.requests.put(conn)
