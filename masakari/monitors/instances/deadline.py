"""Calls that may never return, made so that nobody waits for them for ever.

A frozen QEMU holds a call of libvirt for minutes.  Such a call goes on in its thread, and ends when
it ends; only so many of them may be under way.
"""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooLate(Exception):
    """The call has not returned in time, or could not be begun because others have not."""

    def __init__(self, why: str, *, is_begun: bool = True) -> None:
        super().__init__(why)
        self.is_begun = is_begun
        """False: there was no place for it, so its lateness says nothing of whom it is about"""


class Calls:
    """Makes calls in threads of their own, at most *most* at a time; for many threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._alone: set[str] = set()
        """of calls that are under way"""

    def call(
        self, what: str, do: Callable[[], T], timeout_s: float, *, alone: str | None = None
    ) -> T:
        """What *do* returns or raises.  Raises TooLate, with *what* in its words.

        Of calls with the same *alone* one is under way: another one is too late at once, also
        where no place is left.
        """
        self._enter(what, timeout_s, alone)
        done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            outcome: tuple[T | None, BaseException | None]
            try:
                outcome = (do(), None)
            except BaseException as e:
                outcome = (None, e)
            self._leave(alone)
            done.put(outcome)

        # a daemon: the end of the program does not wait for what may never return
        thread = threading.Thread(target=run, name="libvirt call", daemon=True)
        try:
            thread.start()
        except RuntimeError as e:  # the system, or the service's TasksMax, has none left
            self._leave(alone)
            raise TooLate(f"{what}: {e}", is_begun=False) from None
        try:
            result, error = done.get(timeout=timeout_s)
        except queue.Empty:
            raise TooLate(f"{what}: no answer within {timeout_s:g} s") from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if it is a T

    def _enter(self, what: str, timeout_s: float, alone: str | None) -> None:
        with self._lock:
            if alone in self._alone:
                raise TooLate(f"{what}: the one before has not returned")
            if alone is not None:
                self._alone.add(alone)
        if not self._places.acquire(timeout=timeout_s):
            self._forget(alone)
            raise TooLate(f"{what}: {self._most} earlier calls have not returned", is_begun=False)

    def _leave(self, alone: str | None) -> None:
        self._forget(alone)
        self._places.release()

    def _forget(self, alone: str | None) -> None:
        with self._lock:
            self._alone.discard(alone or "")
