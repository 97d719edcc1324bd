"""The states of systemd's units, told by systemd over D-Bus within milliseconds.

No privileges are needed to watch.  While D-Bus is away nothing is known of the units.  A unit that
systemd refuses to name, or has never had, is told of once; the others are watched all the same.
"""

import collections
import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jeepney import (
    DBusAddress,
    HeaderFields,
    MatchRule,
    Message,
    Properties,
    message_bus,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg

from masakari import clock as clock_
from masakari.monitors import silence as silence_
from masakari.monitors.processes.judge import Look

LOG = logging.getLogger(__name__)

SYSTEMD = "org.freedesktop.systemd1"
ROOT = "/org/freedesktop/systemd1"
UNIT = f"{SYSTEMD}.Unit"
MANAGER = DBusAddress(ROOT, bus_name=SYSTEMD, interface=f"{SYSTEMD}.Manager")
PROPERTIES = "org.freedesktop.DBus.Properties"
ANSWER_S = 10.0
"""So long systemd may take to answer."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
TICK_S = 0.5
"""So long a stop may take."""
BAD_NAME = ("org.freedesktop.DBus.Error.InvalidArgs", f"{SYSTEMD}.")
"""How the errors begin that are about the one unit that was asked for."""
NO_SUCH_UNIT = "systemd has no such unit"

_LOOKS = {
    "active": Look.UP,
    "reloading": Look.UP,
    "refreshing": Look.UP,
    "inactive": Look.DOWN,
    "failed": Look.DOWN,
    "activating": Look.BETWEEN,
    "deactivating": Look.BETWEEN,
    "maintenance": Look.BETWEEN,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one unit."""

    look: Look
    detail: str = "nothing is known of it yet"
    deaths: int = 0
    """how often it has ceased to be active since it was asked last"""


class _Refused(Exception):
    """systemd does not want to tell of a unit; `str()` says why."""


class Units:
    """The units in a table that a thread keeps; for many threads.  Owns it, under one lock."""

    def __init__(
        self,
        clock: clock_.Clock,
        changed: Callable[[], None],
        silence: silence_.Silence,
        *,
        connect: Callable[[], DBusConnection] = lambda: open_dbus_connection("SYSTEM"),
    ) -> None:
        """Call *changed*, in the thread, when something has."""
        self._clock = clock
        self._changed = changed
        self._silence = silence
        self._connect = connect
        self._lock = threading.Lock()
        self._wanted: frozenset[str] = frozenset()
        self._states: dict[str, str] = {}
        """as systemd names them, or why nothing is known"""
        self._existed: set[str] = set()
        self._unusable: dict[str, str] = {}
        """{unit: what was told of it}"""
        self._deaths: dict[str, int] = {}
        self._trouble: str | None = "nothing is known of it yet"

    def watch(self, names: Collection[str]) -> None:
        """From now on these units are watched, and no others."""
        with self._lock:
            self._wanted = frozenset(names)

    def look(self) -> Mapping[str, Seen]:
        """{unit: what is known of it}"""
        with self._lock:
            seen = {name: self._seen(name) for name in self._wanted}
            self._deaths.clear()
            return seen

    def _seen(self, name: str) -> Seen:
        state = self._states.get(name)
        if self._trouble is not None or state is None:
            return Seen(Look.UNKNOWN, self._trouble or "nothing is known of it yet")
        return Seen(_LOOKS.get(state, Look.UNKNOWN), state, self._deaths.get(name, 0))

    def run(self, stop: clock_.Event) -> None:
        """Keep the table, until *stop* is set; D-Bus may go and come back."""
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            try:
                with self._connect() as connection:
                    self._follow(connection, stop)
            # whatever jeepney raises where the socket is away or talks nonsense
            except Exception as e:
                why = f"D-Bus is away ({' '.join(str(e).split()) or type(e).__name__})"
                pause_s = FIRST_PAUSE_S if self._trouble is None else pause_s
                self._lost(why)
                self._silence.look()
                stop.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _lost(self, why: str) -> None:
        with self._lock:
            told, self._trouble = self._trouble, why
            self._states.clear()
            is_missed = bool(self._wanted)
        if is_missed:
            self._silence.missed(why)
        if why != told:
            LOG.warning("the states of units are not known: %s; it is tried again", why)
        self._changed()

    def _follow(self, connection: DBusConnection, stop: clock_.Event) -> None:
        """Ask for each unit's state, then hear of changes."""
        rule = MatchRule(type="signal", interface=PROPERTIES, member="PropertiesChanged")
        rule.add_arg_condition(0, UNIT)
        heard: collections.deque[Message] = collections.deque()
        with connection.filter(rule, queue=heard):
            self._ask(connection, message_bus.AddMatch(rule))
            self._ask(connection, new_method_call(MANAGER, "Subscribe"))
            paths: Mapping[str, Sequence[str]] = {}
            asked: frozenset[str] | None = None
            ask_again_at = self._clock.monotonic()
            while not stop.is_set():
                with self._lock:
                    now, wanted = self._clock.monotonic(), self._wanted
                if now >= ask_again_at or asked != wanted:
                    paths = self._ask_all(connection, wanted)
                    asked, ask_again_at = wanted, now + LONGEST_PAUSE_S
                with contextlib.suppress(TimeoutError):
                    self._take(connection.recv_until_filtered(heard, timeout=TICK_S), paths)

    def _ask_all(
        self, connection: DBusConnection, wanted: frozenset[str]
    ) -> Mapping[str, Sequence[str]]:
        """{object: its units, which are names of one}; the table has the state of all *wanted*."""
        paths: dict[str, list[str]] = {}
        self._unusable = {name: why for name, why in self._unusable.items() if name in wanted}
        self._existed &= wanted
        for name in sorted(wanted):
            try:
                path, state = self._ask_one(connection, name)
            except _Refused as e:
                self._set_unusable(name, str(e))
                continue
            paths.setdefault(path, []).append(name)
            if state == NO_SUCH_UNIT:
                self._set_unusable(name, state)
            else:
                self._unusable.pop(name, None)
                self._existed.add(name)
                self._set(name, state)
        with self._lock:
            was, self._trouble = self._trouble, None
            self._states = {name: self._states[name] for name in wanted}
        self._silence.answered()
        self._silence.look()
        if was is not None:
            LOG.info("systemd tells the states of %d units", sum(map(len, paths.values())))
        self._changed()
        return paths

    def _ask_one(self, connection: DBusConnection, name: str) -> tuple[str, str]:
        """The unit's object and state.  Raises _Refused."""
        (path,) = self._ask(connection, new_method_call(MANAGER, "LoadUnit", "s", (name,)))
        unit = Properties(DBusAddress(path, bus_name=SYSTEMD, interface=UNIT))
        ((_, state),) = self._ask(connection, unit.get("ActiveState"))
        if state == "inactive" and name not in self._existed:
            ((_, found),) = self._ask(connection, unit.get("LoadState"))
            if found == "not-found":
                return path, NO_SUCH_UNIT
        return path, state

    def _ask(self, connection: DBusConnection, message: Message) -> Any:  # as D-Bus has it
        """The answer's body."""
        try:
            return unwrap_msg(connection.send_and_get_reply(message, timeout=ANSWER_S))
        except DBusErrorResponse as e:
            why = f"{e.name} {' '.join(map(str, e.data))}"
            if e.name.startswith(BAD_NAME):
                raise _Refused(f"refused: {why}") from None
            raise OSError(f"refused: {why}") from None

    def _take(self, message: Message, paths: Mapping[str, Sequence[str]]) -> None:
        """The unit of which the message tells may have changed."""
        names = paths.get(message.header.fields[HeaderFields.path], ())
        _, changed, _ = message.body
        if names and "ActiveState" in changed:
            for name in names:
                self._set(name, changed["ActiveState"][1])
            self._changed()

    def _set_unusable(self, name: str, why: str) -> None:
        if self._unusable.get(name) != why:
            LOG.error("[process] process_list_path: %s is not watched: %s", name, why)
        self._unusable[name] = why
        self._set(name, why)

    def _set(self, name: str, state: str) -> None:
        with self._lock:
            before = self._states.get(name)
            self._states[name] = state
            # a unit of which nothing is known any more has not died
            if before in _UP and state in _LOOKS and state not in _UP:
                self._deaths[name] = self._deaths.get(name, 0) + 1


_UP = {state for state, look in _LOOKS.items() if look is Look.UP}
