"""How long `masakari-manage db purge` takes on MariaDB, and how long its longest transaction.

python bench/purge.py [NOTIFICATIONS]       (default: 100000, each with 2 vmoves and a book)
"""

import os
import pathlib
import sys
import tempfile
import time

import sqlalchemy as sa

from masakari import db
from masakari.clock import SystemClock
from masakari.db import progress, purge
from masakari.tests import conftest, servers

MOVES, STEPS = 2, 3
FILL = (
    "INSERT INTO notifications (created_at, updated_at, deleted, notification_uuid,"
    " generated_time, source_host_uuid, type, payload, status) SELECT '2020-01-01', '2020-01-01',"
    " 0, {book}, '2020-01-01', {book}, 'COMPUTE_HOST', '{{}}', 'finished' FROM seq_1_to_{n} s",
    "INSERT INTO vmoves (created_at, updated_at, deleted, uuid, notification_uuid, instance_uuid,"
    " instance_name, status) SELECT '2020-01-01', '2020-01-01', 0, CONCAT('m', m.seq, SUBSTR("
    "{book}, 3)), {book}, {book}, 'vm', 'succeeded' FROM seq_1_to_{n} s, seq_1_to_{moves} m",
    "INSERT INTO logbooks (created_at, updated_at, name, uuid)"
    " SELECT '2020-01-01', '2020-01-01', 'b', {book} FROM seq_1_to_{n} s",
    "INSERT INTO flowdetails (created_at, parent_uuid, name, uuid)"
    " SELECT '2020-01-01', {book}, 'f', {book} FROM seq_1_to_{n} s",
    "INSERT INTO atomdetails (created_at, parent_uuid, name, uuid, meta, atom_type)"
    " SELECT '2020-01-01', {book}, 'a', CONCAT('a', m.seq, SUBSTR({book}, 3)),"
    " REPEAT('x', 500), 'TASK_DETAIL' FROM seq_1_to_{n} s, seq_1_to_{steps} m",
)


def main(notifications: int) -> None:
    """Fill, purge, print."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        try:
            port = servers.shared("mariadb", directory / "servers", os.getpid()).port
            with servers.fresh_database("mariadb", port, "masakari") as url:
                measure(directory, url, notifications)
        finally:
            servers.stop_all(directory / "servers")


def measure(directory: pathlib.Path, url: str, notifications: int) -> None:
    """Purge the database at *url*, filled before."""
    conf, clock = conftest.new_conf(directory), SystemClock()
    conf.set_override("connection", url, group="database")
    db.migration.sync(conf)
    database = db.session.connect(conf, clock, answer_timeout_s=None)
    sizes = {"n": notifications, "moves": MOVES, "steps": STEPS}
    for statement in FILL:
        with database.writing() as tx:
            text = statement.format(book="LPAD(HEX(s.seq), 36, '0')", **sizes)
            tx.connection.exec_driver_sql(text)
    store = progress.connect(conf, clock)
    begun: dict[int, float] = {}
    took = [0.0]

    def begin(connection: sa.Connection) -> None:
        begun[id(connection.connection.dbapi_connection)] = time.monotonic()

    def commit(connection: sa.Connection) -> None:
        took.append(time.monotonic() - begun[id(connection.connection.dbapi_connection)])

    for engine in (database.engine, store.engine):
        sa.event.listen(engine, "begin", begin)
        sa.event.listen(engine, "commit", commit)
    now = clock.now()
    started = time.monotonic()
    counts = purge.purge(database, store, purge.Purge(before=now, forgotten_before=now))
    seconds = time.monotonic() - started
    rows = sum(counts.values())
    print("\n".join(f"{table:<18}{count:>10}" for table, count in counts.items()))
    print(
        f"{rows} rows in {seconds:.1f} s: {rows / seconds:.0f}/s, {len(took) - 1} transactions "
        f"that wrote, the longest {max(took):.3f} s"
    )
    store.close()
    database.dispose()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
