"""What all programs do at start and stop: options, logging, signals."""

import contextlib
import io
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence

from oslo_config import cfg
from oslo_log import log
from oslo_service import opts as service_opts

import masakari.conf
from masakari.cmd import files, logs, secrets
from masakari.cmd.checks import check, problem
from masakari.cmd.systemd import Systemd
from masakari.conf import credentials, review
from masakari.errors import ConfigInvalid, Unusable

LOG = log.getLogger(__name__)

MISCONFIGURED = os.EX_CONFIG
"""Exit status: somebody must change the configuration."""
NOT_NOW = os.EX_TEMPFAIL
"""Exit status: what the configuration names cannot be used; another start may succeed."""


def run(
    program: str,
    serve: Callable[[cfg.ConfigOpts, Systemd], None],
    argv: Sequence[str] | None = None,
    *,
    register: Callable[[cfg.ConfigOpts], None],
    project: str = "masakari",
    description: str | None = None,
) -> int:
    """The exit status of *serve*, called with the parsed options (default: of sys.argv).

    *register* declares the options that the program uses.

    A configuration that cannot be used ends the program with one sentence on stderr, which systemd
    gets as well, and the status MISCONFIGURED or NOT_NOW.
    """
    systemd = Systemd()

    def fail(error: Exception, status: int) -> int:
        said = sentence(error)
        sys.stderr.write(f"{program}: {said}\n")
        systemd.failed(said)
        return status

    try:
        conf = configure(
            cfg.CONF, program, argv, project=project, register=register, description=description
        )
        tell(conf)
        serve(conf, systemd)
    except Unusable as e:
        return fail(e, NOT_NOW)
    except (ConfigInvalid, cfg.Error, log.LogConfigError) as e:
        return fail(e, MISCONFIGURED)
    except KeyboardInterrupt:
        return 130
    return 0


def configure(
    conf: cfg.ConfigOpts,
    program: str,
    argv: Sequence[str] | None = None,
    *,
    register: Callable[[cfg.ConfigOpts], None],
    project: str = "masakari",
    places: files.Places | None = None,
    description: str | None = None,
) -> cfg.ConfigOpts:
    """*conf* with our options declared, parsed and checked; logging is set up.

    *places* replace the default ones of configuration files.  Raises ConfigInvalid, cfg.Error and
    LogConfigError.
    """
    log.register_options(conf)
    logs.set_defaults()
    service_opts.register_service_opts(conf)
    register(conf)
    arguments = list(sys.argv[1:] if argv is None else argv)
    places = places or files.default_places(project, program)
    with logs.held() as say_what_was_held:
        with _impossible_values():
            conf(
                arguments,
                project=project,
                prog=program,
                description=description,
                default_config_files=places.files,
                default_config_dirs=places.directories,
            )
        credentials.register_kind(conf)
        check(conf)
        secrets.check(conf)
    logs.setup(conf, project, program)
    say_what_was_held()
    return conf


def tell(conf: cfg.ConfigOpts) -> None:
    """The log says what in the configuration has no effect or is open to all, each once."""
    for finding in findings(conf):
        LOG.log(finding.level, "%s", finding.text)
    for sentence in secrets.check(conf):
        LOG.warning("%s", sentence)


def findings(conf: cfg.ConfigOpts) -> list[review.Finding]:
    """What in the configuration has no effect."""
    # a file may be shared by all programs
    ours = [*masakari.conf.list_opts(), *masakari.conf.list_monitor_opts()]
    return review.review(conf, ours)


@contextlib.contextmanager
def _impossible_values() -> Iterator[None]:
    """oslo.config itself ends the program because of a file's value of a command line's option."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as e:
        found = _IMPOSSIBLE.fullmatch(said.getvalue())
        if e.code == 1 and found is not None:
            said = io.StringIO()
            raise ConfigInvalid(
                group="DEFAULT", option=found[1], problem=f"{found[3]!r} is no {found[2]} value"
            ) from e
        raise
    finally:
        sys.stderr.write(said.getvalue())


_IMPOSSIBLE = re.compile(r"argument --(\S+): Invalid (\S+) value: (.*)\n")


def sentence(error: Exception) -> str:
    """What the error says, in one line."""
    return " ".join(problem(error).split())


END = (signal.SIGTERM, signal.SIGINT)
HANGUP = (signal.SIGHUP,)


def hold_signals() -> None:
    """They are kept until `wait_for_signal` answers them; before, they would just end us.

    Call it before threads are started: one that does not hold them would get them instead.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (*END, *HANGUP))


@contextlib.contextmanager
def may_end() -> Iterator[None]:
    """In this block, which may take long, SIGTERM and SIGINT end the program all the same."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END)
    yield
    signal.pthread_sigmask(signal.SIG_BLOCK, END)


def wait_for_signal(
    conf: cfg.ConfigOpts,
    systemd: Systemd,
    sentence: str,
    reload: Callable[[], None] = lambda: None,
) -> None:
    """Return at SIGTERM or SIGINT; SIGHUP reads the mutable options again, then calls *reload*.

    *sentence*: what we do meanwhile, for systemd.
    """
    waited = (*END, *HANGUP)
    # The wake-up descriptor wakes this thread whichever thread the kernel gives a signal to.
    ours, python = socket.socketpair()
    python.setblocking(False)
    signal.set_wakeup_fd(python.fileno())
    for number in waited:
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)
    systemd.ready(sentence)
    while True:
        for received in ours.recv(16):
            if received in END:
                systemd.stopping()
                LOG.info("%s: stopping", signal.Signals(received).name)
                signal.set_wakeup_fd(-1)
                for number in waited:  # a second one ends us at once
                    signal.signal(number, signal.SIG_DFL)
                return
            if received in HANGUP:
                systemd.reloading()
                read_again(conf)
                reload()
                systemd.ready(sentence)


def read_again(conf: cfg.ConfigOpts) -> None:
    """The mutable options are as the files have them now; if that cannot be, as they were."""
    try:
        conf.mutate_config_files()
    except (cfg.Error, OSError, ValueError) as e:
        LOG.error("SIGHUP: the options stay as they were: %s", " ".join(str(e).split()))
    else:
        LOG.info("SIGHUP: the mutable options were read again")
