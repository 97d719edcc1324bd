"""Simulated time: threads take turns, and the clock jumps to whoever is due next.

There is one baton.  The thread that holds it runs; when it sleeps or waits it hands the baton to
the thread that is due next, in the order of (wake time, sequence number), and the time becomes that
thread's wake time.  So 180 s pass in microseconds, and the same program does the same things in
the same order every time.  The thread that made the clock is the *driver*: it takes part like the
others and additionally receives their errors.

A *group* of threads stands for a process.  `kill` stops a group where it is, as kill -9 does: its
threads never run again, not even their `finally` blocks.  (`close` unwinds them with `Killed` when
the simulation is over, so that no thread is left behind.)
"""

import collections
import concurrent.futures
import contextlib
import datetime
import heapq
import itertools
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from masakari import clock as clock_

P = ParamSpec("P")
T = TypeVar("T")

START = datetime.datetime(2026, 1, 1)
DRIVER = "driver"
HORIZON_S = 4 * 3600.0
"""For so long the driver waits at most without a timeout, in simulated seconds."""
STUCK_S = 30.0
"""For so long a thread may keep the baton, in real seconds."""
SAME_INSTANT = 200_000
"""So many turns may be taken without time passing."""


class Killed(BaseException):
    """The group of this thread is gone; nothing but unwinding is left."""


class SimulationError(Exception):
    """The simulated program cannot go on: the message says which thread waits for what."""


class _Thread:
    """What the clock knows of one thread."""

    def __init__(self, name: str, group: str, target: Callable[[], object] | None) -> None:
        self.name = name
        self.group = group
        self.target = target
        self.turn = threading.Semaphore(0)
        self.ticket = 0
        """Entries of the schedule with another ticket are void."""
        self.signalled = False
        self.awaits = "its first turn"
        self.killed = False
        self.os_thread: threading.Thread | None = None

    def __str__(self) -> str:
        return f"{self.group}/{self.name} ({'killed' if self.killed else self.awaits})"


class SimClock:
    """A clock.Clock whose time passes only while every thread waits."""

    def __init__(self, start: datetime.datetime = START) -> None:
        self._start = start
        self._us = 0
        self._schedule: list[tuple[int, int, _Thread, int]] = []
        self._sequence = itertools.count()
        self._instant = 0
        self._local = threading.local()
        self._driver = _Thread("main", DRIVER, None)
        self._local.thread = self._driver
        self._running = self._driver
        self._turns = 0
        self._threads: dict[_Thread, None] = {}
        self._frozen: dict[str, list[tuple[_Thread, int]]] = {}
        """Threads (with their tickets) that were due while their group was frozen."""
        self._errors: list[BaseException] = []
        self._closing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- clock.Clock

    def now(self) -> datetime.datetime:
        """The simulated UTC, naive; any thread may ask."""
        return self._start + datetime.timedelta(microseconds=self._us)

    def monotonic(self) -> float:
        """Simulated seconds since the start; any thread may ask."""
        return self._us / 1e6

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock by so many seconds; time goes on as before."""
        self._start += datetime.timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Return when *seconds* have passed; with 0 when everyone else due now had a turn."""
        self._pause(self._after(seconds), f"sleeps {seconds:g} s")

    def event(self) -> "SimEvent":
        """A new event that waits on this clock."""
        return SimEvent(self)

    # ---- for those who build a simulation

    def spawn(
        self, target: Callable[[], object], *, name: str = "", group: str | None = None
    ) -> None:
        """*target* runs in a thread of its own as soon as it is its turn.

        Without *group* it belongs to the group of the thread that asks.
        """
        self.call_at(self.monotonic(), target, name=name, group=group)

    def call_at(
        self, at: float, target: Callable[[], object], *, name: str = "", group: str | None = None
    ) -> None:
        """*target* runs in a thread of its own when `monotonic()` is *at*."""
        self.checkpoint()
        number = next(self._sequence)
        thread = _Thread(
            name or getattr(target, "__name__", f"thread-{number}"),
            self._me().group if group is None else group,
            target,
        )
        self._threads[thread] = None
        self._enter(thread, max(self._us, round(at * 1e6)))

    def run_until(
        self, until: float | Callable[[], bool], limit: float = HORIZON_S, every: float = 1.0
    ) -> bool:
        """Let the others run until `monotonic()` is *until*, or until the predicate is true.

        The predicate is asked at once and each *every* seconds, for *limit* seconds; the answer is
        whether it became true.
        """
        if callable(until):
            return clock_.wait_until(self, until, limit, every)
        if until > self.monotonic():
            self.sleep(until - self.monotonic())
        return True

    def group(self) -> str:
        """The group of the thread that asks; the driver's for threads that are not the clock's."""
        thread = getattr(self._local, "thread", None)
        return thread.group if isinstance(thread, _Thread) else DRIVER

    def is_dead(self) -> bool:
        """Whether the thread that asks belongs to a group that was killed."""
        thread = getattr(self._local, "thread", None)
        return isinstance(thread, _Thread) and thread.killed

    def kill(self, group: str) -> None:
        """The threads of *group* never run again; later ones of that name are new ones.

        Whoever asks goes on; a thread of the group itself dies at its next call of the clock.
        """
        if group == DRIVER:
            raise SimulationError("the driver cannot be killed")
        for thread in [t for t in self._threads if t.group == group and not t.killed]:
            thread.killed = True
            thread.ticket += 1
            if thread.os_thread is None:
                del self._threads[thread]

    def freeze(self, group: str) -> None:
        """The threads of *group* are due and do not run until `thaw`, as after SIGSTOP.

        A thread of the group itself stops at its next call of the clock that waits.
        """
        if group == DRIVER:
            raise SimulationError("the driver cannot be frozen")
        self._frozen.setdefault(group, [])

    def thaw(self, group: str) -> None:
        """The threads of *group* go on; what was due is due now."""
        for thread, ticket in self._frozen.pop(group, []):
            if thread.ticket == ticket:
                self._enter(thread, self._us)

    def die(self) -> None:
        """Kill the group of the thread that calls; does not return."""
        self.kill(self._me().group)
        self.checkpoint()

    def checkpoint(self) -> None:
        """Return, unless the thread's group was killed."""
        me = self._me()
        if me.killed and not self._closing:
            self._hand_over()
            me.turn.acquire()
        if me.killed:
            raise Killed

    def close(self) -> None:
        """Unwind every thread that is left; the driver calls this at the end."""
        self._closing = True
        for thread in list(self._threads):
            thread.killed = True
            if thread.os_thread is None:
                continue
            thread.turn.release()
            thread.os_thread.join(STUCK_S)
            if thread.os_thread.is_alive():
                raise SimulationError(f"{thread} does not end\n{_stack(thread)}")
        self._threads.clear()

    # ---- waiting

    def _me(self) -> _Thread:
        thread = getattr(self._local, "thread", None)
        if not isinstance(thread, _Thread):
            raise SimulationError(
                f"thread {threading.current_thread().name} waits on a clock that it does not "
                "belong to: start it with SimClock.spawn"
            )
        return thread

    def _after(self, seconds: float) -> int:
        """The microsecond *seconds* from now; later than now if they are positive."""
        return self._us + (max(1, round(seconds * 1e6)) if seconds > 0 else 0)

    def _enter(self, thread: _Thread, due: int) -> None:
        heapq.heappush(self._schedule, (due, next(self._sequence), thread, thread.ticket))

    def _pause(self, due: int | None, awaits: str) -> bool:
        """Hand the baton over; whether a signal ended the wait, and not the time."""
        self.checkpoint()
        me = self._me()
        me.ticket += 1
        me.signalled = False
        me.awaits = awaits
        unbounded = due is None
        if unbounded and me is self._driver:
            due = self._after(HORIZON_S)
        if due is not None:
            self._enter(me, due)
        self._hand_over()
        self._await_turn(me)
        if unbounded and not me.signalled:
            self._deadlock()
        return me.signalled

    def _signal(self, thread: _Thread, ticket: int) -> None:
        """End the wait that *ticket* stands for."""
        if thread.ticket == ticket and not thread.killed:
            thread.ticket += 1
            thread.signalled = True
            self._enter(thread, self._us)

    def _hand_over(self) -> None:
        """The thread that is due next has the baton."""
        thread = self._next()
        self._running = thread
        self._turns += 1
        if thread.os_thread is None and thread is not self._driver:
            thread.os_thread = threading.Thread(
                target=self._run, args=(thread,), name=f"{thread.group}/{thread.name}", daemon=True
            )
            thread.os_thread.start()
        else:
            thread.turn.release()

    def _next(self) -> _Thread:
        while self._schedule:
            due, _, thread, ticket = heapq.heappop(self._schedule)
            if thread.ticket != ticket:
                continue
            if thread.group in self._frozen:
                self._frozen[thread.group].append((thread, ticket))
                continue
            if due > self._us:
                self._us = due
                self._instant = 0
            self._instant += 1
            if self._instant > SAME_INSTANT:
                self._instant = 0
                self._errors.append(SimulationError(f"time does not pass: {thread} runs again"))
                return self._driver
            return thread
        # Only a driver that has ended its part leaves the schedule empty.
        return self._driver

    def _await_turn(self, me: _Thread) -> None:
        if me is self._driver:
            turns = -1
            while not me.turn.acquire(timeout=STUCK_S):
                if turns == self._turns:
                    raise SimulationError(
                        f"{self._running} keeps the baton: it waits for something that is not "
                        f"the clock\n{_stack(self._running)}"
                    )
                turns = self._turns
            self._raise_errors()
            return
        me.turn.acquire()
        if me.killed:
            raise Killed

    def _run(self, thread: _Thread) -> None:
        """The body of every thread but the driver's."""
        self._local.thread = thread
        target = thread.target
        try:
            if target is not None:
                target()
        except Killed:
            pass
        except BaseException as error:  # the driver shall see it, whatever it is
            error.add_note(f"in thread {thread.group}/{thread.name} at {self.monotonic():g} s")
            self._errors.append(error)
            self._driver.ticket += 1
            self._enter(self._driver, self._us)
        finally:
            self._threads.pop(thread, None)
            if not self._closing:
                self._hand_over()

    def _raise_errors(self) -> None:
        errors, self._errors = self._errors, []
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("threads of the simulation failed", errors)

    def _deadlock(self) -> None:
        waiting = "\n".join(f"  {thread}" for thread in [self._driver, *self._threads])
        raise SimulationError(f"nobody will end the wait of the driver:\n{waiting}")


class SimEvent:
    """A clock.Event on simulated time."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._flag = False
        self._waiters: list[tuple[_Thread, int]] = []

    def set(self) -> None:
        """Every present and later `wait` returns when it has its turn."""
        self._flag = True
        waiters, self._waiters = self._waiters, []
        for thread, ticket in waiters:
            self._clock._signal(thread, ticket)

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._flag

    def clear(self) -> None:
        """Later waits wait again."""
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it was set within *timeout* simulated seconds (None: without bound)."""
        clock = self._clock
        clock.checkpoint()
        if self._flag:
            return True
        me = clock._me()
        entry = (me, me.ticket + 1)
        self._waiters.append(entry)
        due = None if timeout is None else clock._after(timeout)
        signalled = clock._pause(due, "waits for an event")
        if not signalled:
            with contextlib.suppress(ValueError):
                self._waiters.remove(entry)
        return signalled or self._flag


class SimFuture(concurrent.futures.Future[T]):
    """A Future that is waited for on a SimClock."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._settled = clock.event()
        self.add_done_callback(lambda _: self._settled.set())

    def result(self, timeout: float | None = None) -> T:
        """As Future.result, in simulated seconds."""
        self._await(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As Future.exception, in simulated seconds."""
        self._await(timeout)
        return super().exception(0)

    def _await(self, timeout: float | None) -> None:
        if not self.done():
            self._settled.wait(timeout)


class SimExecutor(concurrent.futures.Executor):
    """An Executor whose workers are threads of a SimClock.

    Workers belong to the group of the thread that submits; they end when there is nothing to do.
    """

    def __init__(self, clock: SimClock, max_workers: int = 1000, name: str = "worker") -> None:
        self._clock = clock
        self._max_workers = max_workers
        self._name = name
        self._numbers = itertools.count(1)
        self._jobs: collections.deque[tuple[SimFuture[Any], Callable[[], Any]]] = (
            collections.deque()  # Any: whatever the callers' functions return
        )
        self._workers = 0
        self._idle = clock.event()
        self._idle.set()
        self._open = True

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[T]:
        """As Executor.submit."""
        if not self._open:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self._clock.checkpoint()
        future: SimFuture[T] = SimFuture(self._clock)
        self._jobs.append((future, lambda: fn(*args, **kwargs)))
        if self._workers < self._max_workers:
            self._workers += 1
            self._idle.clear()
            self._clock.spawn(self._work, name=f"{self._name}-{next(self._numbers)}")
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As Executor.shutdown."""
        self._open = False
        if cancel_futures:
            while self._jobs:
                self._jobs.popleft()[0].cancel()
        if wait:
            self._idle.wait()

    def _work(self) -> None:
        while self._jobs:
            future, job = self._jobs.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)
        self._workers -= 1
        if not self._workers:
            self._idle.set()


def _stack(thread: _Thread) -> str:
    """Where *thread* is, as a traceback."""
    ident = threading.main_thread().ident if thread.os_thread is None else thread.os_thread.ident
    frame = sys._current_frames().get(ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "(ended)"
