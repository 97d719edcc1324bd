"""Checks of what recoveries are kept in: the database, TaskFlow's tables, the locks."""

import contextlib
import os
import pathlib
import urllib.parse

from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from masakari import db, locks
from masakari.clock import Clock
from masakari.errors import MasakariError

SYNC = "run masakari-manage db sync"
NO_DATABASE = "there is no database"
SHOWN = 4
"""So many rights that are missing are named."""


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


def rights(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """Reading and writing in our tables."""
    return _of_rights(db.rights.refused(conf, clock) if db.standing.exists(conf) else [NO_DATABASE])


def taskflow_rights(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """Reading and writing in TaskFlow's tables, wherever they are."""
    group = "taskflow" if conf.taskflow.connection else "database"
    is_there = db.standing.exists(conf, group)
    return _of_rights(db.rights.refused_of_taskflow(conf, clock) if is_there else [NO_DATABASE])


def _of_rights(refused: list[str]) -> Result:
    if not refused:
        return Result(Code.SUCCESS)
    shown = "; ".join(refused[:SHOWN])
    more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
    return Result(
        Code.FAILURE,
        f"{shown}{more}: grant the database's user SELECT, INSERT, UPDATE and DELETE on all "
        "tables, and look whether the server may be written.",
    )


def lock(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """A lock can be had and given back."""
    directory = locks.directory_named(conf)
    if directory is not None:  # a lock there would leave a file behind
        return _of_directory(directory)
    with contextlib.closing(locks.connect(conf, clock)) as backend:
        problem = backend.try_out()
    if problem is None:
        return Result(Code.SUCCESS)
    return Result(
        Code.WARNING,
        f"No lock was to be had ({problem}): start the backend of [coordination] backend_url, or "
        "correct the URL.",
    )


def _of_directory(directory: pathlib.Path) -> Result:
    there = next(path for path in (directory, *directory.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Result(Code.SUCCESS, f"files in {directory}, which this user may write")
    return Result(
        Code.WARNING,
        f"Locks are files in {directory}, which this user may not write: run this as the user of "
        "the engine, or give that user the directory.",
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
