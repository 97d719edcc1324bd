"""TaskFlow's store of how far recoveries have come; `steps` shows what is in it."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from taskflow.persistence.backends import impl_sqlalchemy

from masakari.clock import Clock, SystemClock
from masakari.db import drivers, retry, session, steps
from masakari.errors import DatabaseUnavailable
from masakari.outage import Outage

P = ParamSpec("P")
R = TypeVar("R")


class StoreAway(BaseException):
    """The database does not answer; `__cause__` is the DatabaseUnavailable.

    Not an Exception: TaskFlow answers those with further writes and with tracebacks.
    """


class Backend(impl_sqlalchemy.SQLAlchemyBackend):
    """TaskFlow's SQLAlchemy backend on an engine of ours.

    TaskFlow describes its tables anew for each connection, which costs more than the work itself.
    Its connection object keeps no state of a conversation, so one serves every caller.
    """

    def __init__(self, engine: sa.Engine, clock: Clock, outage: Outage) -> None:
        """Store in the database of *engine*."""
        super().__init__({}, engine=engine)
        self.clock = clock
        self.outage = outage
        self._connection = Connection(self, self._upgrade_lock)

    def get_connection(self) -> "Connection":
        """The connection; a database that is away shows when it is used."""
        return self._connection

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


def calling(clock: Clock, call: Callable[[], R], outage: Outage | None = None) -> R:
    """The result of *call*, run again after deadlocks and lost connections.  Raises StoreAway."""
    try:
        return retry.calling(clock, call, outage)
    except DatabaseUnavailable as e:
        raise StoreAway from e


def _patient(
    method: Callable[Concatenate["Connection", P], R],
) -> Callable[Concatenate["Connection", P], R]:
    """The method, through `calling`."""

    def call(self: "Connection", /, *args: P.args, **kwargs: P.kwargs) -> R:
        backend = self.backend
        return calling(backend.clock, lambda: method(self, *args, **kwargs), backend.outage)

    return call


class Connection(impl_sqlalchemy.Connection):
    """TaskFlow's connection, as patient as our own transactions."""

    save_logbook = _patient(impl_sqlalchemy.Connection.save_logbook)
    get_logbook = _patient(impl_sqlalchemy.Connection.get_logbook)
    destroy_logbook = _patient(impl_sqlalchemy.Connection.destroy_logbook)
    get_flow_details = _patient(impl_sqlalchemy.Connection.get_flow_details)
    update_flow_details = _patient(impl_sqlalchemy.Connection.update_flow_details)
    get_atom_details = _patient(impl_sqlalchemy.Connection.get_atom_details)
    update_atom_details = _patient(impl_sqlalchemy.Connection.update_atom_details)


def connect(
    conf: cfg.ConfigOpts,
    clock: Clock | None = None,
    beside: session.Database | None = None,
    *,
    answer_timeout_s: int | None = drivers.ANSWER_TIMEOUT_S,
) -> Backend:
    """The store of `[taskflow] connection`, or else of `[database] connection`.

    Of an outage the log tells once, if it is *beside* all the rest.  Raises ConfigInvalid.
    """
    clock = clock or SystemClock()
    engine = steps.engine(conf, clock, answer_timeout_s=answer_timeout_s)
    # TaskFlow reads before it writes, in one transaction.
    writing = engine.execution_options(**{drivers.WRITES: True})
    return Backend(writing, clock, steps.outage(conf, clock, beside))
