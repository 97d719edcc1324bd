"""Checks of what recoveries are kept in: the database, TaskFlow's tables, the locks."""

import contextlib
import urllib.parse

from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from masakari import db, locks
from masakari.clock import Clock
from masakari.errors import MasakariError

SYNC = "run masakari-manage db sync"


def database(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """The revision of our tables."""
    found = db.standing.revision(conf, clock)
    if found.current == found.newest:
        return Result(Code.SUCCESS)
    if found.current is None:
        return Result(
            Code.FAILURE, f"The database has no revision, {found.newest} is needed: {SYNC}."
        )
    if not found.is_known:
        return Result(
            Code.FAILURE,
            f"The database is at revision {found.current}, which this release does not know: "
            "install the release that has upgraded it, or a later one.",
        )
    return Result(
        Code.FAILURE,
        f"The database is at revision {found.current}, {found.newest} is needed: {SYNC}.",
    )


def taskflow(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """TaskFlow's tables, wherever they are."""
    missing = db.standing.missing_of_taskflow(conf, clock)
    if not missing:
        return Result(Code.SUCCESS)
    group = "taskflow" if conf.taskflow.connection else "database"
    return Result(
        Code.FAILURE,
        f"In the database of [{group}] connection TaskFlow's tables are not as they should be "
        f"({', '.join(missing)}): {SYNC}.",
    )


def coordination(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """The locks on reserved hosts, which engines on several nodes must have in common."""
    url = conf.coordination.backend_url
    if url and urllib.parse.urlsplit(url).scheme != "file":
        with contextlib.closing(locks.connect(conf, clock)) as backend:
            problem = backend.problem()
        if problem is None:
            return Result(Code.SUCCESS)
        return Result(
            Code.WARNING,
            f"The backend of [coordination] backend_url does not answer ({problem}), and the "
            "database alone keeps two recoveries off one reserved host: start it, or correct "
            "the URL.",
        )
    nodes = _nodes(conf, clock)
    if len(nodes) > 1:
        return Result(
            Code.WARNING,
            f"Engines on several nodes ({', '.join(nodes)}) keep their locks in files, each node "
            "its own: set [coordination] backend_url to etcd, Redis or ZooKeeper.",
        )
    if db.standing.is_of_one_node(conf):
        return Result(Code.SUCCESS)
    return Result(
        Code.WARNING,
        "Locks are kept in files, each node its own: if engines run on more than one node, set "
        "[coordination] backend_url to etcd, Redis or ZooKeeper; if they do not, or share the "
        "directory, all is well.",
    )


def _nodes(conf: cfg.ConfigOpts, clock: Clock) -> list[str]:
    """Where engines are known to work; none if nobody knows."""
    if not db.standing.exists(conf):
        return []
    try:
        with db.standing.connected(conf, clock) as store:
            owners = db.standing.owners(store)
    except MasakariError:  # another check tells
        return []
    return sorted({owner.rsplit(":", 2)[0] for owner in owners})
