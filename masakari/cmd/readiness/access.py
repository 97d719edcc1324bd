"""Checks of Keystone, Nova and the clocks."""

import datetime

from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from masakari import db, nova
from masakari.clock import Clock
from masakari.errors import CloudRefused, CloudUnavailable, MasakariError
from masakari.nova import reach

TOLERANCE_S = 5.0
"""Clocks may differ by so much."""


def keystone(conf: cfg.ConfigOpts, _clock: Clock) -> Result:
    """Keystone gives a token for the credentials."""
    try:
        reach.ask_keystone(conf)
    except CloudUnavailable as e:
        return Result(
            Code.FAILURE,
            f"{_text(e)}: look at [keystone_authtoken], or at os_privileged_user_* if that is set.",
        )
    return Result(Code.SUCCESS)


def compute(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """Nova shows compute services, and VMs of all projects."""
    cloud = nova.connect(conf, clock, retries=0, threads=1)
    try:
        services = cloud.compute_services()
        if services:
            cloud.servers_on(services[0].host)
    except CloudRefused as e:
        return Result(Code.FAILURE, f"{_text(e)}: give the user the admin role in its project.")
    except CloudUnavailable as e:
        return Result(
            Code.FAILURE,
            f"{_text(e)}: look at nova_catalog_admin_info, os_region_name and at Nova.",
        )
    if not services:
        return Result(
            Code.WARNING,
            "Nova shows no compute service: look whether os_region_name is the right region.",
        )
    return Result(Code.SUCCESS)


def _text(error: MasakariError) -> str:
    return str(error).rstrip(".")


def clocks(conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """This machine's clock, and those of the database, Keystone and Nova."""
    differences = {**_of_database(conf, clock), **_of_cloud(conf, clock)}
    wrong = [
        f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} {whose}"
        for whose, seconds in differences.items()
        if abs(seconds) > TOLERANCE_S
    ]
    if not wrong:
        return Result(Code.SUCCESS)
    return Result(
        Code.WARNING,
        f"This machine's clock is {', '.join(wrong)}: let all machines set their clocks by the "
        "same time servers (chrony), because delays, ages and tokens are judged by them.",
    )


def _of_database(conf: cfg.ConfigOpts, clock: Clock) -> dict[str, float]:
    """{"the database": seconds ahead of us}, if it tells."""
    try:
        if not db.standing.exists(conf):
            return {}
        with db.standing.connected(conf, clock) as database:
            began = clock.now()
            theirs = db.standing.time(database)
            return {"the database": _seconds(theirs, began, clock.now())}
    except MasakariError:  # another check tells
        return {}


def _of_cloud(conf: cfg.ConfigOpts, clock: Clock) -> dict[str, float]:
    """{service: seconds ahead of us}, of those that tell."""
    began = clock.now()
    try:
        times = reach.times(conf)
    except MasakariError:  # another check tells
        return {}
    return {service: _seconds(theirs, began, clock.now()) for service, theirs in times.items()}


def _seconds(
    theirs: datetime.datetime, began: datetime.datetime, ended: datetime.datetime
) -> float:
    """By how much *theirs*, told somewhen in between, is ahead; 0: it may be right."""
    if theirs < began:
        return (theirs - began).total_seconds()
    return max(0.0, (theirs - ended).total_seconds())
