"""The threads of an engine say that they get on, and are missed when they do not."""

import contextlib
import dataclasses

import pytest

from masakari.db.session import Database
from masakari.engine.service import Engine
from masakari.sim.clock import SimExecutor

LONG_S = 1_000.0


class HangingDatabase(Database):
    """From a moment on it neither answers nor fails."""

    hangs = False
    hangs_on_writes = False

    @contextlib.contextmanager
    def reading(self):
        self._hang(self.hangs)
        with super().reading() as tx:
            yield tx

    @contextlib.contextmanager
    def writing(self):
        self._hang(self.hangs or self.hangs_on_writes)
        with super().writing() as tx:
            yield tx

    def _hang(self, hangs):
        if hangs:
            self.clock.sleep(LONG_S)


@pytest.fixture
def hanging(world):
    """The surroundings of an engine whose database can hang."""
    database = HangingDatabase(world.database.engine, world.clock)
    return dataclasses.replace(world, database=database)


def test_engine_that_is_idle_gets_on(world):
    engine = Engine(world)
    engine.start()
    world.clock.sleep(LONG_S)

    assert set(world.pulse.ages()) == {"leases", "sweep"}
    assert world.pulse.stalled() == []
    engine.stop()
    assert world.pulse.ages() == {}


def test_sweep_whose_database_hangs_is_missed(hanging):
    engine = Engine(hanging)
    engine.start()
    hanging.clock.sleep(60)
    hanging.database.hangs = True
    hanging.clock.sleep(60)

    assert hanging.pulse.stalled() == []
    hanging.clock.sleep(120)
    assert hanging.pulse.stalled() == ["sweep"]
    hanging.database.hangs = False
    hanging.clock.sleep(LONG_S)
    assert hanging.pulse.stalled() == []
    engine.stop()


def test_renewer_whose_database_hangs_is_missed(hanging, claim):
    job = claim()
    engine = Engine(hanging)
    engine.start()
    with engine._leases.hold(job.uuid, hanging.clock.monotonic()):
        hanging.clock.sleep(60)
        hanging.database.hangs = True
        hanging.clock.sleep(200)

        assert "leases" in hanging.pulse.stalled()
        hanging.database.hangs = False
        hanging.clock.sleep(LONG_S)
    assert hanging.pulse.stalled() == []
    engine.stop()


class LazyExecutor(SimExecutor):
    """Begins nothing until it is told to."""

    is_lazy = True

    def submit(self, fn, /, *args, **kwargs):
        if fn.__name__ != "_recover" or not self.is_lazy:
            return super().submit(fn, *args, **kwargs)
        self.left = (fn, *args)
        return None

    def wake(self):
        super().submit(*self.left)


def test_pool_that_does_not_begin_what_it_was_given_is_missed(world, claim):
    pools = []

    def pool(threads, name):
        pools.append(LazyExecutor(world.clock, threads, name))
        return pools[-1]

    engine = Engine(dataclasses.replace(world, pool=pool))
    engine.start()
    engine.recover(claim().uuid)
    world.clock.sleep(100)

    assert world.pulse.stalled() == []
    world.clock.sleep(60)
    assert world.pulse.stalled() == ["recovery"]
    pools[0].wake()
    world.clock.sleep(1)
    assert world.pulse.stalled() == []
    engine.stop()


def test_pool_whose_threads_are_all_busy_is_not_missed(hanging, claim):
    hanging.conf.set_override("recovery_threads", 1, group="engine")
    first, second = claim("compute1").uuid, claim("compute2").uuid
    engine = Engine(hanging)
    engine.start()
    hanging.clock.sleep(1)
    hanging.database.hangs_on_writes = True  # as the claim does
    engine.recover(first)
    hanging.clock.sleep(1)
    engine.recover(second)
    hanging.clock.sleep(1000)

    assert "recovery" not in hanging.pulse.ages()
    hanging.database.hangs_on_writes = False
    hanging.clock.sleep(LONG_S)
    engine.stop()
