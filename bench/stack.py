"""What a run needs, as real processes: the simulated cloud, MariaDB, RabbitMQ, our API and engine.

Everything ends with the `with` block, and the servers also when this process is killed.
"""

import contextlib
import ctypes
import dataclasses
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil  # type: ignore[import-untyped]
import requests
from statements import GeneralLog

from masakari.tests import servers

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
PR_SET_PDEATHSIG = 1
MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""The environment that the systemd units set, too."""
USERS = ("engine", "taskflow", "api")
"""MariaDB users, one for each kind of statements that is counted."""


class Unusable(Exception):
    """A run is not possible; the message says why."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A process that was started here."""

    name: str
    process: subprocess.Popen[bytes]
    log: pathlib.Path

    def runs(self) -> bool:
        """True.  Raises Unusable if it has ended."""
        if self.process.poll() is not None:
            raise Unusable(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
        return True

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


@dataclasses.dataclass(frozen=True)
class Masakari:
    """The server under test."""

    api: requests.Session
    url: str
    """of the API, with /v1"""
    engine: psutil.Process | None
    """None where it is not known"""
    log: pathlib.Path | None

    def call(self, method: str, path: str, body: object = None) -> Any:  # JSON
        """The answer's document.  Raises Unusable when it is an error."""
        answer = self.api.request(method, self.url + path, json=body, timeout=60)
        if not answer.ok:
            raise Unusable(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None


class Simulation:
    """The simulated cloud's control panel (masakari/sim/control.py)."""

    def __init__(self, url: str) -> None:
        """Talk to *url*."""
        self.url = url
        self._session = requests.Session()

    def call(self, method: str, path: str, body: object = None) -> Any:  # JSON
        """The answer's document."""
        answer = self._session.request(method, f"{self.url}/sim/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def token(self) -> str:
        """For an API that asks Keystone."""
        user = {"name": "admin", "domain": {"id": "default"}, "password": "secret"}
        project = {"name": "admin", "domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": user}}
        document = {"auth": {"identity": identity, "scope": {"project": project}}}
        answer = self._session.post(f"{self.url}/v3/auth/tokens", json=document, timeout=60)
        answer.raise_for_status()
        return str(answer.headers["X-Subject-Token"])


class Stack(contextlib.ExitStack):
    """Owns the directory, the servers and the simulated cloud; stopped on exit."""

    def __init__(self, *, database: str, bus: str, standalone: bool, sim_port: int) -> None:
        """Nothing runs yet."""
        super().__init__()
        self._database_kind, self._bus_kind = database, bus
        self._standalone, self._sim_port = standalone, sim_port
        self.statements: GeneralLog | None = None

    def __enter__(self) -> "Stack":
        """The surroundings run; Masakari itself is started by `masakari`."""
        super().__enter__()
        try:
            self.directory = pathlib.Path(
                self.enter_context(tempfile.TemporaryDirectory(prefix="masakari-bench-"))
            )
            port = self._sim_port or free_port()
            self.simulation = Simulation(f"http://127.0.0.1:{port}")
            arguments = ["-m", "masakari.sim.http", "--port", str(port), "--hosts", "0"]
            self.enter_context(self.program("sim", arguments, port))
        except BaseException:
            self.close()
            raise
        return self

    @contextlib.contextmanager
    def program(self, name: str, arguments: list[str], port: int | None) -> Iterator[Program]:
        """`python ARGUMENTS` runs and listens on *port*; it is stopped at the end."""
        log = self.directory / f"{name}.log"
        libc = ctypes.CDLL(None)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **MEMORY},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509  one thread
            )
        program = Program(name, process, log)
        try:
            await_true(
                f"{name} to listen on port {port}",
                lambda: program.runs() and (port is None or is_open(port)),
                START_TIMEOUT_S,
                program.tail,
            )
            yield program
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextlib.contextmanager
    def masakari(self, options: dict[str, dict[str, object]]) -> Iterator[Masakari]:
        """Our API and a fresh engine, with *options* {group: {name: value}}."""
        port = free_port()
        shared = self._options(port)
        for group, values in options.items():
            shared.setdefault(group, {}).update(values)
        programs: list[Program] = []
        with contextlib.ExitStack() as running:
            try:
                yield self._start(running, programs, shared, port)
            except Unusable as e:
                raise Unusable("\n".join((str(e), *(p.tail() for p in programs)))) from e

    @contextlib.contextmanager
    def api(self, driver: str, server: str, *, one_cpu: bool) -> Iterator[Masakari]:
        """One worker process of our API, which asks Keystone; that process is its `engine`.

        *server* is masakari-api, on *one_cpu* or all, or uwsgi, which has one thread and its own
        router before it.
        """
        port = free_port()
        options = self._options(port)
        options["DEFAULT"] |= {"auth_strategy": "keystone", "masakari_api_pin_workers": one_cpu}
        url = self._database("api").replace("pymysql", driver)
        config = self._write("api", options | {"database": {"connection": url}}, "api")
        self._sync(config)
        arguments = uwsgi(config, port) if server == "uwsgi" else command("api", config)
        with self.program("api", arguments, port) as program:
            await_true("the API", lambda: program.runs() and is_serving(port), START_TIMEOUT_S)
            process = psutil.Process(program.process.pid)
            worker = process if server == "uwsgi" else process.children()[0]
            with requests.Session() as session:
                session.headers["X-Auth-Token"] = self.simulation.token()
                yield Masakari(session, f"http://127.0.0.1:{port}/v1", worker, program.log)

    def execute(self, *statements: str) -> None:
        """Run SQL on the MariaDB server, as its administrator."""
        servers.execute("mariadb", self._server("mariadb").port, "USE masakari", *statements)

    def _start(
        self,
        running: contextlib.ExitStack,
        programs: list[Program],
        options: dict[str, dict[str, object]],
        port: int,
    ) -> Masakari:
        """Put what is started into *running* and *programs*."""

        def start(name: str, user: str, opens: int | None) -> Program:
            config = self._write(name, options, user)
            if name != "api":
                self._sync(config)
            program = running.enter_context(self.program(name, command(name, config), opens))
            programs.append(program)
            return program

        if self._standalone:
            engine = start("standalone", "engine", port)
        else:
            engine = start("engine", "engine", None)
            start("api", "api", port)
        await_true("the API", lambda: engine.runs() and is_serving(port), START_TIMEOUT_S)
        return Masakari(
            running.enter_context(requests.Session()),
            f"http://127.0.0.1:{port}/v1",
            psutil.Process(engine.process.pid),
            engine.log,
        )

    def _sync(self, config: str) -> None:
        arguments = [sys.executable, *command("manage", config), "db", "sync"]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unusable(f"masakari-manage db sync: {done.stderr}")

    def _options(self, port: int) -> dict[str, dict[str, object]]:
        url = self.simulation.url
        credentials: dict[str, object] = {
            "auth_type": "password",
            "auth_url": f"{url}/v3",
            "username": "masakari",
            "password": servers.PASSWORD,
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        options: dict[str, dict[str, object]] = {
            "DEFAULT": {
                "auth_strategy": "noauth2",
                "masakari_api_listen": "127.0.0.1",
                "masakari_api_listen_port": port,
                "masakari_api_workers": 1,
                "state_path": self.directory,
            },
            "keystone_authtoken": credentials,
        }
        if not self._standalone:
            options["DEFAULT"]["transport_url"] = self._bus()
        return options

    def _bus(self) -> str:
        if self._bus_kind == "fake":
            return "fake://"
        port = self._server("rabbitmq").port
        return f"rabbit://masakari:{servers.PASSWORD}@127.0.0.1:{port}/w0"

    def _server(self, kind: str) -> servers.Server:
        """The private server; started when it is first asked for."""
        if reason := servers.missing(kind):
            raise Unusable(f"{reason}; or use --db sqlite --bus fake")
        directory = self.directory / "servers"
        if not directory.exists():
            self.callback(servers.stop_all, directory)
        return servers.shared(kind, directory, owner=os.getpid())

    def _database(self, user: str) -> str:
        if self._database_kind == "sqlite":
            return f"sqlite:///{self.directory}/masakari.sqlite"
        port = self._server("mariadb").port
        if self.statements is None:
            log = self.directory / "general.log"
            names = [f"{name}@'127.0.0.1'" for name in USERS]
            servers.execute(
                "mariadb",
                port,
                f"SET GLOBAL general_log_file = '{log}'",
                "SET GLOBAL general_log = 1",
                "CREATE DATABASE masakari CHARACTER SET utf8",
                *(f"CREATE USER {name} IDENTIFIED BY '{servers.PASSWORD}'" for name in names),
                *(f"GRANT ALL ON masakari.* TO {name}" for name in names),
            )
            self.statements = GeneralLog(log)
        return f"mysql+pymysql://{user}:{servers.PASSWORD}@127.0.0.1:{port}/masakari"

    def _write(self, program: str, options: dict[str, dict[str, object]], user: str) -> str:
        path = self.directory / f"{program}.conf"
        groups: dict[str, dict[str, object]] = {
            **options,
            "database": {"connection": self._database(user), **options.get("database", {})},
            "taskflow": {"connection": self._database("taskflow")},
        }
        lines: list[str] = []
        for group, values in groups.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in values.items()), ""]
        path.write_text("\n".join(lines))
        return str(path)


def command(program: str, config: str) -> list[str]:
    """Arguments of Python to run one of our programs."""
    code = f"import sys; from masakari.cmd.{program} import main; sys.exit(main())"
    return ["-c", code, "--config-file", config]


def uwsgi(config: str, port: int) -> list[str]:
    """Arguments of Python to run the API under uWSGI: one process, one thread, an HTTP router."""
    directory = pathlib.Path(config).parent / "uwsgi"
    directory.mkdir()
    (directory / "masakari.conf").symlink_to(config)
    options = {
        "module": "masakari.wsgi.api:application",
        "http": f"127.0.0.1:{port}",
        "http-keepalive": "60",
        "buffer-size": "65535",
    }
    flags = ["--need-app", "--enable-threads", "--disable-logging", "--die-on-term"]
    given = [f"--{name}={value}" for name, value in options.items()]
    code = (
        f"import os, pyuwsgi; os.environ['OS_MASAKARI_CONFIG_DIR'] = {str(directory)!r}; "
        "pyuwsgi.run()"
    )
    return ["-c", code, *flags, *given]


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def is_serving(port: int) -> bool:
    """Whether an HTTP server answers there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def await_true(
    what: str, predicate: Callable[[], object], timeout_s: float, said: Callable[[], str] = str
) -> None:
    """Return when *predicate* is true.  Raises Unusable after *timeout_s* seconds."""
    end = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > end:
            raise Unusable(f"waited {timeout_s} s for {what}\n{said()}")
        time.sleep(0.05)
