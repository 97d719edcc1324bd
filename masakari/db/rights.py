"""Whether the database lets us read and write.

What is tried touches no row, because its condition is never true, and is rolled back besides; the
server looks at rights, and at whether it may be written at all, before it looks for rows.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from oslo_config import cfg
from oslo_db import exception as db_exc

from masakari.clock import Clock
from masakari.db import drivers, models, retry, session, steps
from masakari.errors import DatabaseUnavailable


def refused(conf: cfg.ConfigOpts, clock: Clock) -> list[str]:
    """What recoveries must do and may not in our tables: e.g. UPDATE hosts: permission denied.

    Raises ConfigInvalid, and DatabaseUnavailable if the server does not answer.
    """
    url = session.parse_url(conf, group="database")
    engine = session.make_engine(conf, url, clock, answer_timeout_s=drivers.ANSWER_TIMEOUT_S)
    return _refused(engine, models.metadata.sorted_tables, clock)


def refused_of_taskflow(conf: cfg.ConfigOpts, clock: Clock) -> list[str]:
    """As `refused`, of TaskFlow's tables, wherever they are."""
    engine = steps.engine(conf, clock, answer_timeout_s=drivers.ANSWER_TIMEOUT_S)
    return _refused(engine, steps.TABLES, clock)


def _refused(engine: sa.Engine, tables: Sequence[sa.Table], clock: Clock) -> list[str]:
    writing = engine.execution_options(**{drivers.WRITES: True})
    try:
        retry.calling(clock, lambda: _connect(engine))
        found = [
            _problem(writing, verb, table, statement, clock)
            for table in tables
            for verb, statement in _tries(table)
        ]
        if engine.dialect.name == "postgresql":
            found += [_sequence_problem(engine, table, clock) for table in tables]
        return [problem for problem in found if problem is not None]
    finally:
        engine.dispose()


def _connect(engine: sa.Engine) -> None:
    with engine.connect():
        pass


def _tries(table: sa.Table) -> Iterator[tuple[str, sa.Executable]]:
    """(verb, statement) of all that is done with the table."""
    never = sa.literal(1) == 0
    key = next(iter(table.primary_key))
    yield "SELECT", sa.select(table).where(never)
    yield "INSERT", sa.insert(table).from_select(list(table.c), sa.select(table).where(never))
    yield "UPDATE", sa.update(table).where(never).values({key: key})
    yield "DELETE", sa.delete(table).where(never)


def _may_count(table: sa.Table) -> sa.Executable | None:
    """PostgreSQL: asks whether new rows may get an id; without rows nothing asks for one."""
    key = next(iter(table.primary_key))
    if not isinstance(key.type, sa.Integer):
        return None
    sequence = sa.func.pg_get_serial_sequence(table.name, key.name)
    return sa.select(sa.func.has_sequence_privilege(sequence, "USAGE"))


def _problem(
    engine: sa.Engine, verb: str, table: sa.Table, statement: sa.Executable, clock: Clock
) -> str | None:
    def once() -> None:
        with engine.connect() as connection:
            connection.execute(statement)
            connection.rollback()

    try:
        retry.calling(clock, once)
    except DatabaseUnavailable as e:
        return f"{verb} {table.name}: {e.details.get('detail', e)}"
    except (db_exc.DBError, sa_exc.SQLAlchemyError) as e:
        return f"{verb} {table.name}: {retry.words(e)}"
    return None


def _sequence_problem(engine: sa.Engine, table: sa.Table, clock: Clock) -> str | None:
    statement = _may_count(table)
    if statement is None:
        return None

    def once() -> bool:
        with engine.connect() as connection:
            return connection.execute(statement).scalar() is not False

    try:
        is_allowed = retry.calling(clock, once)
    except DatabaseUnavailable:  # the table's own tries tell
        return None
    return None if is_allowed else f"USAGE of the sequence of {table.name}: permission denied"
