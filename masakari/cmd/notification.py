"""`masakari-manage notification cancel|retry`: what operators do when the API is down, too.

The database is all that is needed.  A bus that is away keeps nobody from it: engines find what is
new by themselves, `[engine] sweep_interval` seconds later at most.
"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_log import log

from masakari import db, events
from masakari.clock import SystemClock
from masakari.db.models import Notification
from masakari.db.session import Database
from masakari.errors import ConfigInvalid
from masakari.states import NotificationStatus

if TYPE_CHECKING:
    from masakari.events import Events

LOG = log.getLogger(__name__)

Act = Callable[[Database, str], Notification]


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    parser = subparsers.add_parser("notification", help="single notifications")
    commands = parser.add_subparsers(dest="action", required=True)
    for name, summary, run in (
        ("cancel", "begin nothing more because of it, and bring what runs to its end", _cancel),
        ("retry", "have it tried again, with all its tries and a new proof", _retry),
    ):
        command = commands.add_parser(name, help=summary)
        command.add_argument("notification", metavar="UUID", help="uuid, or id, of a notification")
        command.set_defaults(run=run)


def _cancel(conf: cfg.ConfigOpts) -> str:
    n = _act(conf, db.brake.cancel)
    if n.status == NotificationStatus.RUNNING:
        return (
            f"Notification {n.notification_uuid} is cancelled: nothing more is begun, and it fails "
            "when what runs has ended."
        )
    return f"Notification {n.notification_uuid} is cancelled: {n.status}."


def _retry(conf: cfg.ConfigOpts) -> str:
    n = _act(conf, db.brake.retry)
    if n.status == NotificationStatus.NEW:
        _tell_engines(conf, n.notification_uuid)
    return f"Notification {n.notification_uuid} is to be tried again: {n.status}."


def _act(conf: cfg.ConfigOpts, act: Act) -> Notification:
    clock = SystemClock()
    database = db.session.connect(conf, clock)
    try:
        n = act(database, conf.command.notification)
    finally:
        database.dispose()
    _announce(conf, n)
    return n


def _announce(conf: cfg.ConfigOpts, n: Notification) -> None:
    # slow to import
    from masakari import notifier  # noqa: PLC0415

    try:
        told: Events = notifier.connect(conf)
    except ConfigInvalid as e:
        LOG.warning("notification %s: its change is not announced: %s", n.notification_uuid, e)
        return
    if told.is_on:
        told.send(*events.notification_updated(n, SystemClock().now()))
    notifier.close(told)


def _tell_engines(conf: cfg.ConfigOpts, uuid: str) -> None:
    from masakari import rpc  # noqa: PLC0415  slow to import

    try:
        engines = rpc.EngineClient(conf, rpc.transport(conf), rpc.watch(SystemClock()))
    except ConfigInvalid as e:
        LOG.warning("notification %s: not announced on the bus, the sweep finds it: %s", uuid, e)
        return
    engines.recover(uuid)
    engines.close()
