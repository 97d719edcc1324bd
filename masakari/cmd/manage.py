"""masakari-manage: the database, hosts that come back, what the API is.

masakari-manage [options] db sync [REVISION] | db version | db purge | host repaired HOST
    | notification cancel UUID | notification retry UUID | api openapi | check
    | recovery list | recovery show UUID
"""

import argparse
import datetime
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from oslo_config import cfg
from oslo_log import log

import masakari.conf
from masakari import db, events
from masakari.clock import Clock, SystemClock
from masakari.cloud import Cloud, ComputeService, service_of
from masakari.cmd import check, common, notification, recovery
from masakari.db.session import Database
from masakari.errors import (
    CloudConflict,
    DatabaseUnavailable,
    HostNameUnknown,
    Invalid,
    MasakariError,
)
from masakari.events import SILENCE, Events

PROGRAM = "masakari-manage"
DESCRIPTION = (
    "Creates and upgrades Masakari's database, takes repaired hosts into service, cancels and "
    "retries recoveries, and prints what the API is."
)
NOVA_RETRIES = 2
"""Somebody waits for the answer."""


def main(argv: Sequence[str] | None = None, conf: cfg.ConfigOpts | None = None) -> int:
    """The exit status: 0 done, 1 not done and a sentence on stderr says why, 2 wrong usage.

    `check` and `recovery` have more of them.
    """
    conf = conf or cfg.CONF
    try:
        common.configure(conf, PROGRAM, argv, register=_register, description=DESCRIPTION)
        if not conf.debug:
            logging.getLogger().setLevel(logging.WARNING)  # what is printed says what was done
        said = conf.command.run(conf)
        if isinstance(said, int):  # it has printed what there is to say
            sys.stdout.flush()
            return int(said)
        print(said, flush=True)
    except (MasakariError, cfg.Error, log.LogConfigError) as e:
        sys.stderr.write(f"{PROGRAM}: {_sentence(e)}\n")
        return _status_of(conf, e)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has seen enough; Python would complain at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _status_of(conf: cfg.ConfigOpts, error: Exception) -> int:
    """1, unless the command has a status of its own for such an error."""
    command = getattr(conf, "command", None)
    statuses: Mapping[type[Exception], int] = getattr(command, "statuses", {})
    return statuses.get(type(error), 1)


def _sentence(error: Exception) -> str:
    if isinstance(error, HostNameUnknown):
        return f"Host {error.details['host']} is in no segment."
    if isinstance(error, DatabaseUnavailable) and "detail" in error.details:
        return f"{error} ({error.details['detail']})"
    return common.sentence(error)


# ---- the command line


def _register(conf: cfg.ConfigOpts) -> None:
    masakari.conf.register(conf)
    conf.set_default("use_stderr", True)  # stdout is for what was asked
    conf.register_cli_opt(cfg.SubCommandOpt("command", title="commands", handler=_commands))


def _commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    db_commands = _group(subparsers, "db", "the database's schema")
    sync = db_commands.add_parser("sync", help="create or upgrade the tables")
    sync.add_argument("revision", nargs="?", help="revision to upgrade to (default: the newest)")
    sync.set_defaults(run=_db_sync)
    version = db_commands.add_parser("version", help="print the revision of the database")
    version.set_defaults(run=_db_version)
    purge = db_commands.add_parser(
        "purge", help="delete for good what ended or was deleted long ago"
    )
    purge.add_argument(
        *_spelt("age_in_days"),
        type=int,
        default=30,
        metavar="DAYS",
        help="what ended or was deleted so long ago goes (default: 30)",
    )
    purge.add_argument(
        *_spelt("max_rows"),
        type=int,
        default=-1,
        metavar="ROWS",
        help="at most so many rows go, of all tables together (default: -1, all)",
    )
    purge.add_argument(*_spelt("dry_run"), action="store_true", help="only say what would go")
    purge.set_defaults(run=_db_purge)
    host_commands = _group(subparsers, "host", "compute hosts")
    repaired = host_commands.add_parser(
        "repaired", help="take a host into service again after its recovery"
    )
    repaired.add_argument("host_name", metavar="HOST", help="name of the host")
    repaired.set_defaults(run=_host_repaired)
    notification.register(subparsers)
    api_commands = _group(subparsers, "api", "the REST API")
    openapi = api_commands.add_parser("openapi", help="print the OpenAPI document of the API")
    openapi.set_defaults(run=_api_openapi)
    check.register(subparsers)
    recovery.register(subparsers)


def _spelt(name: str) -> tuple[str, str]:
    """Options with underscores are OpenStack's."""
    return f"--{name.replace('_', '-')}", f"--{name}"


def _group(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    parser = subparsers.add_parser(name, help=summary)
    return parser.add_subparsers(dest="action", required=True)


# ---- the commands: each returns what it prints


def _db_sync(conf: cfg.ConfigOpts) -> str:
    clock = SystemClock()
    wanted = conf.command.revision
    before = db.migration.version(conf, clock)
    db.migration.sync(conf, wanted, clock)
    after = db.migration.version(conf, clock)
    if before == after:
        later = f", which is later than {wanted}" if wanted not in (None, "head", after) else ""
        return f"The database stays at revision {after}{later}."
    return f"The database is at revision {after}, before: {before or 'empty'}."


def _db_version(conf: cfg.ConfigOpts) -> str:
    file = db.drivers.sqlite_file(db.session.parse_url(conf, group="database"))
    if file is not None and not file.exists():
        return f"There is no database {file}: run masakari-manage db sync."
    return (
        db.migration.version(conf) or "The database has no revision: run masakari-manage db sync."
    )


def _db_purge(conf: cfg.ConfigOpts) -> str:
    clock = SystemClock()
    wanted = conf.command
    run = db.purge.Purge(
        before=_days_ago(clock, wanted.age_in_days),
        forgotten_before=clock.now()
        - datetime.timedelta(seconds=conf.instance_failure.restart_window),
        is_dry=wanted.dry_run,
        max_rows=_checked_max_rows(wanted.max_rows),
    )
    database = db.session.connect(conf, clock)
    store = db.progress.connect(conf, clock)
    try:
        counts = db.purge.purge(database, store, run)
    finally:
        store.close()
        database.dispose()
    what = "would be deleted" if run.is_dry else "deleted"
    return "\n".join(f"{table:<18}{rows:>10} {what}" for table, rows in counts.items())


def _days_ago(clock: Clock, days: int) -> datetime.datetime:
    now = clock.now()
    if days < 0:
        raise Invalid(message="--age-in-days: must not be negative.")
    if days >= (now - datetime.datetime(1970, 1, 1)).days:
        raise Invalid(message="--age-in-days: must be less than the days since 1970.")
    return now - datetime.timedelta(days=days)


def _checked_max_rows(rows: int) -> int | None:
    """None: no limit."""
    if rows < -1 or rows == 0:
        raise Invalid(message="--max-rows: must be greater than 0, or -1 for all.")
    return None if rows == -1 else rows


def _host_repaired(conf: cfg.ConfigOpts) -> str:
    # slow to import, and no other command asks Nova or sends events
    from masakari import notifier, nova  # noqa: PLC0415

    clock: Clock = SystemClock()
    database = db.session.connect(conf, clock)
    told = notifier.connect(conf)
    try:
        cloud = nova.connect(conf, clock, retries=NOVA_RETRIES, threads=1)
        return repair(database, cloud, conf.command.host_name, told)
    finally:
        notifier.close(told)
        database.dispose()


def _api_openapi(conf: cfg.ConfigOpts) -> str:
    # slow to import, and no other command asks
    from masakari.api import documents, policy  # noqa: F401, PLC0415  policy imports all resources

    return json.dumps(documents.document(), indent=2)


def repair(database: Database, cloud: Cloud, name: str, told: Events = SILENCE) -> str:
    """The host is in service in Nova and here; returns what Nova and the database say then.

    Nothing is changed when it raises HostNameUnknown, HostUnderRecovery, ComputeServiceNotFound, or
    CloudConflict because Nova does not hear from the host.
    """
    db.hosts.require_settled(database, name)
    service = service_of(cloud, name)
    if service.is_down:
        raise CloudConflict(
            f"Nova reports the compute service of {name} {_state(service)}: start nova-compute "
            "on the host first. Nothing was changed."
        )
    cloud.enable_service(service)
    service = service_of(cloud, name)
    if not service.is_enabled or service.is_down:
        raise CloudConflict(
            f"Nova still reports the compute service of {name} {service.status} and "
            f"{_state(service)}; the host stays on maintenance."
        )
    host = db.hosts.repaired(database, name)
    if told.is_on:
        told.send(*events.host_updated(host, None, database.clock.now()))
    return (
        f"{name}: compute service {service.status} and {_state(service)}; on_maintenance "
        f"{host.on_maintenance}, reserved {host.reserved}, segment {host.failover_segment.name}."
    )


def _state(service: ComputeService) -> str:
    return "forced down" if service.forced_down else service.state


if __name__ == "__main__":
    sys.exit(main())
