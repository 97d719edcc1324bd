"""What all programs do at start and stop: options, logging, signals."""

import signal
import socket
import sys
from collections.abc import Callable, Sequence

from oslo_config import cfg
from oslo_log import log
from oslo_service import opts as service_opts

import masakari.conf
from masakari.errors import ConfigInvalid

LOG = log.getLogger(__name__)

QUIET = (
    # a traceback for each step that fails; the engine says in a sentence why it did
    "taskflow.engines.action_engine.engine=CRITICAL",
    # a traceback for each error that it raises as well
    "oslo_db.sqlalchemy.exc_filters=CRITICAL",
    # two lines for each look at the version; db sync says from where to where it went
    "alembic.runtime.migration=WARNING",
)
"""Loggers of libraries that say too much."""


def run(
    program: str,
    serve: Callable[[cfg.ConfigOpts], None],
    argv: Sequence[str] | None = None,
    *,
    project: str = "masakari",
    register: Callable[[cfg.ConfigOpts], None] = masakari.conf.register,
) -> int:
    """The exit status of *serve*, called with the parsed options (default: of sys.argv).

    A configuration that cannot be used ends the program with one sentence on stderr.
    """
    try:
        conf = configure(cfg.CONF, program, argv, project=project, register=register)
        serve(conf)
    except (ConfigInvalid, cfg.Error, log.LogConfigError) as e:
        sys.stderr.write(f"{program}: {' '.join(str(e).split())}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def configure(
    conf: cfg.ConfigOpts,
    program: str,
    argv: Sequence[str] | None = None,
    *,
    project: str = "masakari",
    register: Callable[[cfg.ConfigOpts], None] = masakari.conf.register,
    files: Sequence[str] | None = None,
) -> cfg.ConfigOpts:
    """*conf* with our options declared, parsed and checked; logging is set up.

    *files* replace the default places of configuration files.  Raises ConfigInvalid, cfg.Error and
    LogConfigError.
    """
    log.register_options(conf)
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *QUIET])
    service_opts.register_service_opts(conf)
    register(conf)
    arguments = list(sys.argv[1:] if argv is None else argv)
    conf(
        arguments,
        project=project,
        prog=program,
        default_config_files=None if files is None else list(files),
    )
    try:
        log.setup(conf, project)
    except OSError as e:
        raise ConfigInvalid(
            group="DEFAULT", option="log_file", problem=f"{e.filename}: {e.strerror}"
        ) from e
    check(conf)
    return conf


def check(conf: cfg.ConfigOpts) -> None:
    """Raise ConfigInvalid unless every value of our options is possible; values are read lazily."""
    for group, opts in (*masakari.conf.list_opts(), *masakari.conf.list_monitor_opts()):
        where = conf if group == "DEFAULT" else getattr(conf, group, None)
        for opt in opts if where is not None else ():
            try:
                getattr(where, opt.dest, None)
            except (cfg.ConfigFileValueError, cfg.TemplateSubstitutionError) as e:
                problem = str(e).rpartition("is not valid: ")[2]
                raise ConfigInvalid(group=group, option=opt.name, problem=problem) from e


def wait_for_signal(conf: cfg.ConfigOpts) -> None:
    """Return at SIGTERM or SIGINT; SIGHUP reads the mutable options again."""
    waited = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # The wake-up descriptor wakes this thread whichever thread the kernel gives a signal to.
    ours, python = socket.socketpair()
    python.setblocking(False)
    signal.set_wakeup_fd(python.fileno())
    for number in waited:
        signal.signal(number, lambda _number, _frame: None)
    while True:
        for received in ours.recv(16):
            if received in (signal.SIGTERM, signal.SIGINT):
                LOG.info("%s: stopping", signal.Signals(received).name)
                signal.set_wakeup_fd(-1)
                return
            if received == signal.SIGHUP:
                LOG.info("SIGHUP: reading the mutable options again")
                conf.mutate_config_files()
