"""What a check has found, and what to do about it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from masakari.clock import Clock
from masakari.cmd import common
from masakari.errors import DatabaseUnavailable, MasakariError

Check = Callable[[cfg.ConfigOpts, Clock], Result]


class Verdict(StrEnum):
    """How a check ended."""

    OK = "OK"
    """It was tried, and it works."""
    WARN = "WARN"
    """It works, or may work; somebody should look."""
    FAIL = "FAIL"
    """It was tried, and it does not work."""
    UNKNOWN = "?"
    """It could not be tried without changing anything."""


VERDICTS = {Code.SUCCESS: Verdict.OK, Code.WARNING: Verdict.WARN, Code.FAILURE: Verdict.FAIL}
CODES = {verdict: code for code, verdict in VERDICTS.items()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result."""

    check: str
    verdict: Verdict
    details: str = ""
    """What was found, and what to do."""


def result_of(findings: Iterable[Finding]) -> Result:
    """The worst of the findings, as oslo.upgradecheck knows it; what is not known is no warning."""
    order = (Verdict.FAIL, Verdict.WARN)
    told = [f for f in findings if f.verdict in order]
    if not told:
        return Result(Code.SUCCESS)
    worst = min(told, key=lambda f: order.index(f.verdict))
    return Result(CODES[worst.verdict], worst.details)


def guarded(check: Check, conf: cfg.ConfigOpts, clock: Clock) -> Result:
    """The result of the check; what it cannot look at is a failure with a sentence."""
    try:
        return check(conf, clock)
    except DatabaseUnavailable as e:
        detail = f" ({e.details['detail']})" if "detail" in e.details else ""
        return Result(
            Code.FAILURE,
            f"{str(e).rstrip('.')}{detail}: look at the URL in the configuration, and whether the "
            "server runs.",
        )
    except MasakariError as e:
        return Result(Code.FAILURE, common.sentence(e))


def finding_of(name: str, check: Check, conf: cfg.ConfigOpts, clock: Clock) -> Finding:
    """What the check finds, guarded."""
    result = guarded(check, conf, clock)
    return Finding(name, VERDICTS[result.code], result.details or "")
