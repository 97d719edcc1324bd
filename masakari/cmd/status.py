"""masakari-status: whether all is ready for an upgrade, or for a start.

masakari-status [options] upgrade check [--json]
"""

import sys
from collections.abc import Sequence

from oslo_config import cfg
from oslo_log import log
from oslo_upgradecheck import upgradecheck

from masakari.clock import Clock, SystemClock
from masakari.cmd import common, logs, options
from masakari.cmd.readiness import access, settings, stores
from masakari.cmd.readiness.findings import Check, guarded
from masakari.errors import MasakariError

LOG = log.getLogger(__name__)

PROGRAM = "masakari-status"
DESCRIPTION = (
    "Looks whether configuration, policies, database, locks, Keystone, Nova and clocks are ready. "
    "Ends with 0 (all is well), 1 (a warning), 2 (a failure) or 255 (it could not be looked at)."
)
ERROR = 255

CHECKS: tuple[tuple[str, Check], ...] = (
    ("Options", settings.options),
    ("Policy file", settings.policies),
    ("Database revision", stores.database),
    ("TaskFlow tables", stores.taskflow),
    ("Coordination", stores.coordination),
    ("Keystone", access.keystone),
    ("Nova", access.compute),
    ("Clocks", access.clocks),
)


class Commands(upgradecheck.UpgradeCommands):
    """The checks, as oslo.upgradecheck runs and prints them."""

    def __init__(self, conf: cfg.ConfigOpts, clock: Clock) -> None:
        """Look at what *conf* names."""
        self._upgrade_checks = tuple(
            (name, lambda _self, check=check: guarded(check, conf, clock)) for name, check in CHECKS
        )


def main(
    argv: Sequence[str] | None = None,
    conf: cfg.ConfigOpts | None = None,
    clock: Clock | None = None,
) -> int:
    """The exit status: 0 success, 1 warning, 2 failure, 255 it could not be looked at."""
    conf = conf or cfg.CONF
    commands = Commands(conf, clock or SystemClock())

    def register(conf: cfg.ConfigOpts) -> None:
        options.register_api(conf)
        conf.set_default("use_stderr", True)  # stdout is for the results
        upgradecheck.register_cli_options(conf, commands)

    try:
        common.configure(conf, PROGRAM, argv, register=register, description=DESCRIPTION)
        if not conf.debug:
            logs.silence(conf)
        upgradecheck.CONF = conf  # where it looks for --json
        return int(conf.command.action_fn())
    except (MasakariError, cfg.Error, log.LogConfigError) as e:
        sys.stderr.write(f"{PROGRAM}: {common.sentence(e)}\n")
    except KeyboardInterrupt:
        return 130
    except Exception as e:  # a defect; its text may have a password in it
        LOG.debug("unexpected error", exc_info=True)
        sys.stderr.write(f"{PROGRAM}: unexpected error {type(e).__name__}; --debug shows where\n")
    return ERROR


if __name__ == "__main__":
    sys.exit(main())
