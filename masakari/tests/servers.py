"""Private servers for functional tests: at most one of a kind per test run.

A test process that needs one calls `shared`.  The first one of the run starts a *keeper*, a process
of `keeper`, which starts the server on free ports in a directory of its own and stops it when
the process that owns the run (pytest, or the controller of pytest-xdist) ends, however it ends.
Debian's packages are used, without their system services.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Self

import sqlalchemy as sa

from masakari import clock as clock_
from masakari.tests import keeper

CLOCK = clock_.SystemClock()
PASSWORD = keeper.PASSWORD
PROGRAMS = {
    "mariadb": keeper.MARIADBD,
    "postgresql": keeper.POSTGRES,
    "rabbitmq": keeper.RABBITMQ,
    "etcd": keeper.ETCD,
    "redis": keeper.REDIS,
    "memcached": keeper.MEMCACHED,
    "zookeeper": keeper.ZOOKEEPER,
}
"""Of each kind, what is there when its package is installed."""


class StartError(Exception):
    """A server did not start; the message has the end of its log."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server, and the process that keeps it."""

    port: int
    keeper: int


def missing(kind: str) -> str | None:
    """Why the server cannot be started on this machine, or None."""
    program = PROGRAMS[kind]
    if program.exists():
        return None
    return f"{kind} is not installed ({program}); as root on Debian, make test installs it"


# ---- the side of the tests


def shared(kind: str, directory: pathlib.Path, owner: int, workers: int = 1) -> Server:
    """The server *kind* of the test run that keeps its files in *directory*, started if need be.

    Process *owner* is the run; *workers* processes share the server.
    """
    directory.mkdir(parents=True, exist_ok=True)
    record = directory / f"{kind}.json"
    with (directory / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            record.write_text(_start_keeper(kind, owner, workers, directory / f"{kind}.log"))
        found = json.loads(record.read_text())
    if "error" in found:
        raise StartError(found["error"])
    return Server(**found)


def _start_keeper(kind: str, owner: int, workers: int, log: pathlib.Path) -> str:
    with log.open("w") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", keeper.__name__, kind, str(owner), str(workers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    with started.stdout as answer:
        line = answer.readline()
    return line or json.dumps({"error": f"{kind} did not start:\n{log.read_text()[-2000:]}"})


class Private:
    """A server of one test, which can be restarted; a context manager."""

    def __init__(self, kind: str, log: pathlib.Path) -> None:
        """Start it; raises StartError."""
        argv = [sys.executable, "-m", keeper.__name__, kind, str(os.getpid()), "1"]
        with log.open("w") as output:
            self._keeper = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._log = log
        self.port = int(json.loads(self._line())["port"])

    def restart(self) -> None:
        """As a service manager does it; it listens again."""
        self._keeper.send_signal(signal.SIGHUP)
        self._line()

    def _line(self) -> str:
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line:
            raise StartError(self._log.read_text()[-2000:])
        return line

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._keeper.terminate()
        self._keeper.wait()
        assert self._keeper.stdout is not None
        self._keeper.stdout.close()


def stop_all(directory: pathlib.Path) -> None:
    """No server of the test run is running any more."""
    for record in directory.glob("*.json"):
        found = json.loads(record.read_text())
        record.unlink()
        with contextlib.suppress(ProcessLookupError, KeyError):
            watched = os.pidfd_open(found["keeper"])
            os.kill(found["keeper"], signal.SIGTERM)
            select.select([watched], [], [], 30)
            os.close(watched)


DATABASES = ("mariadb", "postgresql")
"""The kinds that are databases for Masakari."""
_DRIVERS = {"mariadb": "mysql+pymysql", "postgresql": "postgresql+psycopg2"}
FIRST = {"mariadb": "mysql", "postgresql": "postgres"}
"""A database that is always there."""
_CREATE = {
    "mariadb": "CREATE DATABASE {} CHARACTER SET utf8",
    "postgresql": "CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0",
}
_DROP = {
    "mariadb": "DROP DATABASE IF EXISTS {}",
    "postgresql": "DROP DATABASE IF EXISTS {} WITH (FORCE)",
}


def database_url(kind: str, port: int, name: str) -> str:
    """URL of the database *name* of the server *kind* behind *port*."""
    return f"{_DRIVERS[kind]}://masakari:{PASSWORD}@127.0.0.1:{port}/{name}"


def execute(kind: str, port: int, *statements: str) -> None:
    """Run SQL statements on the server, as its administrator."""
    engine = sa.create_engine(
        database_url(kind, port, FIRST[kind]), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@contextlib.contextmanager
def fresh_database(kind: str, port: int, name: str) -> Iterator[str]:
    """URL of a new, empty database, dropped at the end."""
    execute(kind, port, _DROP[kind].format(name), _CREATE[kind].format(name))
    try:
        yield database_url(kind, port, name)
    finally:
        execute(kind, port, _DROP[kind].format(name))


class Gate:
    """A TCP port in front of a server, which can be shut: the server is away for its users only.

    It can also make the server slow, and give it a TLS that it has not by itself.
    """

    def __init__(
        self,
        target_port: int,
        tls: ssl.SSLContext | None = None,
        *,
        address: str = "127.0.0.1",
    ) -> None:
        """Forward to *target_port* of this machine, from a free port; clients speak *tls*."""
        self.tls = tls
        self.delay_s = 0.0
        """So much later each piece that the server sends arrives."""
        self._address, self._target = address, ("127.0.0.1", target_port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.open()

    @property
    def is_open(self) -> bool:
        """Connections are accepted."""
        return self._listener is not None

    def open(self) -> None:
        """Connections are accepted."""
        listener = socket.create_server((self._address, self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Connections are refused; those that there were are cut."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def cut(self) -> None:
        """Connections that there are end, as with a restart; new ones are accepted."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Shut it."""
        self.shut()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.callback(near.close)
            if self.tls is not None:
                near = self.tls.wrap_socket(near, server_side=True)
                stack.callback(near.close)
            far = stack.enter_context(socket.create_connection(self._target))
            with self._lock:
                self._open |= {near, far}
            stack.callback(self._forget, near, far)
            while self._copy(near, far):
                pass

    def _copy(self, near: socket.socket, far: socket.socket) -> bool:
        """Something was forwarded; False: one end has closed."""
        is_pending = isinstance(near, ssl.SSLSocket) and near.pending() > 0
        readable = [near] if is_pending else select.select([near, far], [], [])[0]
        for source in readable:
            data = source.recv(65536)
            if not data:
                return False
            if source is far and self.delay_s:
                CLOCK.sleep(self.delay_s)
            (near if source is far else far).sendall(data)
        return True

    def _forget(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open.difference_update(ends)
