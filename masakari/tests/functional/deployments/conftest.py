"""A machine on which a deployment's files lie, and the cloud that they name."""

import os
import pathlib
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
import requests

from masakari.clock import SystemClock
from masakari.sim.cloud import SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.program import LOGS, Program, free_port, wait

BIN = pathlib.Path(sys.executable).parent
TOKEN = {"X-Auth-Token": "admin-token"}


class Started(Program):
    """A program with any arguments, whose output goes to a file."""

    def __init__(self, argv: list[object], log: pathlib.Path, **env: str) -> None:
        super().__init__(pathlib.Path(str(argv[0])).name, "", log)
        self._command = [str(word) for word in argv]
        self._env = env

    def start(self) -> "Started":
        env = {k: v for k, v in os.environ.items() if not k.startswith("OS_")} | self._env
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=env, start_new_session=True
            )
        return self


class Machine:
    """Its root directory, and what runs on it."""

    def __init__(self, root: pathlib.Path, server: SimServer) -> None:
        self.root, self.server = root, server
        self.port = free_port()
        self.programs: list[Started] = []
        server.keystone.ha_url = f"http://127.0.0.1:{self.port}/v1"

    def lay_down(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            filled = string.Template(text).safe_substitute(
                DATABASE=f"sqlite:///{self.root}/masakari.sqlite",
                KEYSTONE=self.server.auth_url,
                PORT=self.port,
                ROOT=self.root,
                BIN=BIN,
                VENV=sys.prefix,
            )
            path.write_text(filled)
        for directory in ("var/log/kolla/masakari", "var/log/masakari", "var/lib/masakari", "home"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.root / "home")}

    def run(self, name: str, *argv: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / name, *map(str, argv)],
            env=dict(os.environ) | self.environment | env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *argv: object, **env: str) -> Started:
        """A program of ours by its name, or another one by its path."""
        first, *rest = argv
        log = self.root / f"output-{len(self.programs)}-{pathlib.Path(str(first)).name}"
        program = Started([BIN / str(first), *rest], log, **self.environment, **env).start()
        self.programs.append(program)
        return program

    def await_api(self, path: str = "/v1/segments") -> requests.Response:
        """The answer of the API, once it gives one."""
        found: list[requests.Response] = []

        def answers() -> bool:
            try:
                found.append(self.get(path))
            except requests.RequestException:
                return False
            return True

        wait("the API answers", answers, 90)
        return found[-1]

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=TOKEN, timeout=90)

    def await_text(self, log: str, *texts: str) -> str:
        """The file's text, once it has all of these."""
        path = self.root / log

        def is_said() -> bool:
            return path.exists() and all(text in path.read_text() for text in texts)

        wait(f"{log} has {texts}", is_said, 90)
        return path.read_text()

    def stop(self) -> None:
        """Everything has ended, as it should."""
        for program in self.programs:
            program.stop()
            assert program.returncode == 0, program.log.read_text()
            assert not program.said("Traceback"), program.log.read_text()


@pytest.fixture(scope="module")
def cloud_server() -> Iterator[SimServer]:
    cloud = SimCloud(SystemClock())
    cloud.add_host("compute1")
    with SimServer(cloud) as server:
        yield server


@pytest.fixture
def machine(
    tmp_path: pathlib.Path, cloud_server: SimServer, sqlite_template: pathlib.Path
) -> Iterator[Machine]:
    shutil.copy(sqlite_template, tmp_path / "masakari.sqlite")
    machine = Machine(tmp_path, cloud_server)
    try:
        yield machine
    finally:
        for program in machine.programs:
            if program.returncode is None:
                program.kill()
        LOGS.update(path for path in (machine.root / "var/log").rglob("*") if path.is_file())


@pytest.fixture
def uwsgi() -> str:
    """uWSGI's program."""
    if not (BIN / "uwsgi").exists():
        pytest.skip("uWSGI is missing: pip install pyuwsgi")
    return "uwsgi"
