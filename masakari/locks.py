"""Locks that all engines see, through tooz.

They save work: who sees that another holds one does not try.  What must not happen twice is
guarded by the database, so that a lock that was lost, a backend that forgets, or one that does not
answer does no harm, and keeps nobody from working.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import tempfile
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from oslo_config import cfg
from oslo_log import log
from tooz import coordination
from tooz.locking import Lock

from masakari import causes
from masakari.clock import Clock
from masakari.errors import ConfigInvalid
from masakari.outage import Outage

LOG = log.getLogger(__name__)

T = TypeVar("T")

DIRECTORY = "masakari-locks"
PREFIX = "masakari-"
"""Of names: other services may use the same backend."""

TIMEOUTS_S = {"timeout": 10, "lock_timeout": 10, "membership_timeout": 10}
"""Options of tooz, for those that the URL does not give.

Backends that notice the death of an engine only when it is not heard of any more: they free its
locks before the lease on its notifications ends, and another engine takes them over.
"""
MEANWHILE = "the database alone keeps order"
PATIENCE_S = 15.0
"""So long a backend may take for one answer: longer than it waits itself."""
PAUSE_S = 5.0
"""Between two attempts to reach a backend that is away."""


class Locks(Protocol):
    """Who holds what."""

    def hold(self, name: str) -> contextlib.AbstractContextManager[bool]:
        """Whether nobody else is known to hold it until the end of the block; does not wait."""

    def close(self) -> None:
        """Nothing is held any more."""


def connect(conf: cfg.ConfigOpts, clock: Clock) -> "ToozLocks":
    """The locks of `[coordination] backend_url`, by default files in the state directory.

    A backend that is away is waited for in the background.  Raises ConfigInvalid.
    """
    url = conf.coordination.backend_url or f"file://{_directory(conf)}"
    member = f"{conf.DEFAULT.host}:{os.getpid()}"
    return ToozLocks(coordinator(url, member, group="coordination"), clock, secrets=secrets_of(url))


class ToozLocks:
    """Locks of a tooz backend.  A thread of its own connects, and keeps alive what is held."""

    def __init__(
        self,
        coordinator: coordination.CoordinationDriver,
        clock: Clock,
        *,
        secrets: frozenset[str] = frozenset(),
    ) -> None:
        """Of *coordinator*, which is not started yet; *secrets* are kept out of the log."""
        self._coordinator = coordinator
        self._clock = clock
        self._secrets = secrets
        self._outage = Outage("the lock backend", clock, MEANWHILE)
        self._is_started = False
        self._is_away = False
        self._problem: str | None = None
        self._was_tried = clock.event()
        self._stop = clock.event()
        self._thread = threading.Thread(target=self._run, name="locks", daemon=True)
        self._thread.start()

    def problem(self) -> str | None:
        """Why the backend does not answer, or None if it does; the first attempt is waited for."""
        self._was_tried.wait(PATIENCE_S)
        if self._is_started and not self._is_away:
            return None
        return self._problem or f"no answer within {PATIENCE_S:g} s"

    def try_out(self) -> str | None:
        """Why no lock can be taken and released, or None if one was: nobody else wants it."""
        problem = self.problem()
        if problem is not None:
            return problem
        try:
            lock = self._coordinator.get_lock(f"{PREFIX}check-{uuid.uuid4()}".encode())
            if not self._bounded(lambda: lock.acquire(blocking=False), too_late=lock.release):
                return "a lock that nobody has was refused"
            if not self._bounded(lock.release):
                return "the lock was lost before it was released"
        except Exception as e:  # whatever the backend's library raises
            return self._text(e)
        return None

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[bool]:
        """Whether the lock is ours until the end of the block, or the backend does not answer.

        Then only the database knows whether somebody else is at it.
        """
        is_free, lock = self._acquire(name)
        try:
            yield is_free
        finally:
            if lock is not None:
                self._release(name, lock)

    def close(self) -> None:
        """What is held is free, at once or (if the backend does not answer) a little later."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        if self._is_started and not self._is_away:
            try:
                self._bounded(self._coordinator.stop)
            except Exception as e:  # whatever the backend's library raises
                LOG.debug("the lock backend was left without a farewell: %s", self._text(e))

    def _acquire(self, name: str) -> tuple[bool, Lock | None]:
        self._was_tried.wait(PATIENCE_S)
        if not self._is_started:
            LOG.debug("%s: not locked, the lock backend does not answer", name)
            self._outage.failed(f"no answer within {PATIENCE_S:g} s")
            return True, None
        asked_at = self._clock.monotonic()
        try:
            lock = self._coordinator.get_lock(f"{PREFIX}{urllib.parse.quote(name, '')}".encode())
            is_ours = self._bounded(lambda: lock.acquire(blocking=False), too_late=lock.release)
        except Exception as e:  # whatever the backend's library raises
            LOG.debug("%s: not locked: %s", name, self._text(e))
            self._outage.failed(self._text(e))
            return True, None
        self._outage.answered(asked_at)
        return (True, lock) if is_ours else (False, None)

    def _release(self, name: str, lock: Lock) -> None:
        try:
            if not self._bounded(lock.release):
                LOG.warning("%s: the lock was lost before it was released", name)
        except Exception as e:  # whatever the backend's library raises
            LOG.debug("%s: not released, the backend frees it later: %s", name, self._text(e))
            self._outage.failed(self._text(e))

    def _bounded(self, ask: Callable[[], T], too_late: Callable[[], object] | None = None) -> T:
        """What *ask* returns or raises, or TimeoutError: some backends try for ever (kazoo).

        *too_late* undoes what *ask* has done (a true value) when nobody waits for it any more.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        done = self._clock.event()

        def run() -> None:
            try:
                value = ask()
            except Exception as e:  # it is raised where it is waited for
                with contextlib.suppress(concurrent.futures.InvalidStateError):
                    future.set_exception(e)
            else:
                try:
                    future.set_result(value)
                except concurrent.futures.InvalidStateError:
                    if value and too_late is not None:
                        with contextlib.suppress(Exception):  # then the backend frees it later
                            too_late()
            done.set()

        threading.Thread(target=run, name="lock", daemon=True).start()
        done.wait(PATIENCE_S)
        if future.cancel():
            raise TimeoutError(f"no answer within {PATIENCE_S:g} s")
        return future.result()

    # ---- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            pause_s = self._tend()
            self._was_tried.set()
            if pause_s is None:
                return
            self._stop.wait(pause_s)

    def _tend(self) -> float | None:
        """Connected, and heard of; after so many seconds it is time again, if ever."""
        asked_at = self._clock.monotonic()
        try:
            if not self._is_started:
                self._coordinator.start()
                self._is_started = True
            needs_care = self._coordinator.requires_beating
            dies_after_s = self._coordinator.heartbeat() if needs_care else None
        except Exception as e:  # whatever the backend's library raises
            self._problem = self._text(e)
            self._outage.failed(self._problem)
            self._is_away = True
            return PAUSE_S
        self._outage.answered(asked_at)
        self._is_away = False
        return None if dies_after_s is None else dies_after_s / 2

    def _text(self, error: BaseException) -> str:
        return explain(error, self._secrets)


class MemoryLocks:
    """As one of several processes of a simulation sees them: what is held they share in *held*.

    Who kills a process closes its locks, as the death of a process does.
    """

    def __init__(self, held: dict[str, object]) -> None:
        """Nothing is held by this process."""
        self._held = held
        self._own: dict[str, object] = {}

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[bool]:
        """Whether the lock is ours until the end of the block."""
        token = object()
        is_ours = self._held.setdefault(name, token) is token
        if is_ours:
            self._own[name] = token
        try:
            yield is_ours
        finally:
            if is_ours:
                self._free(name, token)

    def close(self) -> None:
        """Nothing is held by this process any more."""
        for name, token in list(self._own.items()):
            self._free(name, token)

    def _free(self, name: str, token: object) -> None:
        self._own.pop(name, None)
        if self._held.get(name) is token:
            del self._held[name]


# ---- the backend


def directory_named(conf: cfg.ConfigOpts) -> pathlib.Path | None:
    """Where the options want the locks that are files, made or not; None: they are none."""
    url = conf.coordination.backend_url
    if not url:
        return pathlib.Path(conf.state_path, DIRECTORY).absolute()
    parts = urllib.parse.urlsplit(url)
    return pathlib.Path(parts.path) if parts.scheme == "file" and parts.path else None


def _directory(conf: cfg.ConfigOpts) -> str:
    """Where the locks lie that are files: the first place in which some can be made."""
    places = [conf.state_path, conf.tempdir, tempfile.gettempdir()]
    paths = [pathlib.Path(place, DIRECTORY).absolute() for place in places if place]
    return str(next(filter(_is_usable, paths), paths[0]))


def _is_usable(path: pathlib.Path) -> bool:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)


def coordinator(url: str, member: str, *, group: str) -> coordination.CoordinationDriver:
    """The coordinator of the URL, which nobody is told, and which backend_url of *group* has.

    It is not started.  Raises ConfigInvalid.
    """
    known = {e.name for e in entry_points(group=coordination.TOOZ_BACKENDS_NAMESPACE)}
    try:
        parts = urllib.parse.urlsplit(url)
        given = urllib.parse.parse_qs(parts.query)
        options: dict[str, Any] = {k: str(v) for k, v in TIMEOUTS_S.items() if k not in given}
        if parts.scheme not in known:
            problem = f"it begins with none of {', '.join(sorted(known))}"
        elif parts.scheme == "file" and (parts.netloc or not parts.path):
            problem = "a directory is named as in file:///var/lib/masakari/locks"
        else:
            made = coordination.get_coordinator(url, member.encode(), **options)
            _ignore_environment(made)
            return made
    except ImportError as e:
        problem = f"the library {e.name} that its backend needs is not installed"
    except Exception as e:  # whatever the backend's library raises; its text may have the password
        problem = f"its backend does not understand it ({type(e).__name__})"
    raise ConfigInvalid(group=group, option="backend_url", problem=problem)


def _ignore_environment(coordinator: coordination.CoordinationDriver) -> None:
    """etcd's CA certificates are those of the URL: requests prefers those of the environment."""
    session = getattr(getattr(coordinator, "client", None), "session", None)
    if session is not None:
        session.trust_env = False


def secrets_of(url: str) -> frozenset[str]:
    """What of the URL must not be seen: itself, and its passwords."""
    parts = urllib.parse.urlsplit(url)
    options = urllib.parse.parse_qs(parts.query)
    passwords = [v for name, values in options.items() if "password" in name for v in values]
    return frozenset(filter(None, [url, parts.password, *passwords]))


def explain(error: BaseException, secrets: frozenset[str]) -> str:
    """What the error says, and its cause, without what must not be seen."""
    if certificate := causes.refused_certificate(error):
        return f"its certificate is refused ({certificate})"
    said = str(error) or getattr(error, "detail_text", "")  # where etcd3gw has it
    if "ConnectionPool(" in said and (trouble := causes.of_network(error)):
        return f"no answer ({trouble})"  # instead of urllib3's objects
    text = f"{type(error).__name__}: {said}"
    if error.__cause__ is not None and str(error.__cause__) not in text:
        text += f": {error.__cause__}"
    text = " ".join(text.split())
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
