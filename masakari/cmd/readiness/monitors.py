"""Checks of the monitors' configuration: whether what they see would be heard."""

from collections.abc import Sequence

from oslo_config import cfg

import masakari.conf
from masakari.cmd import common, files
from masakari.cmd.readiness.findings import Finding, Verdict
from masakari.errors import MasakariError
from masakari.monitors import report

NAME = "Monitors"
PROGRAM = "masakari-hostmonitor"
PROJECT = "masakarimonitors"


def find(named: Sequence[str]) -> list[str]:
    """The configuration files of monitors: those that are *named*, or those that are found."""
    return list(named) or files.default_places(PROJECT, PROGRAM).files


def monitors(configuration: Sequence[str]) -> list[Finding]:
    """The API shows its hosts to the user of [api], and takes notifications of that user.

    What is sent as a notification has no content: the API decides who may send any before it looks
    into it, and refuses it in any case.
    """
    try:
        masakari = report.connect(_parse(configuration))
    except (MasakariError, cfg.Error) as e:
        return [Finding(f"{NAME}: configuration", Verdict.FAIL, common.sentence(e))]
    return [_watched(masakari), _notify(masakari)]


def _parse(configuration: Sequence[str]) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    masakari.conf.register_monitors(conf)
    conf([], project=PROJECT, default_config_files=list(configuration), default_config_dirs=[])
    return conf


def _watched(masakari: report.Masakari) -> Finding:
    name = f"{NAME}: list segments and hosts"
    try:
        hosts = masakari.watched()
    except report.Unanswered as e:
        return Finding(name, Verdict.FAIL, f"{e}: {LOOK}")
    if not hosts:
        return Finding(name, Verdict.WARN, "no host is in an enabled segment: add them.")
    return Finding(name, Verdict.OK, f"hosts in enabled segments: {len(hosts)}")


def _notify(masakari: report.Masakari) -> Finding:
    name = f"{NAME}: create notifications"
    try:
        answer = masakari.notify({})
    except report.Unanswered as e:
        return Finding(name, Verdict.FAIL, f"{e}: {LOOK}")
    if answer.status == 400:
        return Finding(name, Verdict.OK)
    if answer.status == 403:
        return Finding(
            name,
            Verdict.FAIL,
            "the API refuses it (HTTP 403): give the user of [api] the role that the policy "
            "os_masakari_api:notifications:create wants, by default admin or service.",
        )
    return Finding(name, Verdict.FAIL, f"the API answers {answer}: {LOOK}")


LOOK = "look at [api] and at the API."
