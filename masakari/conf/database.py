"""Options of the database and of TaskFlow's persistence."""

from oslo_config import cfg
from oslo_db import options as oslo_db_options

DEFAULT_CONNECTION = "sqlite:///$state_path/masakari.sqlite"

TASKFLOW_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="SQLAlchemy URL of the database in which TaskFlow keeps the progress of recoveries. "
        "Default: [database] connection.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    oslo_db_options.set_defaults(conf, connection=DEFAULT_CONNECTION)
    conf.register_opts(TASKFLOW_OPTS, group="taskflow")


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [("taskflow", TASKFLOW_OPTS)]
