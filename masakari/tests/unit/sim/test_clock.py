"""Simulated time: order, jumps, signals, death, errors."""

import concurrent.futures
import datetime
import threading

import pytest

from masakari import clock as clock_
from masakari.sim import clock as sim_clock


@pytest.fixture
def clock():
    with sim_clock.SimClock() as clock:
        yield clock


def test_sleep_moves_time_at_once(clock):
    clock.sleep(180.5)

    assert clock.monotonic() == 180.5
    assert clock.now() == datetime.datetime(2026, 1, 1, 0, 3, 0, 500000)


def test_sleep_of_less_than_a_microsecond_still_moves_time(clock):
    clock.sleep(1e-9)

    assert clock.monotonic() == 1e-6


def test_wait_until_on_simulated_time_asks_until_the_bound(clock):
    asked = []

    arrived = clock_.wait_until(clock, lambda: asked.append(clock.monotonic()), 1, every=0.4)

    assert not arrived
    assert asked == [0, 0.4, 0.8, 1.0]


def test_wait_until_with_soonest_asks_ever_more_rarely(clock):
    asked = []

    clock_.wait_until(clock, lambda: asked.append(clock.monotonic()), 50, every=1, soonest=0.1)

    assert asked[:3] == pytest.approx([0, 0.1, 0.2])
    assert asked[-2] - asked[-3] == pytest.approx(1)
    assert asked[-1] == 50


def test_threads_take_turns_by_wake_time_then_by_sequence(clock):
    log = []

    def worker(name, pauses):
        for pause in pauses:
            clock.sleep(pause)
            log.append((clock.monotonic(), name))

    clock.spawn(lambda: worker("a", [3, 1]))
    clock.spawn(lambda: worker("b", [1, 2, 1]))
    clock.run_until(10)

    assert log == [(1, "b"), (3, "a"), (3, "b"), (4, "a"), (4, "b")]
    assert clock.monotonic() == 10


def test_sleep_zero_lets_everyone_else_that_is_due_run_first(clock):
    log = []
    clock.spawn(lambda: log.append("first"))
    clock.spawn(lambda: log.append("second"))

    clock.sleep(0)

    assert log == ["first", "second"]
    assert clock.monotonic() == 0


def test_call_at_runs_at_that_time_in_the_given_group(clock):
    seen = []

    clock.call_at(7, lambda: seen.append((clock.monotonic(), clock.group())), group="cloud")
    clock.run_until(20)

    assert seen == [(7, "cloud")]


def test_spawn_without_group_inherits_that_of_the_spawner(clock):
    groups = []

    def parent():
        groups.append(clock.group())
        clock.spawn(lambda: groups.append(clock.group()))

    clock.spawn(parent, group="engine-a")
    clock.run_until(1)

    assert groups == ["engine-a", "engine-a"]


def test_event_wait_ends_when_set_and_not_before(clock):
    event = clock.event()
    clock.call_at(5, event.set)

    assert not event.wait(2)
    assert clock.monotonic() == 2
    assert event.wait(60)
    assert clock.monotonic() == 5
    assert event.wait(60)
    event.clear()
    assert not event.wait(1)


def test_event_set_wakes_all_waiters_in_order_of_their_waiting(clock):
    event = clock.event()
    log = []
    for name in "abc":
        clock.spawn(lambda name=name: (event.wait(), log.append(name)))
    clock.run_until(1)

    event.set()
    event.clear()
    clock.sleep(0)

    assert log == ["a", "b", "c"]


def test_event_set_after_a_timeout_does_not_wake_a_later_wait(clock):
    first, second = clock.event(), clock.event()
    log = []

    def waiter():
        log.append((first.wait(1), clock.monotonic()))
        log.append((second.wait(10), clock.monotonic()))

    clock.spawn(waiter)
    clock.call_at(3, first.set)
    clock.run_until(20)

    assert log == [(False, 1), (False, 11)]


def test_run_until_predicate_tells_whether_it_came_true(clock):
    done = clock.event()
    clock.call_at(30, done.set)

    assert clock.run_until(done.is_set, limit=60)
    assert clock.monotonic() == 30
    assert not clock.run_until(lambda: False, limit=5)
    assert clock.monotonic() == 35


def test_kill_stops_threads_where_they_are_without_unwinding(clock):
    log = []

    def worker():
        try:
            while True:
                clock.sleep(1)
                log.append(clock.monotonic())
        finally:
            log.append("unwound")

    clock.spawn(worker, group="engine-a")
    clock.call_at(2.5, lambda: clock.kill("engine-a"), group="sim")
    clock.run_until(10)

    assert log == [1, 2]
    clock.close()
    assert log == [1, 2, "unwound"]


def test_die_inside_a_thread_ends_the_whole_group_and_no_other(clock):
    log = []

    def tick(name):
        while True:
            clock.sleep(1)
            log.append((name, clock.monotonic()))

    def fatal():
        clock.sleep(2.5)
        clock.die()
        log.append("survived")

    clock.spawn(lambda: tick("a"), group="engine-a")
    clock.spawn(fatal, group="engine-a")
    clock.spawn(lambda: tick("b"), group="engine-b")
    clock.run_until(4.5)

    assert log == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 3), ("b", 4)]


def test_killed_group_that_runs_itself_dies_at_its_next_call(clock):
    log = []

    def worker():
        clock.spawn(lambda: log.append("child"))
        clock.kill(clock.group())
        log.append(clock.now())
        clock.sleep(0)
        log.append("survived")

    clock.spawn(worker, group="engine-a")
    clock.run_until(5)

    assert log == [sim_clock.START]


def test_kill_of_a_thread_that_has_not_begun_keeps_it_from_running(clock):
    log = []
    clock.call_at(5, lambda: log.append("ran"), group="engine-a")

    clock.kill("engine-a")
    clock.spawn(lambda: log.append("restarted"), group="engine-a")
    clock.run_until(10)

    assert log == ["restarted"]


def test_frozen_group_misses_its_turns_and_goes_on_when_thawed(clock):
    log = []

    def tick(name):
        while True:
            clock.sleep(1)
            log.append((name, clock.monotonic()))

    clock.spawn(lambda: tick("a"), group="engine-a")
    clock.spawn(lambda: tick("b"), group="engine-b")
    clock.call_at(1.5, lambda: clock.freeze("engine-a"), group="sim")
    clock.call_at(3.5, lambda: clock.thaw("engine-a"), group="sim")
    clock.run_until(4.6)

    assert log == [("a", 1), ("b", 1), ("b", 2), ("b", 3), ("a", 3.5), ("b", 4), ("a", 4.5)]


def test_event_set_does_not_wake_the_dead(clock):
    event = clock.event()
    log = []
    clock.spawn(lambda: log.append(event.wait()), group="engine-a")
    clock.run_until(1)

    clock.kill("engine-a")
    event.set()
    clock.run_until(2)

    assert log == []


def test_error_of_a_thread_reaches_the_driver_at_that_time(clock):
    def broken():
        clock.sleep(3)
        raise LookupError("no such host")

    clock.spawn(broken, name="poller", group="engine-a")

    with pytest.raises(LookupError, match="no such host") as caught:
        clock.run_until(100)
    assert clock.monotonic() == 3
    assert caught.value.__notes__ == ["in thread engine-a/poller at 3 s"]


def test_endless_wait_of_the_driver_is_reported_with_who_waits(clock):
    clock.spawn(clock.event().wait, name="idle", group="engine-a")

    with pytest.raises(sim_clock.SimulationError, match=r"engine-a/idle \(waits for an event\)"):
        clock.event().wait()


def test_time_that_does_not_pass_is_reported(clock, monkeypatch):
    monkeypatch.setattr(sim_clock, "SAME_INSTANT", 1000)

    def spin():
        while True:
            clock.sleep(0)

    clock.spawn(spin, name="spinner", group="engine-a")

    with pytest.raises(sim_clock.SimulationError, match="engine-a/spinner"):
        clock.sleep(1)


def test_thread_that_keeps_the_baton_is_reported_with_its_stack(clock, monkeypatch):
    monkeypatch.setattr(sim_clock, "STUCK_S", 0.05)
    gate = threading.Event()
    clock.spawn(gate.wait, name="blocked", group="engine-a")

    try:
        with pytest.raises(sim_clock.SimulationError, match=r"engine-a/blocked[\s\S]*wait"):
            clock.sleep(1)
    finally:
        gate.set()


def test_wait_of_a_foreign_thread_is_refused(clock):
    caught = []

    def foreign():
        try:
            clock.sleep(1)
        except sim_clock.SimulationError as error:
            caught.append(str(error))

    thread = threading.Thread(target=foreign, name="stranger")
    thread.start()
    thread.join()

    assert "stranger" in caught[0]


def test_close_leaves_no_thread_behind():
    def left():
        return [t for t in threading.enumerate() if t.name == "engine-a/waiter"]

    with sim_clock.SimClock() as clock:
        for _ in range(10):
            clock.spawn(clock.event().wait, name="waiter", group="engine-a")
        clock.sleep(1)
        assert len(left()) == 10

    assert left() == []


def test_two_runs_of_the_same_program_take_the_same_turns():
    def run():
        log = []
        with sim_clock.SimClock() as clock:
            pool = sim_clock.SimExecutor(clock, max_workers=3)
            for number in range(20):
                pool.submit(lambda n=number: (clock.sleep(n % 4 / 10), log.append(n)))
            clock.run_until(60)
        return log

    assert run() == run()


# ---- executor


def test_executor_result_waits_in_simulated_time(clock):
    pool = sim_clock.SimExecutor(clock)

    future = pool.submit(lambda: (clock.sleep(30), clock.monotonic())[1])

    assert future.result() == 30
    assert clock.monotonic() == 30


def test_executor_runs_no_more_than_its_workers_at_a_time(clock):
    pool = sim_clock.SimExecutor(clock, max_workers=2)
    running, peak = [], []

    def job():
        running.append(1)
        peak.append(len(running))
        clock.sleep(1)
        running.pop()

    with pool:
        for _ in range(5):
            pool.submit(job)

    assert max(peak) == 2
    assert clock.monotonic() == 3


def test_executor_result_raises_what_the_job_raised(clock):
    pool = sim_clock.SimExecutor(clock)

    def job():
        clock.sleep(1)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        pool.submit(job).result()


def test_executor_result_times_out_in_simulated_time(clock):
    future = sim_clock.SimExecutor(clock).submit(lambda: clock.sleep(60))

    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=5)
    assert clock.monotonic() == 5


def test_executor_worker_belongs_to_the_group_that_submits(clock):
    pool = sim_clock.SimExecutor(clock)
    groups = []
    clock.spawn(lambda: pool.submit(lambda: groups.append(clock.group())), group="engine-a")

    clock.run_until(1)

    assert groups == ["engine-a"]


def test_executor_map_and_shutdown(clock):
    with sim_clock.SimExecutor(clock, max_workers=4) as pool:
        squares = list(pool.map(lambda n: (clock.sleep(n), n * n)[1], [3, 1, 2]))

    assert squares == [9, 1, 4]
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(lambda: None)


def test_executor_shutdown_can_cancel_what_has_not_begun(clock):
    pool = sim_clock.SimExecutor(clock, max_workers=1)
    first, second = pool.submit(lambda: clock.sleep(5)), pool.submit(lambda: None)
    clock.sleep(1)

    pool.shutdown(cancel_futures=True)

    assert first.done()
    assert second.cancelled()
    assert clock.monotonic() == 5
