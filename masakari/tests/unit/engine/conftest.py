"""An engine's surroundings: the simulated cloud and clock, a fresh SQLite database."""

import pytest

from masakari import db, locks
from masakari.clock import Clock
from masakari.cloud import service_of
from masakari.contacts import Contacts
from masakari.engine import death, exclusions, flows
from masakari.engine.leases import Lease
from masakari.engine.world import Job, World
from masakari.errors import HostNameUnknown
from masakari.metrics import Tally
from masakari.pulse import Pulse
from masakari.sim.clock import SimClock, SimExecutor
from masakari.sim.cloud import Settings, SimCloud
from masakari.tests.unit.db import rows

LEASE_S = 10_000.0


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


@pytest.fixture
def cloud(clock: Clock) -> SimCloud:
    return SimCloud(clock, Settings(service_down_time_s=6, report_interval_s=2, evacuation_s=10))


@pytest.fixture
def world(migrated_conf, connect_database, clock, cloud):
    """The surroundings of `engine-a`."""
    progress = db.progress.connect(migrated_conf, clock)
    yield World(
        conf=migrated_conf,
        database=connect_database(clock),
        progress=progress,
        cloud=cloud,
        clock=clock,
        pool=lambda threads, name: SimExecutor(clock, threads, name),
        owner="engine-a",
        locks=locks.MemoryLocks({}),
        exclusions=exclusions.load(None),
        flows=flows.load(migrated_conf),
        pulse=Pulse(clock),
        contacts=Contacts(clock),
        meter=Tally(),
    )
    progress.close()


@pytest.fixture
def segment(world):
    return rows.segment(world.database)


@pytest.fixture
def claim(world, segment):
    """claim(host name, type=, payload=, ...): the job of a new notification about the host."""

    def call(hostname: str = "compute1", **report: object) -> Job:
        try:
            host = db.hosts.get_by_name(world.database, hostname)
        except HostNameUnknown:
            host = rows.host(world.database, hostname, segment)
        n = db.reports.report(
            world.database,
            hostname=hostname,
            likeness=db.reports.Likeness(equal_s=0),
            **{"type": "COMPUTE_HOST", "payload": rows.STOPPED, **report},
            generated_time=world.clock.now(),
        )
        uuid = n.notification_uuid
        n = db.leases.claim(world.database, uuid, owner=world.owner, lease_s=LEASE_S)
        assert n is not None
        lease = Lease(world.clock, uuid, world.clock.monotonic() + LEASE_S)
        return Job(world, n, host, lease, claimed_at=world.clock.monotonic())

    return call


@pytest.fixture
def prove_dead(claim):
    """prove_dead(host name): the host's death is on record; the job that has recorded it."""

    def call(hostname: str) -> Job:
        job = claim(hostname)
        assert db.hosts.begin_maintenance(job.world.database, job.host.uuid, by=job.uuid)
        death.record(job, service_of(job.world.cloud, hostname))
        return job

    return call
