"""Options of the database and of TaskFlow's persistence."""

from oslo_config import cfg
from oslo_db import options as oslo_db_options

DEFAULT_CONNECTION = "sqlite:///$state_path/masakari.sqlite"
CONNECTIONS = 10
"""Of one process, unless `[database] max_pool_size` and `max_overflow` say otherwise."""

TASKFLOW_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="SQLAlchemy URL of the database in which TaskFlow keeps the progress of recoveries. "
        "Default: [database] connection.",
    ),
]


# Threads wait for a connection rather than open one more: for PyMySQL that costs more CPU time
# than ten transactions, and transactions are short.
_DEFAULTS = {"connection": DEFAULT_CONNECTION, "max_pool_size": CONNECTIONS, "max_overflow": 0}


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    oslo_db_options.set_defaults(conf, **_DEFAULTS)
    conf.register_opts(TASKFLOW_OPTS, group="taskflow")


def set_defaults() -> None:
    """oslo.db's options have our defaults, also in sample files."""
    cfg.set_defaults(oslo_db_options.database_opts, **_DEFAULTS)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [("taskflow", TASKFLOW_OPTS)]
