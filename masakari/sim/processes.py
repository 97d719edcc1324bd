"""The processes of a simulated system: message bus, API server, engines, monitors.

Each process is a group of threads of the SimClock, with its own connections, so that it can be
killed as kill -9 does.
"""

import collections
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import webob

from masakari.sim.clock import SimClock

WSGIApp = Callable[..., Any]  # Any: as WSGI says
REQUEST_TIMEOUT_S = 60.0


class Service(Protocol):
    """What runs in a process."""

    def start(self) -> None:
        """Work, in threads of its own or in this one."""

    def stop(self) -> None:
        """Nothing new is begun; return when all that was under way has ended."""


class Process:
    """A service that can be started, stopped and killed.

    *make* builds the service, its connections included, for the given incarnation (1, 2, …);
    *died* is what others notice when it was killed.
    """

    def __init__(
        self,
        clock: SimClock,
        name: str,
        make: Callable[[int], Service],
        died: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.service: Service | None = None
        """None while it is down"""
        self._clock = clock
        self._make = make
        self._died = died
        self._incarnation = 0

    @property
    def is_up(self) -> bool:
        """It was started, and neither stopped nor killed since."""
        return self.service is not None

    def start(self) -> None:
        """It runs, if it did not already."""
        if self.is_up:
            return
        self._incarnation += 1
        self.service = self._make(self._incarnation)
        self._clock.spawn(self.service.start, name="main", group=self.name)

    def stop(self) -> None:
        """It ends in good order; return when it has."""
        service, self.service = self.service, None
        if service is None:
            return
        done = self._clock.event()

        def stop() -> None:
            service.stop()
            done.set()

        self._clock.spawn(stop, name="stop", group=self.name)
        done.wait()

    def kill(self) -> None:
        """It is gone, wherever it was; returns unless one of its own threads asks."""
        self.service = None
        self._died()
        self._clock.kill(self.name)


@dataclass(frozen=True)
class Response:
    """What the API answered."""

    status: int
    body: dict[str, Any]  # JSON
    reason: str | None = None
    """the header X-Masakari-Reason"""

    @property
    def message(self) -> str:
        """Of a fault; empty otherwise."""
        return str(next(iter(self.body.values()))["message"]) if self.status >= 400 else ""


class ApiServer:
    """Serves a WSGI application to threads of the other processes, as over a network."""

    def __init__(self, clock: SimClock, make: Callable[[], WSGIApp]) -> None:
        self.name = "api"
        self._clock = clock
        self._make = make
        self._app: WSGIApp | None = None
        self.is_up = True

    def kill(self) -> None:
        """Requests are refused; what was under way is cut off."""
        self.is_up = False
        self._app = None
        self._clock.kill(self.name)

    def start(self) -> None:
        """Requests are served again."""
        self.is_up = True

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, monitor: str = ""
    ) -> Response:
        """The answer to the *monitor* of that name.  Raises ConnectionError, TimeoutError."""
        if not self.is_up:
            raise ConnectionRefusedError("the API does not listen")
        answered = self._clock.event()
        answers: list[Response] = []

        def serve() -> None:
            answers.append(self._call(method, path, body, monitor))
            answered.set()

        self._clock.spawn(serve, name=f"{method} {path}", group=self.name)
        answered.wait(REQUEST_TIMEOUT_S)
        if answers:
            return answers[0]
        if not self.is_up:
            raise ConnectionResetError("the API died")
        raise TimeoutError(f"the API did not answer within {REQUEST_TIMEOUT_S:g} s")

    def _call(self, method: str, path: str, body: dict[str, Any] | None, monitor: str) -> Response:
        request = webob.Request.blank(path, method=method)
        request.headers["X-Masakari-Monitor"] = monitor
        request.headers["OpenStack-API-Version"] = "instance-ha 1.4"
        if body is not None:
            request.content_type = "application/json"
            request.body = json.dumps(body).encode()
        if self._app is None:
            self._app = self._make()
        response = request.get_response(self._app)
        body_ = response.json if response.body else {}
        return Response(response.status_int, body_, response.headers.get("X-Masakari-Reason"))


class Bus:
    """The message queue between API and engines: keeps messages while no engine listens."""

    def __init__(self, clock: SimClock, say: Callable[[str, str], None]) -> None:
        self.is_up = True
        self.lose = 0
        """So many of the next messages get lost."""
        self.double = 0
        """So many of the next messages are delivered to two engines, or twice to one."""
        self._clock = clock
        self._say = say
        self._engines: list[tuple[Process, Callable[[str], None]]] = []
        self._turn = 0
        self._waiting: collections.deque[str] = collections.deque()

    def listen(self, engine: Process, recover: Callable[[str], None]) -> None:
        """*engine* takes messages while it is up."""
        self._engines.append((engine, recover))

    def recover(self, uuid: str) -> None:
        """rpc.Engine: one of the engines is told, sooner or later or never."""
        remark, copies = self._fate()
        self._say(uuid, remark)
        self._waiting.extend([uuid] * copies)
        self.deliver()

    def _fate(self) -> tuple[str, int]:
        """What is remarkable about the next message, and how often it is delivered."""
        if not self.is_up:
            return "the bus is away, the message is lost", 0
        if self.lose:
            self.lose -= 1
            return "the message is lost", 0
        if self.double:
            self.double -= 1
            return "the message is doubled", 2
        return "", 1

    def deliver(self) -> None:
        """Messages that wait go to engines that are up, in turns."""
        up = [entry for entry in self._engines if entry[0].is_up]
        while up and self._waiting:
            uuid = self._waiting.popleft()
            engine, recover = up[self._turn % len(up)]
            self._turn += 1
            message = functools.partial(recover, uuid)
            self._clock.spawn(message, name="message", group=engine.name)
