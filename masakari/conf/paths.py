"""Where files lie."""

import os
import pathlib
import sys

from oslo_config import cfg

SYSTEM_STATE = pathlib.Path("/var/lib/masakari")


def default_state_path() -> str:
    """`/var/lib/masakari` where it is ours to write to, else below `$XDG_STATE_HOME`."""
    if os.geteuid() == 0 or _is_ours(SYSTEM_STATE):
        return str(SYSTEM_STATE)
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(home, "masakari")


def _is_ours(directory: pathlib.Path) -> bool:
    """Also where it cannot be written to right now: then that is to be told."""
    try:
        owner = directory.stat().st_uid
    except OSError:
        return False
    return owner == os.geteuid() or os.access(directory, os.W_OK)


TEMPDIR = cfg.StrOpt(
    "tempdir",
    help="Directory for the files of locks, where state_path cannot be written to.",
)
STATE_PATH = cfg.StrOpt(
    "state_path",
    default=default_state_path(),
    sample_default=str(SYSTEM_STATE),
    help="Directory of files that the service keeps, the default SQLite database among them. "
    "For users who cannot write to the default: $XDG_STATE_HOME/masakari.",
)
OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "pybasedir",
        default=str(pathlib.Path(__file__).parents[2]),
        sample_default="<the directory in which the package masakari lies>",
        help="For other values in which $pybasedir stands.",
    ),
    cfg.StrOpt(
        "bindir",
        default=os.path.join(sys.prefix, "local", "bin"),
        sample_default="<prefix>/local/bin",
        help="For other values in which $bindir stands.",
    ),
    STATE_PATH,
    TEMPDIR,
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    conf.register_opts(OPTS)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [("DEFAULT", OPTS)]
