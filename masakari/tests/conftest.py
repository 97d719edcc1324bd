"""Fixtures for all tests: options, databases, and private servers for functional tests."""

import contextlib
import logging
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from oslo_config import cfg

from masakari import conf as options
from masakari.clock import Clock, SystemClock
from masakari.db import migration, session
from masakari.db.session import Database
from masakari.tests import servers

T = TypeVar("T")
StartServer = Callable[[str], servers.Server]

# a client that a test has left behind goes on trying, and tells the log of another test
logging.getLogger("kazoo").propagate = False

TOLD_AT_THE_END = "told at the end"
"""A property of a test (`record_property`) that is printed when all have run."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Called by pytest."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == TOLD_AT_THE_END:
                    terminalreporter.write_line(str(value))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Called by pytest: tests that take long begin first, so that no worker is left with them.

    pytest-xdist's worksteal gives each worker one piece of the list: each piece has its share.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    rest = [item for item in items if not item.get_closest_marker("long")]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT") or 0) or 1
    items[:] = [item for piece in pieces(long, rest, workers) for item in piece]


def pieces(long: list[T], rest: list[T], workers: int) -> list[list[T]]:
    """What each worker gets, as many as worksteal gives it; the long ones come first."""
    dealt: list[list[T]] = []
    left = len(long) + len(rest)
    for n in range(workers):
        mine = long[n::workers]
        others = max(left // (workers - n) - len(mine), 0)
        dealt.append(mine + rest[:others])
        rest = rest[others:]
        left -= len(dealt[-1])
    return dealt


def new_conf(directory: pathlib.Path) -> cfg.ConfigOpts:
    """Options of the server programs as they are by default, with files in *directory*."""
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], project="masakari", default_config_files=[], default_config_dirs=[])
    conf.set_override("state_path", str(directory))
    conf.set_override("connection", f"sqlite:///{directory}/masakari.sqlite", group="database")
    conf.set_override("sqlite_synchronous", False, group="database")
    return conf


@pytest.fixture
def conf(tmp_path: pathlib.Path) -> cfg.ConfigOpts:
    """Options of the server programs; the database is an SQLite file, not yet made."""
    return new_conf(tmp_path)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An SQLite file with all tables and no rows."""
    directory = tmp_path_factory.mktemp("template")
    migration.sync(new_conf(directory))
    return directory / "masakari.sqlite"


@pytest.fixture
def migrated_conf(conf: cfg.ConfigOpts, sqlite_template: pathlib.Path) -> cfg.ConfigOpts:
    """As `conf`, and the database has all tables."""
    shutil.copy(sqlite_template, pathlib.Path(conf.state_path) / "masakari.sqlite")
    return conf


@pytest.fixture
def connect_database(migrated_conf: cfg.ConfigOpts) -> Iterator[Callable[[Clock], Database]]:
    """Connects to the fresh SQLite database on the clock that it is given."""
    with contextlib.ExitStack() as stack:

        def connect(clock: Clock) -> Database:
            database = session.connect(migrated_conf, clock)
            stack.callback(database.dispose)
            return database

        yield connect


@pytest.fixture
def database(connect_database: Callable[[Clock], Database]) -> Database:
    """A fresh SQLite database with all tables, on the machine's time."""
    return connect_database(SystemClock())


# ---- private servers, shared by the workers of pytest-xdist


def worker_number() -> int:
    """0 without pytest-xdist."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def run_directory(config: pytest.Config, factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory that the processes of this test run have in common."""
    base = factory.getbasetemp()
    return (base.parent if hasattr(config, "workerinput") else base) / "servers"


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """The private server of a kind (mariadb, rabbitmq, etcd …), started when first asked for."""
    directory = run_directory(pytestconfig, tmp_path_factory)
    is_worker = hasattr(pytestconfig, "workerinput")

    def get(kind: str) -> servers.Server:
        if reason := servers.missing(kind):
            pytest.skip(reason)
        return servers.shared(
            kind,
            directory,
            owner=os.getppid() if is_worker else os.getpid(),
            workers=int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
        )

    return get


@pytest.fixture
def mariadb_url(server: StartServer) -> Iterator[str]:
    """URL of a fresh, empty database on the private MariaDB server."""
    with fresh_database(server, "mariadb") as url:
        yield url


def fresh_database(
    server: StartServer, kind: str, name: str = "masakari"
) -> contextlib.AbstractContextManager[str]:
    """URL of an empty database on the private server *kind*, this worker's own; see servers."""
    return servers.fresh_database(kind, server(kind).port, f"{name}_{worker_number()}")


@pytest.fixture(scope="session")
def rabbit_url(server: StartServer) -> str:
    """URL of this worker's virtual host on the private RabbitMQ server; queues of earlier tests
    may be left in it.
    """
    port = server("rabbitmq").port
    return f"rabbit://masakari:{servers.PASSWORD}@127.0.0.1:{port}/w{worker_number()}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that owns the test run stops the servers; see servers.py if it cannot."""
    if hasattr(config, "workerinput"):
        return
    factory = getattr(config, "_tmp_path_factory", None)  # pytest offers no other way here
    if factory is not None:
        servers.stop_all(run_directory(config, factory))
