"""Checks of what the operator has written: options and policies."""

import logging

from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from masakari.api import policy_review
from masakari.clock import Clock
from masakari.cmd import common


def options(conf: cfg.ConfigOpts, _clock: Clock) -> Result:
    """Options that have no effect, or are misspelt."""
    told = [f.text for f in common.findings(conf) if f.level >= logging.WARNING]
    if not told:
        return Result(Code.SUCCESS)
    return Result(Code.WARNING, f"{'. '.join(told)}. Correct or remove them.")


def policies(conf: cfg.ConfigOpts, _clock: Clock) -> Result:
    """The policy file: its format, its rules."""
    problems = policy_review.review(conf)
    if not problems:
        return Result(Code.SUCCESS)
    code = Code.FAILURE if any(p.is_fatal for p in problems) else Code.WARNING
    return Result(code, " ".join(p.text for p in problems))
