"""The simulated system's database can be away; and a killed process does not reach it any more."""

import contextlib
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg
from oslo_db import exception as db_exc

from masakari.db import progress, session
from masakari.sim.clock import SimClock


class Outage:
    """Whether the database is away."""

    def __init__(self, clock: SimClock) -> None:
        self.is_over = True
        self._clock = clock

    def begin(self) -> None:
        """It does not answer from now on."""
        self.is_over = False

    def end(self) -> None:
        """It answers again."""
        self.is_over = True

    def check(self) -> None:
        """Return if the calling process lives and the database answers."""
        self._clock.checkpoint()
        if not self.is_over:
            raise db_exc.DBConnectionError(ConnectionRefusedError("the database is away"))


class SimDatabase(session.Database):
    """A Database that can be away."""

    def __init__(self, real: session.Database, outage: Outage) -> None:
        super().__init__(real.engine, real.clock)
        self._outage = outage

    @contextlib.contextmanager
    def reading(self) -> Iterator[session.Transaction]:
        """As Database.reading."""
        self._outage.check()
        with super().reading() as tx:
            yield tx

    @contextlib.contextmanager
    def writing(self) -> Iterator[session.Transaction]:
        """As Database.writing; an outage that begins meanwhile keeps it from being committed."""
        self._outage.check()
        with super().writing() as tx:
            yield tx
            self._outage.check()


def connect(conf: cfg.ConfigOpts, clock: SimClock, outage: Outage) -> SimDatabase:
    """The database of `[database] connection`, with its own connections."""
    return SimDatabase(session.connect(conf, clock), outage)


class SimBackend:
    """TaskFlow's persistence backend (untyped), which can be away."""

    def __init__(self, real: progress.Backend, outage: Outage) -> None:
        self._real = real
        self._connection = _SimConnection(real, outage)

    def get_connection(self) -> "_SimConnection":
        """As the backend's."""
        return self._connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _SimConnection:
    """TaskFlow's connection: whatever is called on it needs the database."""

    def __init__(self, real: progress.Backend, outage: Outage) -> None:
        self._real = real
        self._outage = outage

    def close(self) -> None:
        """As the connection's; the pool keeps what is under it."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real.get_connection(), name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            progress.calling(self._real.clock, self._outage.check)
            return found(*args, **kwargs)

        return call
