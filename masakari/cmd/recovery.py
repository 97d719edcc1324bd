"""masakari-manage recovery list|show: looks at recoveries, with the database alone."""

import argparse
import contextlib
import datetime
import re
import sys
from collections.abc import Iterator

from oslo_config import cfg

from masakari import db
from masakari.clock import Clock, SystemClock
from masakari.cmd import recovery_shape as shape
from masakari.db.session import Database
from masakari.errors import DatabaseUnavailable, Invalid, NotificationNotFound
from masakari.states import NotificationStatus, NotificationType

FAILED, NOT_FOUND, NO_DATABASE, OPEN = 3, 4, 5, 6
"""Exit statuses of `show`, besides 0: it has ended well."""
STATUSES = {NotificationNotFound: NOT_FOUND, DatabaseUnavailable: NO_DATABASE}
STATUS_HELP = (
    "Exit status: 0 finished or ignored, 3 failed, 6 still open, 4 there is no such notification, "
    "5 the database is not available, 1 something else is wrong."
)
TABLE, JSON = "table", "json"
RECENT = datetime.timedelta(days=1)
LIMIT, MOST = 50, 10_000
EVERY_S = 1.0
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the commands."""
    parser = subparsers.add_parser("recovery", help="what is recovered, and how far it is")
    commands = parser.add_subparsers(dest="action", required=True)
    listing = commands.add_parser(
        "list",
        help="open and recent recoveries, newest first",
        description="What is open, and what was reported within the last day. Exit status: 0 "
        "listed, 5 the database is not available, 1 something else is wrong.",
    )
    listing.add_argument("--all", action="store_true", help="also what was reported long ago")
    listing.add_argument(
        "--status",
        action="append",
        default=[],
        metavar="STATUS",
        help=f"only those: {', '.join(NotificationStatus)}; may be repeated",
    )
    listing.add_argument(
        "--since",
        metavar="WHEN",
        help="only what was reported since: 30m, 6h, 7d, or a time, 2026-11-27T06:00 (UTC)",
    )
    # an option of the configuration is called host already
    listing.add_argument("--host", dest="of_host", metavar="NAME", help="only those of the host")
    listing.add_argument(
        "--type", dest="of_type", metavar="TYPE", help=f"only those: {', '.join(NotificationType)}"
    )
    listing.add_argument(
        "--limit", default=str(LIMIT), metavar="ROWS", help=f"at most so many (default: {LIMIT})"
    )
    listing.set_defaults(run=list_, statuses=STATUSES)
    showing = commands.add_parser(
        "show", help="one recovery: steps, VMs, times", description=STATUS_HELP
    )
    showing.add_argument("uuid", metavar="UUID", help="uuid (or id) of the notification")
    showing.add_argument(
        "--follow", action="store_true", help="go on showing it until it has ended"
    )
    showing.set_defaults(run=show, statuses=STATUSES)
    for command in (listing, showing):
        command.add_argument(
            "--format", choices=(TABLE, JSON), default=TABLE, help="default: table"
        )


# ---- list


def list_(conf: cfg.ConfigOpts) -> int:
    """The exit status; the list is printed."""
    wanted, clock = conf.command, SystemClock()
    since = moment("--since", wanted.since, clock)
    is_recent = since is None and not wanted.all and not wanted.status
    with _database(conf, clock) as database:
        found = db.recoveries.newest(
            database,
            limit=number("--limit", wanted.limit),
            statuses=[word("--status", s, NotificationStatus) for s in wanted.status],
            since=clock.now() - RECENT if is_recent else since,
            with_open=is_recent,
            host=wanted.of_host,
            type=wanted.of_type and word("--type", wanted.of_type.upper(), NotificationType),
        )
    rows = [shape.summary(recovery, clock.now()) for recovery in found]
    if wanted.format == JSON:
        print(shape.dump({"recoveries": rows}))
        return 0
    from masakari.cmd import recovery_view  # noqa: PLC0415  rich takes long to import

    recovery_view.print_list(rows)
    return 0


def word(option: str, given: str, allowed: type[NotificationStatus | NotificationType]) -> str:
    """*given*, which is one of those allowed.  Raises Invalid."""
    if given not in list(allowed):
        raise Invalid(message=f"{option}: {given!r} is none of {', '.join(allowed)}.")
    return given


def number(option: str, given: str) -> int:
    """The positive number.  Raises Invalid."""
    if not given.isascii() or not given.isdecimal() or not 1 <= int(given) <= MOST:
        raise Invalid(message=f"{option}: {given!r} is no number from 1 to {MOST}.")
    return int(given)


def moment(option: str, given: str | None, clock: Clock) -> datetime.datetime | None:
    """The time that *given* means, UTC, naive.  Raises Invalid."""
    if given is None:
        return None
    problem = f"{option}: {given!r} is neither like 30m, 6h, 7d nor a time like 2026-11-27T06:00."
    ago = re.fullmatch(r"([0-9]{1,6})([smhd])", given)
    try:
        if ago is not None:
            return clock.now() - datetime.timedelta(**{UNITS[ago[2]]: int(ago[1])})
        found = datetime.datetime.fromisoformat(given)
    except (ValueError, OverflowError):
        raise Invalid(message=problem) from None
    if found.tzinfo is None:
        return found
    return found.astimezone(datetime.UTC).replace(tzinfo=None)


# ---- show


def show(conf: cfg.ConfigOpts) -> int:
    """The exit status; the recovery is printed, with --follow again and again."""
    clock, uuid = SystemClock(), conf.command.uuid
    with _database(conf, clock) as database, _steps(conf, clock) as store:

        def read() -> shape.Json:
            recovery = db.recoveries.get(database, uuid)
            chapters = db.steps.chapters(store, recovery.notification.notification_uuid)
            return shape.whole(recovery, chapters, clock.now())

        if conf.command.follow:
            return follow(read, clock, conf.command.format)
        document = read()
        if conf.command.format == JSON:
            print(shape.dump({"recovery": document}))
        else:
            from masakari.cmd import recovery_view  # noqa: PLC0415  rich takes long to import

            recovery_view.print_one(document)
        return status_of(document)


def follow(read: "shape.Read", clock: Clock, format_: str) -> int:
    """The exit status of the end; until then what *read* returns is shown about once a second.

    A database that is away meanwhile is waited for.
    """
    with _screen(format_) as screen:
        document = read()
        while True:
            screen.show(document)
            if document["ended_at"] is not None:
                return status_of(document)
            clock.sleep(EVERY_S)
            try:
                document = read()
            except DatabaseUnavailable as e:
                screen.trouble(f"{str(e).rstrip('.')}, trying again.")


@contextlib.contextmanager
def _screen(format_: str) -> "Iterator[shape.Screen]":
    if format_ == JSON:
        yield shape.JsonLines()
    elif not sys.stdout.isatty():
        yield shape.Lines()
    else:
        from masakari.cmd import recovery_view  # noqa: PLC0415  rich takes long to import

        with recovery_view.live() as screen:
            yield screen


def status_of(document: "shape.Json") -> int:
    """The exit status that tells how the recovery is."""
    if document["ended_at"] is None:
        return OPEN
    return FAILED if document["status"] == NotificationStatus.FAILED else 0


# ---- within


@contextlib.contextmanager
def _database(conf: cfg.ConfigOpts, clock: Clock) -> Iterator[Database]:
    """Ours.  Raises DatabaseUnavailable where there is no file: who looks into one makes it."""
    file = db.drivers.sqlite_file(db.session.parse_url(conf, group="database"))
    if file is not None and not file.exists():
        raise DatabaseUnavailable(detail=f"there is no file {file}")
    database = db.session.connect(conf, clock)
    try:
        yield database
    finally:
        database.dispose()


@contextlib.contextmanager
def _steps(conf: cfg.ConfigOpts, clock: Clock) -> Iterator[Database]:
    """TaskFlow's."""
    store = db.steps.connect(conf, clock)
    try:
        yield store
    finally:
        store.dispose()
