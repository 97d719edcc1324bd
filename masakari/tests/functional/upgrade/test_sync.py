"""db sync that is killed, that runs twice at once, that may not do what it has to."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from masakari.clock import SystemClock
from masakari.tests import conftest, servers
from masakari.tests.functional.program import wait
from masakari.tests.functional.upgrade import openstack

pytestmark = pytest.mark.functional

MANAGE = Path(sys.executable).parent / "masakari-manage"
SERVERS = [openstack.uuid(n) for n in range(80, 84)]


class Sync:
    """masakari-manage db … on one database."""

    def __init__(self, directory, url):
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self._directory = directory
        self._url = url

    def start(self, *argv, url=None):
        config = self._directory / "masakari.conf"
        config.write_text(
            f"[DEFAULT]\nstate_path = {self._directory}\n"
            f"[database]\nconnection = {url or self._url}\n"
        )
        return subprocess.Popen(
            [MANAGE, "--config-file", config, "db", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv, url=None):
        """(status, stdout, stderr)"""
        process = self.start(*argv, url=url)
        out, err = process.communicate(timeout=120)
        return process.returncode, out.strip(), err.strip()


@pytest.fixture(params=servers.DATABASES)
def sync(request, server, tmp_path):
    with conftest.fresh_database(server, request.param) as url:
        yield Sync(tmp_path, url)


def fill(sync):
    openstack.create(sync.engine, openstack.INITIAL)
    openstack.fill(sync.engine, openstack.INITIAL, SystemClock().now(), SERVERS)


@contextlib.contextmanager
def used(engine, table):
    """Somebody is reading the table: it cannot be altered meanwhile."""
    with engine.connect() as connection:
        connection.execute(sa.text(f"SELECT * FROM {table}")).all()
        yield


def waits_for_a_lock(engine):
    """Whether a program waits for another one's lock, in this database."""
    queries = {
        "mysql": "SELECT COUNT(*) FROM information_schema.processlist p"
        " LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id"
        " WHERE p.db = DATABASE()"
        " AND (p.state LIKE 'Waiting for table metadata lock' OR t.trx_state = 'LOCK WAIT')",
        "postgresql": "SELECT COUNT(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'",
    }
    with engine.connect() as connection:
        return connection.execute(sa.text(queries[engine.dialect.name])).scalar_one() > 0


def test_sync_killed_in_the_middle_is_done_again(sync):
    """MySQL keeps what was done of a revision; PostgreSQL keeps nothing."""
    fill(sync)
    with used(sync.engine, "hosts"):
        killed = sync.start("sync")
        wait("it alters a table", lambda: waits_for_a_lock(sync.engine), 60)
        killed.kill()
        killed.communicate()

    status, _, err = sync.run("sync")

    assert (status, err) == (0, "")
    columns = {c["name"] for c in sa.inspect(sync.engine).get_columns("hosts")}
    assert {"maintenance_by", "reserved_for", "reserved_undo"} <= columns
    with sync.engine.connect() as connection:
        query = sa.text("SELECT COUNT(*) FROM notifications")
        assert connection.execute(query).scalar_one() == len(openstack.NOTIFICATIONS)


def test_two_syncs_at_once_both_succeed(sync):
    fill(sync)

    both = [sync.start("sync") for _ in range(2)]

    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [err for _, err in said] == ["", ""]


def test_sync_without_the_right_is_one_sentence(sync):
    fill(sync)
    name = sync.engine.url.database
    if sync.engine.dialect.name == "mysql":
        rights = (
            "DROP USER IF EXISTS reader@'127.0.0.1'",
            "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'secret'",
            f"GRANT SELECT ON {name}.* TO reader@'127.0.0.1'",
        )
    else:
        rights = (
            f"DO $$ BEGIN CREATE ROLE reader_{name} LOGIN PASSWORD 'secret';"
            " EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{name}",
        )
    with sync.engine.begin() as connection:
        for statement in rights:
            connection.exec_driver_sql(statement)
    user = "reader" if sync.engine.dialect.name == "mysql" else f"reader_{name}"
    url = sync.engine.url.set(username=user).render_as_string(hide_password=False)

    status, out, err = sync.run("sync", url=url)
    if sync.engine.dialect.name == "postgresql":
        with sync.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {user}")
            connection.exec_driver_sql(f"DROP ROLE {user}")

    assert (status, out) == (1, "")
    assert err.startswith("masakari-manage: The database's user may not do that. (")
    assert len(err.splitlines()) == 1
    assert "secret" not in err


def test_purge_killed_in_the_middle_leaves_nothing_half(sync):
    """Whatever is there, each notification has its vmoves; the next run takes the rest."""
    sync.run("sync")
    fill_with_old(sync.engine, 300, moves_each=4)

    with sync.engine.begin() as connection:
        last = "SELECT id FROM notifications ORDER BY id DESC LIMIT 1 FOR UPDATE"
        connection.exec_driver_sql(last)
        purge = sync.start("purge")
        # the vmoves of its batch are deleted then, the notifications are not, nor is it committed
        wait("it waits for the row", lambda: waits_for_a_lock(sync.engine), 60)
        purge.kill()
        purge.communicate()

    notifications, moves = left(sync.engine)
    assert 0 < notifications <= 300
    assert moves == 4 * notifications
    status, out, err = sync.run("purge")
    assert (status, err) == (0, "")
    assert f"notifications{notifications:>15} deleted" in out.splitlines()
    assert left(sync.engine) == (0, 0)


def fill_with_old(engine, notifications, moves_each):
    """Notifications that were finished long ago, with vmoves."""
    then = "2020-01-01"
    old = [
        f"('{then}', '{then}', 0, '{openstack.uuid(n)}', '{then}', '{openstack.uuid(n)}', 'VM',"
        " 'finished')"
        for n in range(notifications)
    ]
    moves = [
        f"('{then}', 0, '{openstack.uuid(1000 * (move + 1) + n)}', '{openstack.uuid(n)}',"
        f" '{openstack.uuid(n)}', 'vm')"
        for n in range(notifications)
        for move in range(moves_each)
    ]
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO notifications (created_at, updated_at, deleted, notification_uuid,"
            f" generated_time, source_host_uuid, type, status) VALUES {', '.join(old)}"
        )
        connection.exec_driver_sql(
            "INSERT INTO vmoves (created_at, deleted, uuid, notification_uuid, instance_uuid,"
            f" instance_name) VALUES {', '.join(moves)}"
        )


def left(engine):
    """(notifications, vmoves)"""
    with engine.connect() as connection:
        query = "SELECT (SELECT COUNT(*) FROM notifications), (SELECT COUNT(*) FROM vmoves)"
        return tuple(connection.exec_driver_sql(query).one())
