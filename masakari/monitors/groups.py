"""A group of a coordination backend, whose members are the hosts that say they live (tooz)."""

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Collection
from typing import TypeVar

from oslo_config import cfg
from tooz import coordination

from masakari import errors, locks

T = TypeVar("T")

PATIENCE_S = 15.0
"""So long a backend may take for one answer: longer than it waits itself."""


class Away(Exception):
    """The backend does not answer; `str()` says why, without secrets."""


class Group:
    """The group as one process sees it, or is a member of it; for one thread at a time."""

    def __init__(self, url: str, member: str, name: str) -> None:
        """Nobody is asked yet; *member* may `beat`.  Raises ConfigInvalid."""
        self._url = url
        self._member = member
        self._name = name.encode()
        self._secrets = locks.secrets_of(url)
        self._coordinator: coordination.CoordinationDriver | None = None
        self._make()

    def members(self) -> Collection[str]:
        """Who is in the group.  Raises Away."""
        return self._ask(self._members)

    def beat(self) -> None:
        """We are a member for some more seconds, again if need be.  Raises Away."""
        self._ask(self._beat)

    def leave(self) -> None:
        """We are no member any more, or soon."""
        if self._coordinator is not None:
            with contextlib.suppress(Away):
                self._ask(self._leave)

    def _make(self) -> coordination.CoordinationDriver:
        return locks.coordinator(self._url, self._member, group="heartbeat")

    def _ask(self, question: Callable[[coordination.CoordinationDriver], T]) -> T:
        """What *question* finds; after a failure the backend is connected to anew."""
        try:
            return _bounded(lambda: question(self._started()))
        except Exception as error:  # whatever the backend's library raises
            self._coordinator = None
            raise Away(locks.explain(error, self._secrets)) from None

    def _started(self) -> coordination.CoordinationDriver:
        if self._coordinator is None:
            made = self._make()
            made.start()
            self._coordinator = made
        return self._coordinator

    def _members(self, backend: coordination.CoordinationDriver) -> Collection[str]:
        try:
            found = backend.get_members(self._name).get()
        except coordination.GroupNotCreated:
            return frozenset()
        return frozenset(member.decode(errors="replace") for member in found)

    def _beat(self, backend: coordination.CoordinationDriver) -> None:
        if backend.requires_beating:
            backend.heartbeat()
        if self._member in self._members(backend):
            return
        with contextlib.suppress(coordination.GroupAlreadyExist):
            backend.create_group(self._name).get()
        with contextlib.suppress(coordination.MemberAlreadyExist):
            backend.join_group(self._name).get()

    def _leave(self, backend: coordination.CoordinationDriver) -> None:
        with contextlib.suppress(coordination.MemberNotJoined, coordination.GroupNotCreated):
            backend.leave_group(self._name).get()
        backend.stop()


def connect(conf: cfg.ConfigOpts, member: str) -> Group:
    """The group that [heartbeat] describes.  Raises ConfigInvalid."""
    url = conf.heartbeat.backend_url
    if not url:
        raise errors.ConfigInvalid(group="heartbeat", option="backend_url", problem="it is not set")
    return Group(url, member, conf.heartbeat.group)


def _bounded(ask: Callable[[], T]) -> T:
    """What *ask* returns or raises, or TimeoutError: some backends try for ever (kazoo)."""
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            value = ask()
        except Exception as error:  # it is raised where it is waited for
            future.set_exception(error)
        else:
            future.set_result(value)

    threading.Thread(target=run, name="group", daemon=True).start()
    try:
        return future.result(PATIENCE_S)
    except concurrent.futures.TimeoutError as error:
        if future.done():
            raise
        raise TimeoutError(f"no answer within {PATIENCE_S:g} s") from error
