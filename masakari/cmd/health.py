"""Health checks and metrics over HTTP, on a port of their own: /healthz/live, /healthz/ready, and
/metrics.

Nothing is asked for an answer: what the program's own threads have noted (`pulse`, `contacts`) is
shown, so a check is answered at once, whatever hangs.
"""

import hmac
import http.server
import importlib.metadata
import json
import os
import pathlib
import socket
import socketserver
import stat
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from oslo_config import cfg
from oslo_log import log

from masakari import exposition
from masakari.clock import Clock
from masakari.cmd import server
from masakari.contacts import Contacts
from masakari.errors import ConfigInvalid
from masakari.metrics import UNMETERED, Meter, Program
from masakari.pulse import Pulse

LOG = log.getLogger(__name__)

MOST = 16
"""Connections at a time; others are closed at once."""
SILENCE_S = 10
"""So long a caller may say nothing."""
JSON = "application/json"


def version() -> str:
    """Of this release."""
    return importlib.metadata.version("masakari")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a program needs."""

    name: str
    is_well: bool
    detail: str
    is_needed: bool = True
    """False: the program does its work without it, less well"""


class Health(Protocol):
    """What is shown."""

    def stalled(self) -> Sequence[str]:
        """Loops that do not get on: the program is not alive."""

    def checks(self) -> Sequence[Check]:
        """What it needs to be of use."""


@dataclass
class Vitals:
    """What the threads of one program note, and what is made of it."""

    clock: Clock
    needs: Collection[str]
    """with whom it must have spoken, of `contacts`"""
    uses: Collection[str] = ()
    """who must have answered, if asked"""
    likes: Collection[str] = ()
    """without whom it works less well"""
    meter: Meter = UNMETERED
    pulse: Pulse = field(init=False)
    contacts: Contacts = field(init=False)
    tell: Callable[[], Iterable[Check]] = tuple
    """what else there is to tell"""

    def __post_init__(self) -> None:
        self.pulse = Pulse(self.clock)
        self.contacts = Contacts(self.clock)

    def stalled(self) -> Sequence[str]:
        """As Health."""
        return self.pulse.stalled()

    def checks(self) -> Sequence[Check]:
        """As Health."""
        stalled = self.stalled()
        loops = [
            Check(f"thread {loop}", loop not in stalled, f"got on {age_s:.1f} s ago")
            for loop, age_s in self.pulse.ages().items()
        ]
        known = self.contacts.known()
        others = [
            self._of(who)
            for who in (*self.needs, *self.uses, *self.likes)
            if who in known or who in self.needs
        ]
        return [*loops, *others, *self.tell()]

    def _of(self, who: str) -> Check:
        found = self.contacts.known().get(who)
        is_needed = who not in self.likes
        if found is None:
            return Check(who, False, "not asked yet", is_needed)
        if found.is_well:
            return Check(who, True, self._ago("answered", found.at), is_needed)
        since = "never answered"
        if found.answered_at is not None:
            since = self._ago("answered last", found.answered_at)
        return Check(who, False, f"{found.problem} ({since})", is_needed)

    def _ago(self, what: str, at: float) -> str:
        return f"{what} {self.clock.monotonic() - at:.1f} s ago"


def read_token(conf: cfg.ConfigOpts) -> str | None:
    """What `[health] token_file` has; None: it is not set.  Raises ConfigInvalid."""
    path: str | None = conf.health.token_file
    if path is None:
        return None
    try:
        with pathlib.Path(path).open() as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read().strip()
    except (OSError, UnicodeError) as e:
        problem = f"{path}: {getattr(e, 'strerror', None) or 'it is no text'}"
    else:
        problem = ""
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            problem = f"{path} can be read or written by everybody: chmod o= it"
        elif not token or not token.isascii() or not token.isprintable() or " " in token:
            problem = f"{path} does not have one line with a token in it"
        else:
            return token
    raise ConfigInvalid(group="health", option="token_file", problem=problem)


class Endpoint:
    """Answers on a listening socket, in threads of its own."""

    def __init__(
        self,
        listener: socket.socket,
        health: Health,
        render: exposition.Render,
        token: str | None,
    ) -> None:
        """Answer nothing yet."""
        self._server = _Server(listener, health, render, token)
        self._thread = threading.Thread(target=self.run, name="health", daemon=True)

    def start(self) -> None:
        """Answer from now on; returns at once."""
        self._thread.start()

    def run(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever(poll_interval=0.5)

    def close(self) -> None:
        """The port is free."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """At most MOST callers at a time."""

    daemon_threads = True

    def __init__(
        self,
        listener: socket.socket,
        health: Health,
        render: exposition.Render,
        token: str | None,
    ) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()[:2]
        self.health = health
        self.render = render
        self.token = token
        self._places = threading.BoundedSemaphore(MOST)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, if one is free."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """To its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is nobody's concern."""
        LOG.debug("a request for health or metrics was cut off: %r", sys.exception())


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = SILENCE_S
    server_version = "masakari"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(*self._found(), with_body=True)

    def do_HEAD(self) -> None:
        self._answer(*self._found(), with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug(format, *args)

    def _found(self) -> tuple[int, str, bytes]:
        """(status, content type, body)"""
        path, health = self.path.partition("?")[0].rstrip("/"), self.server.health
        if path == "/metrics":
            if self.server.token is not None and not self._is_trusted():
                return 401, JSON, b'{"status": "a token is needed"}\n'
            return 200, *self.server.render()
        if path == "/healthz/live":
            stalled = health.stalled()
            return self._verdict(not stalled, {"stalled": list(stalled)})
        if path == "/healthz/ready":
            checks = health.checks()
            is_ready = all(c.is_well for c in checks if c.is_needed)
            told = [{"name": c.name, "ok": c.is_well, "detail": c.detail} for c in checks]
            return self._verdict(is_ready, {"checks": told})
        return 404, JSON, b'{"status": "there is nothing here"}\n'

    def _verdict(self, is_well: bool, why: dict[str, object]) -> tuple[int, str, bytes]:
        """With the reasons, for those who may know them."""
        verdict: dict[str, object] = {"status": "ok" if is_well else "not ok"}
        if self._is_trusted():
            verdict |= why
        return 200 if is_well else 503, JSON, json.dumps(verdict).encode() + b"\n"

    def _is_trusted(self) -> bool:
        given = self.headers.get("Authorization", "").encode("latin-1", "replace")
        token = self.server.token
        return token is not None and hmac.compare_digest(given, f"Bearer {token}".encode())

    def _answer(self, status: int, kind: str, body: bytes, *, with_body: bool) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


class Watched:
    """The health of one program, and its endpoint if it has a port."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        vitals: Vitals,
        name: str,
        programs: Collection[Program],
        option: str,
    ) -> None:
        """Listen where *conf* says, if its *option* is set.  Raises ConfigInvalid."""
        port: int | None = conf.health[option]
        self.vitals = vitals
        self._endpoint: Endpoint | None = None
        if port is None:
            return
        token = read_token(conf)
        listener = server.listen(conf.health.listen, port, option=("health", option))
        vitals.meter, render = exposition.of_process(programs, name, version())
        self._endpoint = Endpoint(listener, vitals, render, token)
        self._endpoint.start()
        LOG.info("health and metrics: listening on %s port %d", conf.health.listen, port)

    def close(self) -> None:
        """Nobody is answered any more."""
        if self._endpoint is not None:
            self._endpoint.close()
