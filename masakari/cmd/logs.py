"""Logging of the programs: oslo.log with our defaults."""

import contextlib
import importlib
import logging
import logging.handlers
from collections.abc import Callable, Iterator

from oslo_config import cfg
from oslo_log import formatters, log

from masakari.errors import Unusable

LOG = logging.getLogger(__name__)

QUIET = (
    # a traceback for each step that fails; the engine says in a sentence why it did
    "taskflow.engines.action_engine.engine=CRITICAL",
    # a traceback for each error that it raises as well
    "oslo_db.sqlalchemy.exc_filters=CRITICAL",
    # a traceback for each connection that a restart of the database has cut
    "sqlalchemy.pool=CRITICAL",
    # lines for each look at the version; db sync says from where to where it went
    "alembic.runtime=WARNING",
    # a line for each try while Keystone is away, which is told once
    "keystoneauth.identity=ERROR",
    # each of its connections, and a traceback each few seconds for a lock that was lost; of what
    # they cannot do, our locks tell
    "kazoo=WARNING",
    "tooz.drivers.redis=CRITICAL",
)
"""Loggers of libraries that say too much."""

_OPTIONS = "oslo_config.cfg"
"""Says which options are deprecated, when they are read."""
_SUMMARY = "%(error_summary)s"


def set_defaults() -> None:
    """oslo.log has our defaults; its options are declared already."""
    levels = [level for level in log.get_default_log_levels() if level not in QUIET]
    log.set_defaults(default_log_levels=[*levels, *QUIET])


def setup(conf: cfg.ConfigOpts, project: str, program: str) -> None:
    """Log as *conf* says, in log_dir under the name of *program*, if nothing else is said.

    Raises Unusable and LogConfigError.
    """
    if conf.log_dir:  # oslo.log would name it after whatever script loads the WSGI application
        conf.set_default("log_file", f"{program}.log")
    without_journal = conf.use_journal and not _has_journal()
    if without_journal:  # what is said on stdout reaches systemd's journal as well
        conf.set_override("use_journal", False)
    try:
        log.setup(conf, project)
    except OSError as e:
        raise Unusable(
            group="DEFAULT", option="log_file", problem=f"{e.filename}: {e.strerror}"
        ) from e
    for handler in logging.getLogger().handlers:
        if type(handler.formatter) is formatters.ContextFormatter:
            handler.setFormatter(Formatter(handler.formatter, conf))
    if without_journal:
        LOG.warning("[DEFAULT] use_journal has no effect: the library systemd-python is missing")


def _has_journal() -> bool:
    """oslo.log can reach systemd's journal."""
    try:
        importlib.import_module("systemd.journal")
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def held() -> Iterator[Callable[[], None]]:
    """What oslo.config says in this block is not lost: call the result when logging is set up."""
    logger = logging.getLogger(_OPTIONS)
    keeper = logging.handlers.BufferingHandler(capacity=10_000)
    propagate = logger.propagate

    def say() -> None:
        for record in keeper.buffer:
            logger.handle(record)

    logger.addHandler(keeper)
    logger.propagate = False
    try:
        yield say
    finally:
        logger.removeHandler(keeper)
        logger.propagate = propagate


class Formatter(logging.Formatter):
    """As oslo.log's, but a line that is written while an exception is handled does not end in it.

    Our lines say themselves what is worth knowing of it.
    """

    def __init__(self, inner: logging.Formatter, conf: cfg.ConfigOpts) -> None:
        """Format as *inner* does."""
        super().__init__()
        self._inner = inner
        self._conf = conf

    def format(self, record: logging.LogRecord) -> str:
        """The line, or several with a traceback."""
        text = self._inner.format(record)
        summary = getattr(record, "error_summary", "")
        if record.exc_info or not summary or self._is_wanted(record):
            return text
        return text.removesuffix(f": {summary}")

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        if getattr(record, "request_id", None):
            return _SUMMARY in self._conf.logging_context_format_string
        return _SUMMARY in self._conf.logging_default_format_string


def silence(conf: cfg.ConfigOpts) -> None:
    """The log says nothing from now on: what the program prints says what there is to say."""
    for name in ("", *(pair.partition("=")[0] for pair in conf.default_log_levels)):
        logging.getLogger(name).setLevel(logging.CRITICAL)
