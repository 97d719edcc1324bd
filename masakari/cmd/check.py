"""masakari-manage check: tries all that a recovery will need, without changing anything."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oslo_config import cfg

from masakari.clock import Clock, SystemClock
from masakari.cmd import logs

if TYPE_CHECKING:
    from masakari.cmd.readiness.findings import Finding

FAILED = 3
"""Exit status: at least one check has failed."""
TABLE, JSON = "table", "json"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "check",
        help="try every credential and permission that a recovery will need; change nothing",
        description="Exit status: 0 nothing failed, 3 something failed, 1 it could not be tried.",
    )
    parser.add_argument("--format", choices=(TABLE, JSON), default=TABLE, help="default: table")
    parser.add_argument(
        "--monitors-config",
        action="append",
        default=[],
        metavar="FILE",
        help="configuration of the monitors (default: masakarimonitors.conf, where it is found)",
    )
    parser.set_defaults(run=run)


def run(conf: cfg.ConfigOpts) -> int:
    """The exit status; the result is printed."""
    # slow to import, and no other command needs the libraries' options
    from masakari.cmd import options  # noqa: PLC0415

    options.register_api(conf)
    if not conf.debug:
        logs.silence(conf)
    findings = look(conf, SystemClock(), conf.command.monitors_config)
    if conf.command.format == JSON:
        print(as_json(findings))
    else:
        print_table(findings)
    return status(findings)


def look(conf: cfg.ConfigOpts, clock: Clock, monitors_config: Sequence[str]) -> "list[Finding]":
    """What all checks have found, in the order in which a recovery needs it."""
    # slow to import, and no other command asks
    from masakari.cmd.readiness import access, bus, monitors, settings, stores  # noqa: PLC0415
    from masakari.cmd.readiness.findings import finding_of  # noqa: PLC0415

    shared = (
        ("Options", settings.options),
        ("Policy file", settings.policies),
        ("Database: revision", stores.database),
        ("Database: rights", stores.rights),
        ("TaskFlow: tables", stores.taskflow),
        ("TaskFlow: rights", stores.taskflow_rights),
        ("Coordination: backend", stores.coordination),
        ("Coordination: take and release a lock", stores.lock),
        ("Keystone: credentials for Nova", access.keystone),
        ("Clocks", access.clocks),
    )
    found = [finding_of(name, check, conf, clock) for name, check in shared]
    found += bus.bus(conf, clock)
    found.append(access.validation(conf, clock))
    found += access.rights(conf, clock)
    files = monitors.find(monitors_config)
    return found + (monitors.monitors(files) if files else [])


def status(findings: "Sequence[Finding]") -> int:
    """The exit status that tells of them."""
    return FAILED if any(f.verdict == "FAIL" for f in findings) else 0


def as_json(findings: "Sequence[Finding]") -> str:
    """{checks: [{check, verdict, details}], verdicts: {verdict: how many}}; keys never change."""
    counts = Counter(str(f.verdict) for f in findings)
    checks = [{"check": f.check, "verdict": str(f.verdict), "details": f.details} for f in findings]
    verdicts = {word: counts[word] for word in ("OK", "WARN", "FAIL", "?")}
    return json.dumps({"checks": checks, "verdicts": verdicts}, indent=2)


STYLES = {"OK": "green", "WARN": "yellow", "FAIL": "bold red", "?": "cyan"}


def print_table(findings: "Sequence[Finding]") -> None:
    """On stdout, as wide as the terminal."""
    # slow to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("check", "result")
    table.add_column("details", overflow="fold")
    for finding in findings:
        word = str(finding.verdict)
        table.add_row(Text(finding.check), Text(word, STYLES[word]), Text(finding.details))
    counts = Counter(str(f.verdict) for f in findings)
    told = ", ".join(f"{counts[word]} {word}" for word in STYLES if counts[word])
    console = Console(file=sys.stdout)
    console.print(table)
    console.print(Text(told))
