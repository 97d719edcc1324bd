"""The database goes away and comes back."""

import logging
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import exception as db_exc

from masakari import db, errors
from masakari.clock import SystemClock
from masakari.db import drivers, progress, session, steps
from masakari.db.session import Database
from masakari.tests import servers
from masakari.tests.conftest import StartServer
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.clocks import ManualClock

pytestmark = pytest.mark.functional


@pytest.fixture
def gate(kind: str, server: StartServer) -> Iterator[servers.Gate]:
    with servers.Gate(server(kind).port) as gate:
        yield gate


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(
    migrated_conf: cfg.ConfigOpts, gate: servers.Gate, clock: ManualClock
) -> Iterator[Database]:
    """The database behind the gate."""
    direct = sa.make_url(migrated_conf.database.connection)
    url = direct.set(port=gate.port).render_as_string(hide_password=False)
    migrated_conf.set_override("connection", url, group="database")
    found = session.connect(migrated_conf, clock)
    yield found
    found.dispose()


def test_database_away_raises_soon_and_works_when_it_is_back(
    database: Database, gate: servers.Gate, clock: ManualClock
) -> None:
    rows.host(database)
    gate.shut()

    with pytest.raises(errors.DatabaseUnavailable) as e:
        rows.report(database)

    assert "refused" in e.value.details["detail"]
    assert clock.elapsed_s < 5
    gate.open()
    assert rows.report(database).status == "new"


def test_database_back_within_the_retries_is_not_noticed(
    database: Database, gate: servers.Gate, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.host(database)
    gate.shut()
    monkeypatch.setattr(clock, "sleep", lambda _: gate.open())

    assert rows.report(database).status == "new"


def test_connection_cut_within_a_transaction_leaves_nothing(
    database: Database, gate: servers.Gate
) -> None:
    rows.host(database)
    tries: list[int] = []

    @session.writer
    def cut_once(tx: session.Transaction) -> None:
        tx.connection.execute(sa.update(db.models.hosts).values(type=f"try{len(tries)}"))
        tries.append(1)
        if len(tries) == 1:
            gate.shut()
            gate.open()
        tx.connection.execute(sa.update(db.models.hosts).values(control_attributes="x"))

    cut_once(database)

    assert len(tries) == 2
    host = db.hosts.get_by_name(database, "compute1")
    assert (host.type, host.control_attributes) == ("try1", "x")


def test_outage_logs_no_traceback(
    database: Database,
    migrated_conf: cfg.ConfigOpts,
    gate: servers.Gate,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    backend = progress.connect(migrated_conf, clock)
    rows.host(database)
    steps.recovery_workflow_details(backend, "b")

    @session.writer
    def cut(tx: session.Transaction) -> None:
        tx.connection.execute(sa.update(db.models.hosts).values(type="x"))
        gate.shut()
        tx.connection.execute(sa.update(db.models.hosts).values(type="y"))

    with pytest.raises(errors.DatabaseUnavailable):
        cut(database)
    with pytest.raises(errors.DatabaseUnavailable):
        steps.recovery_workflow_details(backend, "b")

    assert [r.getMessage() for r in caplog.records if r.exc_info] == []
    backend.close()


def test_deadlock_is_run_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real rivals need real pauses: on a clock that all of them put forward, none waits."""
    monkeypatch.setattr(database, "clock", SystemClock())
    s = rows.segment(database)
    for name in ("compute1", "compute2"):
        rows.host(database, name, of=s)
    hosts = db.models.hosts

    @session.writer
    def lock_both(tx: session.Transaction, first: str, second: str) -> None:
        for name in (first, second):
            tx.connection.execute(
                sa.update(hosts).where(hosts.c.name == name).values(type=f"{first}-first")
            )

    outcomes = rows.at_once(
        lambda n: lock_both(database, *sorted(("compute1", "compute2"), reverse=bool(n % 2)))
    )

    assert outcomes == [None] * 16


def test_transaction_of_who_has_vanished_locks_nobody_out(
    migrated_conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that lost its power closes no connection."""
    monkeypatch.setattr(drivers, "ABANDONED_S", 1)
    vanished, other = (session.connect(migrated_conf, SystemClock()) for _ in range(2))
    segment = rows.segment(other)
    host = rows.host(other, of=segment)
    change = sa.update(db.models.hosts).values(type="vanished")

    with pytest.raises(db_exc.DBError), vanished.writing() as tx:
        tx.connection.execute(change)
        db.hosts.update(other, segment.uuid, host.uuid, {"type": "other"})
        tx.connection.execute(change)

    assert db.hosts.get_by_name(other, "compute1").type == "other"
    for database in (vanished, other):
        database.dispose()


def test_leases_are_the_servers_time(database: Database, clock: ManualClock) -> None:
    """The program's clock, here decades off, does not matter."""
    rows.host(database)
    n = rows.report(database)
    claimed = db.leases.claim(database, n.notification_uuid, owner="a", lease_s=600)
    clock.advance(10**9)

    with database.reading() as tx:
        left = (claimed.lease_until - tx.now()).total_seconds()
    assert 590 < left <= 600
    assert db.leases.renew(database, n.notification_uuid, owner="a", lease_s=600)
