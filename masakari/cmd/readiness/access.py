"""Checks of Keystone, Nova and the clocks."""

import datetime
import itertools
from collections.abc import Iterator

from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from masakari import db
from masakari.clock import Clock
from masakari.cmd.readiness.findings import Finding, Verdict, result_of
from masakari.errors import CloudUnavailable, ConfigInvalid, MasakariError
from masakari.nova import permissions, reach
from masakari.nova.permissions import Answer

GIVE_ADMIN = "give the user the admin role in its project."
LOOK_AT_NOVA = "look at nova_catalog_admin_info, os_region_name and at Nova."
NO_SERVICES = "Nova shows no compute service: look whether os_region_name is the right region."
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
    return result_of(itertools.islice(_reading(permissions.Probe(conf, clock)), 2))


def rights(conf: cfg.ConfigOpts, clock: Clock) -> list[Finding]:
    """Every right in Nova that recoveries with this configuration need."""
    try:
        probe = permissions.Probe(conf, clock)
        version = probe.microversion()
    except (CloudUnavailable, ConfigInvalid) as e:
        return [Finding("Nova: endpoint", Verdict.FAIL, f"{_text(e)}: {LOOK_AT_NOVA}")]
    asked = [probe.of_services(), *probe.of_servers(_server_actions(conf))]
    if conf.host_failure.add_reserved_host_to_aggregate:
        asked += probe.of_aggregates()
    return [
        Finding("Nova: endpoint", Verdict.OK, f"microversion {version} is used"),
        *_reading(probe),
        *map(_of_permission, asked),
    ]


def _server_actions(conf: cfg.ConfigOpts) -> list[str]:
    """What is done to servers, as far as the configuration allows it."""
    actions = ["lock and unlock servers", "reset the state of servers", "stop and start servers"]
    if conf.instance_failure.max_relocations:
        actions.append("migrate servers, confirm and reboot")
    return actions


def _reading(probe: permissions.Probe) -> Iterator[Finding]:
    services: list[object] = []
    asked = probe.ask("list compute services", lambda: services.extend(probe.services()))
    found = _of_permission(asked)
    if found.verdict == Verdict.OK and not services:
        found = Finding(found.check, Verdict.WARN, NO_SERVICES)
    yield found
    yield from map(_of_permission, probe.lists())


def _of_permission(permission: permissions.Permission) -> Finding:
    name, details = f"Nova: {permission.what}", permission.details.rstrip(".")
    match permission.answer:
        case Answer.ALLOWED:
            return Finding(name, Verdict.OK)
        case Answer.REFUSED:
            return Finding(name, Verdict.FAIL, f"{details}: {GIVE_ADMIN}")
        case Answer.NO_ANSWER:
            return Finding(name, Verdict.FAIL, f"{details}: {LOOK_AT_NOVA}")
        case Answer.UNKNOWN:
            return _unproven(name, details, permission.roles)


def _unproven(name: str, details: str, roles: tuple[str, ...]) -> Finding:
    said = f"not provable, {details}"
    if permissions.ADMIN in roles:
        return Finding(
            name, Verdict.UNKNOWN, f"{said}; Nova's default policy allows it to our role admin."
        )
    ours = f"our roles ({', '.join(sorted(roles))})" if roles else "a user without roles"
    return Finding(
        name, Verdict.WARN, f"{said}; Nova's default policy refuses it to {ours}: {GIVE_ADMIN}"
    )


def validation(conf: cfg.ConfigOpts, _clock: Clock) -> Finding:
    """The API may ask Keystone about the tokens of its clients."""
    name = "Keystone: validate tokens"
    if conf.auth_strategy == "noauth2":
        return Finding(name, Verdict.OK, "auth_strategy is noauth2: nobody is asked for a token.")
    try:
        found = reach.validate_a_token(conf)
    except (CloudUnavailable, ConfigInvalid) as e:
        return Finding(name, Verdict.FAIL, f"{_text(e)}: look at [keystone_authtoken].")
    if found.status != 200:
        return Finding(
            name,
            Verdict.FAIL,
            f"Keystone answers HTTP {found.status}: give the user of [keystone_authtoken] the role "
            "service (or admin) in its project.",
        )
    if found.is_proof:
        return Finding(name, Verdict.OK)
    said = "not provable without another user's token"
    if {"admin", "service"} & set(found.roles):
        return Finding(
            name,
            Verdict.UNKNOWN,
            f"{said}; Keystone's default policy allows it to our roles "
            f"({', '.join(sorted(found.roles))}).",
        )
    return Finding(
        name,
        Verdict.WARN,
        f"{said}; Keystone's default policy refuses it to our roles "
        f"({', '.join(sorted(found.roles))}): give the user of [keystone_authtoken] the role "
        "service in its project.",
    )


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
