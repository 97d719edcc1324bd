"""Keeps one private server running for a test run: the program behind `servers`.

    python -m masakari.tests.keeper KIND OWNER WORKERS

It prints where the server listens, and stops it when the process OWNER ends or SIGTERM comes.  At
SIGHUP the server is restarted, as a service manager does it, and a second line is printed.
"""

import contextlib
import ctypes
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
from collections.abc import Callable, Iterator, Sequence

import psycopg2
import pymysql

from masakari import clock as clock_

MARIADBD = pathlib.Path("/usr/sbin/mariadbd")
POSTGRES = max(
    pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"),
    default=pathlib.Path("/usr/lib/postgresql/15/bin/postgres"),
    key=lambda path: int(path.parts[4]),
)
RABBITMQ = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
ETCD = pathlib.Path("/usr/bin/etcd")
REDIS = pathlib.Path("/usr/bin/redis-server")
MEMCACHED = pathlib.Path("/usr/bin/memcached")
ZOOKEEPER = pathlib.Path("/usr/share/java/zookeeper.jar")
PASSWORD = "secret"
START_TIMEOUT_S = 120
PR_SET_PDEATHSIG = 1

CLOCK = clock_.SystemClock()


def main(kind: str, owner: int, workers: int) -> None:
    """Keep one server until the owner ends or SIGTERM comes."""
    watched = os.pidfd_open(owner)
    read_end, write_end = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(write_end, b"x"))
    signal.signal(signal.SIGHUP, lambda *_: os.write(write_end, b"r"))
    with directory_of(kind) as directory, START[kind](directory, workers) as port:
        print(json.dumps({"port": port, "keeper": os.getpid()}), flush=True)
        while watched not in select.select([watched, read_end], [], [])[0]:
            if os.read(read_end, 1) != b"r":
                break
            _RUNNING[-1].restart()
            _await_port(port, greets=kind == "mariadb")
            print("restarted", flush=True)


@contextlib.contextmanager
def directory_of(kind: str) -> Iterator[pathlib.Path]:
    """A directory of its own for a server of the kind, which its user can reach."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"masakari-{kind}-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class _Process:
    """A program that runs (as *user*) and dies with this process."""

    def __init__(
        self,
        argv: Sequence[str],
        directory: pathlib.Path,
        user: str | None,
        end: signal.Signals,
        env: dict[str, str],
    ) -> None:
        self._argv, self._directory, self._user, self._env = argv, directory, user, env
        self._end = end
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        libc = ctypes.CDLL(None)
        return subprocess.Popen(
            self._argv,
            cwd=self._directory,
            env={
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "HOME": str(self._directory),
                **self._env,
            },
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            # The keeper has no other thread.
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509
        )

    def restart(self) -> None:
        """As a service manager does it: it is asked to end, and started again."""
        self._process.send_signal(self._end)
        try:
            self._process.wait(START_TIMEOUT_S)
        finally:
            self.kill()
        self._process = self._start()

    def kill(self) -> None:
        """With all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # the data are thrown away anyway
        self._process.wait()


_RUNNING: list[_Process] = []
"""The server comes last."""


@contextlib.contextmanager
def _running(
    argv: Sequence[str],
    directory: pathlib.Path,
    user: str | None = None,
    end: signal.Signals = signal.SIGTERM,
    **env: str,
) -> Iterator[None]:
    """The program runs meanwhile (as *user*), and dies with this process; *end* asks it to end."""
    process = _Process(argv, directory, user, end, env)
    _RUNNING.append(process)
    try:
        yield
    finally:
        _RUNNING.remove(process)
        process.kill()


def _await_port(port: int, greets: bool = False, asks: bytes = b"") -> None:
    """Until it listens and, if it *greets* or is asked something, has answered within a second."""

    def listens() -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), 1) as connection,
        ):
            connection.sendall(asks)
            return not (greets or asks) or bool(connection.recv(1))
        return False

    if not clock_.wait_until(CLOCK, listens, START_TIMEOUT_S, 0.05):
        raise TimeoutError(f"nothing listens on port {port} after {START_TIMEOUT_S} s")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


Pair = tuple[pathlib.Path, pathlib.Path]
"""A certificate and its key, in files."""


def lay_certificate(directory: pathlib.Path, pair: Pair) -> Pair:
    """The files of the server that runs in the directory are these; it has to be told."""
    laid = directory / "server.pem", directory / "server.key"
    for source, target in zip(pair, laid, strict=True):
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        shutil.chown(target, directory.owner(), directory.group())
    return laid


@contextlib.contextmanager
def mariadb(directory: pathlib.Path, _workers: int = 1, tls: Pair | None = None) -> Iterator[int]:
    """MariaDB runs meanwhile, with TLS for those who want it; its port."""
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
    if tls is not None:
        certificate, key = lay_certificate(directory, tls)
        argv += [f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    with _running(argv, directory):
        _await_port(port, greets=True)
        admin = pymysql.connect(unix_socket=str(sock), user="root", autocommit=True)
        with contextlib.closing(admin), admin.cursor() as cursor:
            cursor.execute(f"CREATE USER masakari@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute("GRANT ALL ON *.* TO masakari@'127.0.0.1' WITH GRANT OPTION")
        yield port


@contextlib.contextmanager
def postgresql(
    directory: pathlib.Path, _workers: int = 1, tls: Pair | None = None
) -> Iterator[int]:
    """PostgreSQL runs meanwhile, with TLS for those who want it; its port."""
    data, port = directory / "data", _free_port()
    password = directory / "password"
    password.write_text(PASSWORD)
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "postgres"
        for path in (directory, password):
            shutil.chown(path, user, user)
    initdb = [
        str(POSTGRES.with_name("initdb")),
        f"--pgdata={data}",
        "--username=masakari",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    subprocess.run(initdb, check=True, stdout=sys.stderr, cwd=directory, **identity)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": directory,
        "max_connections": 300,
        "shared_buffers": "32MB",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "deadlock_timeout": "100ms",
    }
    if tls is not None:
        certificate, key = lay_certificate(directory, tls)
        settings |= {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
    options = [f"--{name}={value}" for name, value in settings.items()]

    def answers() -> bool:
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(
                host="127.0.0.1", port=port, user="masakari", password=PASSWORD, dbname="postgres"
            ).close()
            return True
        return False

    # asked by SIGTERM it would wait until its clients leave
    with _running([str(POSTGRES), "-D", str(data), *options], directory, user, signal.SIGINT):
        if not clock_.wait_until(CLOCK, answers, START_TIMEOUT_S, 0.05):
            raise TimeoutError(f"PostgreSQL does not answer after {START_TIMEOUT_S} s")
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


@contextlib.contextmanager
def _etcd(directory: pathlib.Path, _workers: int) -> Iterator[int]:
    port = _free_port()
    clients = f"http://127.0.0.1:{port}"
    peers = f"http://127.0.0.1:{_free_port()}"
    argv = [
        str(ETCD),
        "--name=masakari",
        f"--data-dir={directory / 'data'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=masakari={peers}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    with _running(argv, directory):
        _await_port(port)
        yield port


@contextlib.contextmanager
def _redis(directory: pathlib.Path, _workers: int) -> Iterator[int]:
    port = _free_port()
    argv = [str(REDIS), "--bind", "127.0.0.1", "--port", str(port), "--requirepass", PASSWORD]
    with _running([*argv, "--save", "", "--dir", str(directory)], directory):
        _await_port(port)
        yield port


@contextlib.contextmanager
def _memcached(directory: pathlib.Path, _workers: int) -> Iterator[int]:
    port = _free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    with _running([str(MEMCACHED), "-l", "127.0.0.1", "-p", str(port), *user], directory):
        _await_port(port)
        yield port


@contextlib.contextmanager
def _zookeeper(directory: pathlib.Path, _workers: int) -> Iterator[int]:
    port = _free_port()
    (directory / "zoo.cfg").write_text(
        "tickTime=500\nminSessionTimeout=1000\n"
        f"dataDir={directory / 'data'}\n"
        f"clientPort={port}\nclientPortAddress=127.0.0.1\n"
        "admin.enableServer=false\n"
    )
    # what it keeps does not outlive it, so that no session waits for a disk
    options = ["-Xmx96m", "-Dzookeeper.forceSync=no"]
    argv = ["java", *options, "-cp", "/etc/zookeeper/conf:/usr/share/java/*"]
    main_class = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    with _running([*argv, main_class, str(directory / "zoo.cfg")], directory):
        _await_port(port, asks=b"srvr")
        yield port


START: dict[str, Callable[[pathlib.Path, int], contextlib.AbstractContextManager[int]]] = {
    "mariadb": mariadb,
    "postgresql": postgresql,
    "rabbitmq": _rabbitmq,
    "etcd": _etcd,
    "redis": _redis,
    "memcached": _memcached,
    "zookeeper": _zookeeper,
}
"""Each runs its server meanwhile, with files in the directory, and gives the port."""

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
