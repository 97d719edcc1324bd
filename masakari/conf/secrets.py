"""Options of the care for secrets in files."""

import enum

from oslo_config import cfg


class Exposed(enum.StrEnum):
    """What becomes of a configuration file with secrets that everybody on the machine may read."""

    WARN = "warn"
    REFUSE = "refuse"


OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "exposed_secrets",
        default=Exposed.WARN.value,
        choices=[
            (Exposed.WARN.value, "the log has a warning with the names of file and options"),
            (Exposed.REFUSE.value, "the program does not start, with exit status 78"),
        ],
        help="What to do at the start about a configuration file that has passwords and that "
        "everybody on the machine may read. One that everybody may write is always refused, and so "
        "are private keys that everybody may read.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*; safe to repeat."""
    conf.register_opts(OPTS)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [("DEFAULT", OPTS)]
