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


class Calls:
    """Makes calls in threads of their own, at most *most* at a time; for many threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places = threading.BoundedSemaphore(most)

    def call(self, what: str, do: Callable[[], T], timeout_s: float) -> T:
        """What *do* returns or raises.  Raises TooLate, with *what* in its words."""
        if not self._places.acquire(timeout=timeout_s):
            raise TooLate(f"{what}: {self._most} earlier calls have not returned")
        done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                done.put((do(), None))
            except BaseException as e:
                done.put((None, e))
            finally:
                self._places.release()

        # a daemon: the end of the program does not wait for what may never return
        threading.Thread(target=run, name="libvirt call", daemon=True).start()
        try:
            result, error = done.get(timeout=timeout_s)
        except queue.Empty:
            raise TooLate(f"{what}: no answer within {timeout_s:g} s") from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if it is a T
