"""A connection to libvirt: what is asked of it, each call with a deadline, and what it tells.

libvirt-python is needed only here; it is an extra, since a host without libvirt needs none.
"""

import datetime
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from masakari import clock as clock_
from masakari.errors import ConfigInvalid
from masakari.monitors.instances.deadline import Calls, TooLate
from masakari.monitors.instances.judge import Domain, Event
from masakari.monitors.instances.words import EventId, words

LOG = logging.getLogger(__name__)

T = TypeVar("T")

KEEPALIVE_MISSES = 3
MOST_CALLS = 16
EVENTS_WE_HEAR = tuple(EventId)


class Away(Exception):
    """libvirt does not answer, or not as asked; `str()` says why."""

    def __init__(self, why: str, *, is_late: bool = False, is_asked: bool = True) -> None:
        super().__init__(why)
        self.is_late = is_late
        """it has not answered in time"""
        self.is_asked = is_asked
        """False: it was not even asked, because too many other questions have no answer"""

    @property
    def is_silence(self) -> bool:
        """Whether whoever was asked is silent; otherwise nothing is known of them."""
        return self.is_late and self.is_asked


class Gone(Exception):
    """There is no such domain."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All domains at a time."""

    domains: Sequence[Domain]
    began: float
    """when they were asked for, monotonic"""
    at: datetime.datetime
    """likewise, UTC, naive"""


def library() -> Any:
    """libvirt-python, its event loop running in a thread.  Raises ConfigInvalid."""
    with _LOOP_LOCK:
        try:
            import libvirt  # noqa: PLC0415  optional
        except ImportError as e:
            raise ConfigInvalid(
                group="libvirt",
                option="connection_uri",
                problem="libvirt-python is not installed: pip install 'masakari[libvirt]', or the "
                f"distribution's python3-libvirt ({e})",
            ) from None
        if not _LOOP:
            libvirt.registerErrorHandler(lambda _context, _error: None, None)  # not to stderr
            libvirt.virEventRegisterDefaultImpl()
            thread = threading.Thread(
                target=_run_loop, args=(libvirt,), name="libvirt events", daemon=True
            )
            _LOOP.append(thread)
            thread.start()
        return libvirt


_LOOP: list[threading.Thread] = []
"""The library has one event loop in a process, which cannot be ended."""
_LOOP_LOCK = threading.Lock()


def _run_loop(libvirt: Any) -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except Exception:
            LOG.exception("the event loop of libvirt has failed; it goes on")


class Hypervisor:
    """One connection, which may be lost and made anew; for many threads, one of which connects."""

    def __init__(
        self,
        uri: str,
        clock: clock_.Clock,
        *,
        timeout_s: float,
        keepalive_s: float = 5.0,
        most_calls: int = MOST_CALLS,
        is_read_only: bool = True,
        heard: Callable[[Event], object] | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is connected yet.  *heard* and *lost* are called in libvirt's thread.

        At most *most_calls* may be under way, those included for which nobody waits any more.

        Raises ConfigInvalid.
        """
        self._libvirt = library()
        self._uri = uri
        self._clock = clock
        self._timeout_s = timeout_s
        self._keepalive_s = keepalive_s
        self._is_read_only = is_read_only
        self._heard = heard
        self._lost = lost
        self._calls = Calls(most_calls)
        self._connection: Any = None
        self._generation = 0

    @property
    def is_connected(self) -> bool:
        """As far as is known."""
        return self._connection is not None

    def connect(self) -> None:
        """There is a connection, and events are heard from now on.  Raises Away."""
        self._generation += 1
        generation = self._generation
        self._connection = self._ask(f"connecting to {self._uri}", lambda: self._open(generation))

    def disconnect(self) -> None:
        """There is none; nothing more is heard of it."""
        connection, self._connection = self._connection, None
        self._generation += 1
        if connection is not None:

            def close() -> None:
                try:
                    connection.close()
                except self._libvirt.libvirtError as e:
                    LOG.debug("a connection to libvirt was not closed: %s", e)

            threading.Thread(target=close, name="libvirt close", daemon=True).start()

    def domains(self) -> Listing:
        """All domains, with one request for their states.  Raises Away."""
        began, at = self._clock.monotonic(), self._clock.now()
        connection = self._current()
        kind = self._libvirt.VIR_DOMAIN_STATS_STATE

        def ask() -> list[Domain]:
            return [
                _domain(domain, stats) for domain, stats in connection.getAllDomainStats(kind, 0)
            ]

        return Listing(self._ask("listing the domains", ask), began, at)

    def is_persistent(self, uuid: str) -> bool:
        """Whether the domain stays known when it ends.  Raises Away, Gone."""
        return bool(
            self.of_domain(uuid, "asking for a domain", lambda domain: domain.isPersistent())
        )

    def xml(self, uuid: str) -> str:
        """The domain's XML.  Raises Away, Gone."""
        return str(
            self.of_domain(uuid, "asking for a domain's XML", lambda domain: domain.XMLDesc(0))
        )

    def of_domain(
        self,
        uuid: str,
        what: str,
        do: Callable[[Any], T],
        timeout_s: float | None = None,
        *,
        is_alone: bool = False,
    ) -> T:
        """What *do* makes of the library's domain.  Raises Away, Gone.

        With *is_alone* a domain that has not answered is not asked another time meanwhile.
        """
        connection = self._current()
        try:
            return self._ask(
                what,
                lambda: do(connection.lookupByUUIDString(uuid)),
                timeout_s,
                alone=uuid if is_alone else None,
            )
        except Away as e:
            # known before libvirt's thread says so: it is not this domain that is refused
            if not e.is_late and not self._is_open(connection):
                self._forget(connection)
            raise

    # ---- inside

    def _current(self) -> Any:
        connection = self._connection
        if connection is None:
            raise Away("there is no connection")
        return connection

    def _is_open(self, connection: Any) -> bool:
        """Whether the connection stands, as the library knows without a request."""
        try:
            return bool(connection.isAlive())
        except self._libvirt.libvirtError:
            return False

    def _forget(self, connection: Any) -> None:
        if self._connection is connection:
            self._connection = None
            self._lost()

    def _ask(
        self,
        what: str,
        do: Callable[[], T],
        timeout_s: float | None = None,
        *,
        alone: str | None = None,
    ) -> T:
        try:
            return self._calls.call(what, do, timeout_s or self._timeout_s, alone=alone)
        except TooLate as e:
            raise Away(str(e), is_late=True, is_asked=e.is_begun) from None
        except self._libvirt.libvirtError as e:
            if e.get_error_code() == self._libvirt.VIR_ERR_NO_DOMAIN:
                raise Gone(str(e)) from None
            raise Away(f"{what}: {e}") from None

    def _open(self, generation: int) -> Any:
        libvirt = self._libvirt
        # Credentials come from libvirt's auth.conf, before anybody is asked; we have none to add.
        wanted = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]
        auth = [wanted, lambda _credentials, _nothing: -1, None]
        flags = libvirt.VIR_CONNECT_RO if self._is_read_only else 0
        connection = libvirt.openAuth(self._uri, auth, flags)
        if generation != self._generation:  # nobody waits for it any more
            connection.close()
            raise TooLate("it came too late")
        try:
            connection.setKeepAlive(max(1, round(self._keepalive_s)), KEEPALIVE_MISSES)
            connection.registerCloseCallback(self._closed, generation)
            if self._heard is not None:
                for event_id in EVENTS_WE_HEAR:
                    connection.domainEventRegisterAny(
                        None, int(event_id), self._callback, (generation, event_id)
                    )
        except libvirt.libvirtError:
            connection.close()
            raise
        return connection

    def _closed(self, _connection: Any, reason: int, generation: int) -> None:
        if generation == self._generation:
            LOG.warning("libvirt has closed the connection (reason %d)", reason)
            self._connection = None
            self._lost()

    def _callback(self, _connection: Any, domain: Any, *args: Any) -> None:
        """An event; nothing may be asked here, since this is the thread that hears answers."""
        *told, (generation, event_id) = args
        if generation != self._generation or self._heard is None:
            return
        self._heard(
            Event(
                domain.UUIDString(),
                domain.name(),
                words(event_id, told),
                self._clock.now(),
                self._clock.monotonic(),
                domain.ID(),
            )
        )


def _domain(domain: Any, stats: dict[str, Any]) -> Domain:
    return Domain(
        domain.UUIDString(),
        domain.name(),
        int(stats.get("state.state", 0)),
        int(stats.get("state.reason", 0)),
        domain.ID(),
    )
