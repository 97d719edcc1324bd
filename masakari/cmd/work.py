"""What there is to do for the threads that serve: each looks for a request itself, few at a time.

No thread hands requests to others: each change from one thread to another costs as much as a tenth
of a small request, and several that want to run take the interpreter, which runs one at a time
anyway, from one another at each answer of the database.
"""

import collections
import contextlib
import os
import select
import threading
from typing import Any, Generic, Protocol, TypeVar

from masakari.clock import Clock

AT_A_TIME = 4
"""While some wait for the database, one runs.  More of them change places more often."""
PATIENCE_S = 0.1
"""Whoever has been busy for so long makes way: it may wait for a database that is away."""


class Watched(Protocol):
    """A connection, as far as it matters here."""

    socket: Any

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do."""

    @property
    def has_work(self) -> bool:
        """Whether a thread has something to do."""

    def collect(self) -> None:
        """Take what has arrived."""

    def close(self) -> None:
        """End it."""


C = TypeVar("C", bound=Watched)


class Work(Generic[C]):
    """A queue.Queue for what is put into it, and for connections whose requests have arrived.

    A connection belongs to whoever has taken it out of the table of those that are watched.
    """

    def __init__(self, clock: Clock, ends: object) -> None:
        """Whoever gets *ends* asks no more."""
        self._clock, self._ends = clock, ends
        self._watched: dict[int, C] = {}
        self._put: collections.deque[Any] = collections.deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_SEMAPHORE | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._bell, select.EPOLLIN)
        self._places = threading.Semaphore(AT_A_TIME)
        self.is_ending = False
        """No more is waited for what has not arrived as a whole: a thread gets it."""
        self._busy_since: dict[int, float] = {}
        """{thread that has a place: when it found its work}"""

    def close(self) -> None:
        """No thread asks any more."""
        self._epoll.close()
        os.close(self._bell)

    # ---- connections

    def watch(self, connection: C) -> None:
        """Whoever looks for work next may find it, once something has arrived."""
        fd = connection.socket.fileno()
        self._watched[fd] = connection
        once = select.EPOLLIN | select.EPOLLONESHOT
        try:
            self._epoll.modify(fd, once)
        except FileNotFoundError:
            self._epoll.register(fd, once)

    def watched(self) -> list[C]:
        """All that are watched."""
        return list(self._watched.values())

    def take(self, connection: C) -> bool:
        """It is watched no more; False: somebody else has taken it."""
        fd = connection.socket.fileno()
        found = self._watched.pop(fd, None)
        if found is not None and found is not connection:
            self.watch(found)  # it has got the number of one that was closed meanwhile
        return found is connection

    def __len__(self) -> int:
        """How many are watched."""
        return len(self._watched)

    # ---- what queue.Queue does

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Some thread gets it."""
        self._put.append(item)
        os.eventfd_write(self._bell, 1)

    def qsize(self) -> int:
        """How much was put and is still there."""
        return len(self._put)

    def get(self) -> Any:
        """Something to do, when there is something and few others are busy."""
        thread = threading.get_ident()
        if self._busy_since.pop(thread, None) is None:
            self._places.acquire()
        while (found := self._look()) is None:
            pass
        if found is self._ends:
            self._places.release()
        else:
            self._busy_since[thread] = self._clock.monotonic()
        return found

    def _look(self) -> Any:
        """The first that comes; None if it is nothing yet, or another thread's."""
        ((fd, _),) = self._epoll.poll(-1, 1)
        if fd == self._bell:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._bell)
                return self._put.popleft()
            return None
        connection = self._watched.pop(fd, None)
        if connection is None:
            return None
        connection.collect()
        if connection.is_over:
            with contextlib.suppress(OSError):
                connection.close()
        elif connection.has_work:
            return connection
        else:
            self.watch(connection)
            if self.is_ending and self.take(connection):
                return connection
        return None

    # ---- patience

    @property
    def is_busy(self) -> bool:
        """Whether a thread has found something, and not made way."""
        return bool(self._busy_since)

    def make_way(self) -> None:
        """Others get the places of those that have been busy for long; to be called often."""
        before = self._clock.monotonic() - PATIENCE_S
        for thread, since in list(self._busy_since.items()):
            if since <= before and self._busy_since.pop(thread, None) is not None:
                self._places.release()
