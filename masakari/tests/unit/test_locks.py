"""Locks: the real driver for files, also between processes, and a backend that misbehaves."""

import pathlib
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from oslo_config import cfg
from tooz import coordination, locking

import masakari.conf
from masakari import locks
from masakari.clock import SystemClock
from masakari.errors import ConfigInvalid
from masakari.locks import MemoryLocks, ToozLocks

PATIENCE_S = 30
DEAD_URL = "mysql://masakari:hunter2@127.0.0.1:1/locks"
"""Of a backend whose library is installed, and that is away."""

Connect = Callable[..., ToozLocks]


@pytest.fixture
def conf(tmp_path: pathlib.Path) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    masakari.conf.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override("state_path", str(tmp_path / "state"))
    return conf


@pytest.fixture
def connect(conf: cfg.ConfigOpts) -> Iterator[Connect]:
    """New connections, to the files of the state directory or to that URL."""
    connections = []

    def call(url: str | None = None) -> ToozLocks:
        conf.set_override("backend_url", url, "coordination")
        connections.append(locks.connect(conf, SystemClock()))
        return connections[-1]

    yield call
    for connection in connections:
        connection.close()


def is_free(connection: ToozLocks, name: str) -> bool:
    with connection.hold(name) as is_ours:
        return is_ours


# ---- files


def test_lock_is_held_by_one_until_the_end_of_the_block(connect: Connect) -> None:
    ours, theirs = connect(), connect()

    with ours.hold("h1") as is_ours:
        assert is_ours
        assert not is_free(theirs, "h1")
        assert not is_free(ours, "h1")
        assert is_free(theirs, "h2")
        assert not is_free(theirs, "h1")  # to ask did not free it

    assert is_free(theirs, "h1")


def test_lock_is_free_after_an_error(connect: Connect) -> None:
    ours, theirs = connect(), connect()

    with pytest.raises(KeyError), ours.hold("h1"):
        raise KeyError

    assert is_free(theirs, "h1")


@pytest.mark.parametrize("name", ["../../h1", "a/b", ".driver_lock", "groups", "Ünï 1"])
def test_name_may_be_anything(connect: Connect, tmp_path: pathlib.Path, name: str) -> None:
    ours, theirs = connect(), connect()

    with ours.hold(name) as is_ours:
        assert is_ours
        assert not is_free(theirs, name)

    assert {path.name for path in tmp_path.iterdir()} == {"state"}


def test_one_of_many_threads_gets_it(connect: Connect) -> None:
    connection = connect()
    barrier = threading.Barrier(8)
    got = []

    def compete() -> None:
        barrier.wait(PATIENCE_S)
        with connection.hold("h1") as is_ours:
            got.append(is_ours)
            barrier.wait(PATIENCE_S)  # nobody frees it before all have asked

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert sorted(got) == [False] * 7 + [True]


HOLDS = """
import sys
from oslo_config import cfg
import masakari.conf
from masakari import locks
from masakari.clock import SystemClock

conf = cfg.ConfigOpts()
masakari.conf.register(conf)
conf([], default_config_files=[], default_config_dirs=[])
conf.set_override("state_path", sys.argv[1])
with locks.connect(conf, SystemClock()).hold("h1") as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""


# fasteners leaves the file open until the lock that was not given is forgotten
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("end", ["politely", "killed"])
def test_lock_of_another_process_is_free_when_that_ends(
    connect: Connect, tmp_path: pathlib.Path, end: str
) -> None:
    ours = connect()
    command = [sys.executable, "-W", "ignore", "-c", HOLDS, str(tmp_path / "state")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "True\n"
            assert not is_free(ours, "h1")
        finally:
            process.kill() if end == "killed" else process.communicate(timeout=PATIENCE_S)

    assert is_free(ours, "h1")


# ---- where the files lie


def test_files_lie_in_the_state_directory(connect: Connect, tmp_path: pathlib.Path) -> None:
    assert is_free(connect(), "h1")

    directory = tmp_path / "state" / "masakari-locks"
    assert (directory / "masakari-h1").is_file()
    assert directory.stat().st_mode & 0o077 == 0


def test_files_lie_in_the_directory_of_the_url(connect: Connect, tmp_path: pathlib.Path) -> None:
    assert is_free(connect(f"file://{tmp_path}/a/b"), "h1")

    assert (tmp_path / "a" / "b" / "masakari-h1").is_file()
    assert not (tmp_path / "state").exists()


def test_files_lie_in_tempdir_if_there_can_be_no_state_directory(
    connect: Connect, conf: cfg.ConfigOpts, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "file").touch()
    conf.set_override("state_path", str(tmp_path / "file" / "state"))
    conf.set_override("tempdir", str(tmp_path / "tmp"))

    assert is_free(connect(), "h1")

    assert (tmp_path / "tmp" / "masakari-locks" / "masakari-h1").is_file()


# ---- a backend that is away


@pytest.mark.filterwarnings("ignore:'passwd' is deprecated")
def test_backend_that_is_away_stops_nothing_and_is_told(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect(DEAD_URL)

    with connection.hold("h1") as is_free:
        assert is_free

    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert re.match("the lock backend is not available: .*2003.*; the database alone", said[0])
    assert "hunter2" not in caplog.text


class Clock(SystemClock):
    """The pauses of the thread last until the test ends them; it may be impatient otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.patient = True
        self.paused: queue.Queue[None] = queue.Queue()
        self.resume: queue.Queue[None] = queue.Queue()

    def event(self) -> threading.Event:
        clock = self

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                if timeout == locks.PAUSE_S:
                    clock.paused.put(None)
                    clock.resume.get(timeout=PATIENCE_S)
                elif clock.patient:
                    return super().wait(timeout)
                return self.is_set()

        return Event()

    def next_round(self) -> None:
        """The thread has had another look."""
        self.resume.put(None)
        self.paused.get(timeout=PATIENCE_S)


class Backend(coordination.CoordinationDriver):
    """A backend that does what the test says."""

    def __init__(self) -> None:
        super().__init__(b"member", None, {})
        self.error: Exception | None = None
        """what every call raises"""
        self.answer = threading.Event()
        """the lock is given when it is set"""
        self.answer.set()
        self.released: queue.Queue[None] = queue.Queue()
        self.is_kept = True
        """the lock is still ours when it is released"""
        self.beats = 0

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def _start(self) -> None:
        self.check()

    def heartbeat(self) -> float:
        self.check()
        self.beats += 1
        return 2 * locks.PAUSE_S

    def get_lock(self, name: bytes) -> locking.Lock:
        return BackendLock(self, name)


class BackendLock(locking.Lock):
    """One of its locks."""

    def __init__(self, backend: Backend, name: bytes) -> None:
        super().__init__(name)
        self.backend = backend

    def acquire(self, *args: object, **kwargs: object) -> bool:
        self.backend.check()
        return self.backend.answer.wait(PATIENCE_S)

    def release(self) -> bool:
        self.backend.check()
        self.backend.released.put(None)
        return self.backend.is_kept


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def use(backend: Backend, clock: Clock) -> Iterator[Callable[[], ToozLocks]]:
    """The locks of the backend, after the first attempt to reach it."""
    connections = []

    def call() -> ToozLocks:
        connections.append(ToozLocks(backend, clock, secrets=frozenset({"hunter2"})))
        clock.paused.get(timeout=PATIENCE_S)
        return connections[-1]

    yield call
    clock.patient = True
    for connection in connections:
        clock.resume.put(None)
        connection.close()


def test_backend_that_was_away_is_used_when_it_is_back(
    use: Callable[[], ToozLocks],
    backend: Backend,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    backend.error = coordination.ToozConnectionError("nobody listens")
    connection = use()
    assert is_free(connection, "h1")
    assert "h1: not locked" in caplog.text

    caplog.clear()
    backend.error = None
    clock.next_round()

    assert is_free(connection, "h1")
    assert "h1: not locked" not in caplog.text
    assert "the lock backend is available again" in caplog.text


def test_outage_is_told_once_with_its_end(
    use: Callable[[], ToozLocks],
    backend: Backend,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    use()

    backend.error = coordination.ToozConnectionError("nobody listens at redis://:hunter2@h")
    for _ in range(3):
        clock.next_round()
    backend.error = None
    for _ in range(2):
        clock.next_round()

    assert [record.getMessage() for record in caplog.records] == [
        "the lock backend is not available: ToozConnectionError: nobody listens at "
        "redis://:***@h; the database alone keeps order",
        "the lock backend is available again, after 0 s",
    ]
    assert backend.beats == 3


def test_backend_that_fails_keeps_nobody_from_working(
    use: Callable[[], ToozLocks], backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    connection = use()
    backend.error = ValueError("what a library raises, with hunter2 in it")

    assert is_free(connection, "h1")

    assert "h1: not locked: ValueError: what a library raises, with *** in it" in caplog.text


def test_lock_that_is_given_too_late_is_given_back(
    use: Callable[[], ToozLocks],
    backend: Backend,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    connection = use()
    backend.answer.clear()
    clock.patient = False

    assert is_free(connection, "h1")
    assert "h1: not locked: TimeoutError: no answer within 15 s" in caplog.text

    backend.answer.set()
    backend.released.get(timeout=PATIENCE_S)


def test_lock_that_was_lost_is_told(
    use: Callable[[], ToozLocks], backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    connection = use()
    backend.is_kept = False

    with connection.hold("h1"):
        pass

    assert "h1: the lock was lost before it was released" in caplog.text


def test_lock_that_cannot_be_released_is_told_and_no_error(
    use: Callable[[], ToozLocks], backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    connection = use()

    with connection.hold("h1") as is_ours:
        assert is_ours
        backend.error = coordination.ToozConnectionError("nobody listens")

    assert "h1: not released, the backend frees it later: ToozConnectionError" in caplog.text


# ---- a URL that cannot be used


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("hunter2", "it begins with none of etcd3+http, etcd3+https, file, "),
        ("etcd://:hunter2@h", "it begins with none of etcd3+http, etcd3+https, file, "),
        ("file://hunter2/locks", "a directory is named as in file:///var/lib/masakari/locks"),
        ("file://", "a directory is named as in file:///var/lib/masakari/locks"),
        ("file:///locks?timeout=hunter2", "its backend does not understand it (ValueError)"),
        ("mysql://m:hunter2@[h/locks", "its backend does not understand it (ValueError)"),
    ],
)
def test_url_that_cannot_be_used_is_refused_and_not_shown(
    connect: Connect, caplog: pytest.LogCaptureFixture, url: str, problem: str
) -> None:
    with pytest.raises(ConfigInvalid) as e:
        connect(url)

    assert str(e.value).startswith(f"[coordination] backend_url: {problem}")
    assert "hunter2" not in str(e.value) + caplog.text


def test_library_that_is_missing_is_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tooz.drivers.memcached", None)

    with pytest.raises(ConfigInvalid) as e:
        connect("memcached://h")

    assert str(e.value) == (
        "[coordination] backend_url: the library tooz.drivers.memcached that its backend needs "
        "is not installed"
    )


# ---- in memory


def test_memory_lock_is_held_by_one_until_the_end_of_the_block() -> None:
    held: dict[str, object] = {}
    ours, theirs = MemoryLocks(held), MemoryLocks(held)

    with ours.hold("h1") as is_ours:
        with theirs.hold("h1") as is_theirs, theirs.hold("h2") as other, ours.hold("h1") as again:
            assert (is_ours, is_theirs, other, again) == (True, False, True, False)
        with theirs.hold("h1") as is_theirs:
            assert not is_theirs
    with theirs.hold("h1") as is_theirs:
        assert is_theirs


def test_memory_lock_of_a_dead_process_is_free() -> None:
    held: dict[str, object] = {}
    dead, alive = MemoryLocks(held), MemoryLocks(held)

    with dead.hold("h1"):
        dead.close()
        with alive.hold("h1") as is_ours:
            assert is_ours
    assert held == {}
