"""Private servers for functional tests: one MariaDB and one RabbitMQ per test run.

A test process that needs one calls `shared`.  The first one of the run starts a *keeper*, a process
of this module, which starts the server on free ports in a directory of its own and stops it when
the process that owns the run (pytest, or the controller of pytest-xdist) ends, however it ends.
Debian's packages are used, without their system services.
"""

import contextlib
import ctypes
import dataclasses
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Self

import pymysql

from masakari import clock as clock_

MARIADBD = pathlib.Path("/usr/sbin/mariadbd")
RABBITMQ = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
PASSWORD = "secret"
START_TIMEOUT_S = 120
PR_SET_PDEATHSIG = 1

CLOCK = clock_.SystemClock()


class StartError(Exception):
    """A server did not start; the message has the end of its log."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server, and the process that keeps it."""

    port: int
    keeper: int


def missing(kind: str) -> str | None:
    """Why the server cannot be started on this machine, or None."""
    program = {"mariadb": MARIADBD, "rabbitmq": RABBITMQ}[kind]
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
        keeper = subprocess.Popen(
            [sys.executable, "-m", __name__, kind, str(owner), str(workers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    with keeper.stdout as answer:
        line = answer.readline()
    return line or json.dumps({"error": f"{kind} did not start:\n{log.read_text()[-2000:]}"})


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


def mariadb_url(port: int, name: str) -> str:
    """URL of the database *name* behind *port*."""
    return f"mysql+pymysql://masakari:{PASSWORD}@127.0.0.1:{port}/{name}"


def execute(port: int, *statements: str) -> None:
    """Run SQL statements on the MariaDB server."""
    connection = pymysql.connect(
        host="127.0.0.1", port=port, user="masakari", password=PASSWORD, autocommit=True
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


class Gate:
    """A TCP port in front of a server, which can be shut: the server is away for its users only."""

    def __init__(self, target_port: int) -> None:
        """Forward to *target_port* of this machine, from a free port."""
        self._target = ("127.0.0.1", target_port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.open()

    def open(self) -> None:
        """Connections are accepted."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Connections are refused; those that there were are cut."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
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
                far = socket.create_connection(self._target)
                with self._lock:
                    self._open |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()


# ---- the keeper


def main(kind: str, owner: int, workers: int) -> None:
    """Keep one server until the owner ends or SIGTERM comes."""
    watched = os.pidfd_open(owner)
    read_end, write_end = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(write_end, b"x"))
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"masakari-{kind}-"))
    start = {"mariadb": _mariadb, "rabbitmq": _rabbitmq}[kind]
    try:
        with start(directory, workers) as port:
            print(json.dumps({"port": port, "keeper": os.getpid()}), flush=True)
            select.select([watched, read_end], [], [])
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _running(argv: Sequence[str], directory: pathlib.Path, **env: str) -> Iterator[None]:
    """The program runs meanwhile, and dies with this process."""
    libc = ctypes.CDLL(None)
    process = subprocess.Popen(
        argv,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(directory), **env},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        # The keeper has no other thread.
        preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the data are thrown away anyway
        process.wait()


def _await_port(port: int, greets: bool = False) -> None:
    def listens() -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), 1) as connection,
        ):
            return not greets or bool(connection.recv(1))
        return False

    if not clock_.wait_until(CLOCK, listens, START_TIMEOUT_S, 0.05):
        raise StartError(f"nothing listens on port {port} after {START_TIMEOUT_S} s")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def _mariadb(directory: pathlib.Path, _workers: int) -> Iterator[int]:
    data, sock, port = directory / "data", directory / "s", _free_port()
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
            *user,
        ],
        check=True,
        stdout=sys.stderr,
    )
    argv = [
        str(MARIADBD),
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={sock}",
        f"--pid-file={directory / 'pid'}",
        "--bind-address=127.0.0.1",
        f"--port={port}",
        "--skip-name-resolve",
        "--max-connections=1000",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
        "--innodb-buffer-pool-size=64M",
        "--performance-schema=off",
        *user,
    ]
    with _running(argv, directory):
        _await_port(port, greets=True)
        admin = pymysql.connect(unix_socket=str(sock), user="root", autocommit=True)
        with contextlib.closing(admin), admin.cursor() as cursor:
            cursor.execute(f"CREATE USER masakari@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute("GRANT ALL ON *.* TO masakari@'127.0.0.1' WITH GRANT OPTION")
        yield port


@contextlib.contextmanager
def _rabbitmq(directory: pathlib.Path, workers: int) -> Iterator[int]:
    port, epmd_port = _free_port(), _free_port()
    vhosts = [f"w{n}" for n in range(workers)]
    grant = {"user": "masakari", "configure": ".*", "write": ".*", "read": ".*"}
    (directory / "definitions.json").write_text(
        json.dumps(
            {
                "users": [{"name": "masakari", "password": PASSWORD, "tags": "administrator"}],
                "vhosts": [{"name": vhost} for vhost in vhosts],
                "permissions": [{**grant, "vhost": vhost} for vhost in vhosts],
            }
        )
    )
    (directory / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\n"
        f"load_definitions = {directory / 'definitions.json'}\n"
        "disk_free_limit.absolute = 50MB\n"
        "log.console = true\nlog.console.level = warning\nlog.file = false\n"
    )
    (directory / "enabled_plugins").write_text("[].\n")
    env = {
        "RABBITMQ_NODENAME": f"masakari{port}@localhost",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "none.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RUNNING_UNDER_SYSTEMD": "true",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "
        "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    epmd = ["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"]
    with _running(epmd, directory), _running([str(RABBITMQ)], directory, **env):
        _await_port(port)
        yield port


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
