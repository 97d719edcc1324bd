"""Options of the process monitor."""

from oslo_config import cfg

GROUP = "process"

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "check_interval",
        default=5,
        min=0.1,
        max=3600,
        help="Seconds between two looks at the processes. Changes of units are seen at once.",
    ),
    cfg.IntOpt(
        "restart_retries",
        default=3,
        min=0,
        max=1000,
        help="So many more times it is tried to bring a process up, after the first attempt, "
        "before it is reported.",
    ),
    cfg.FloatOpt(
        "restart_interval",
        default=5,
        min=0.1,
        max=3600,
        help="Seconds between the first two attempts; the pause doubles with each one, up to "
        "sixteen times that. A process that no command brings up has one such pause to come back.",
    ),
    cfg.FloatOpt(
        "stable_after",
        default=30,
        min=0,
        max=86400,
        help="Seconds that a process must have been up before it counts as repaired: its attempts "
        "are forgiven, and if its end was reported, so is its start.",
    ),
    cfg.FloatOpt(
        "between_max",
        default=120,
        min=1,
        max=86400,
        help="Seconds that a unit may be starting or stopping before it counts as down.",
    ),
    cfg.FloatOpt(
        "command_timeout",
        default=60,
        min=0.1,
        max=3600,
        help="Seconds that a command of the process list may take; then it is killed, and the "
        "attempt has failed.",
    ),
    cfg.StrOpt(
        "root_command",
        default="sudo -n",
        help="Stands before the commands of processes with run_as_root, unless the monitor runs "
        "as root.",
    ),
    cfg.IntOpt(
        "api_retry_max",
        default=12,
        min=1,
        help="After so many tries without an answer an error is logged. Nothing is dropped: it is "
        "sent until the API answers.",
    ),
    cfg.FloatOpt(
        "api_retry_interval",
        default=10,
        min=0.1,
        max=3600,
        help="Seconds between two tries to send what the Masakari API has not answered, at most; "
        "the pause starts at a sixteenth of it and doubles.",
    ),
    cfg.StrOpt(
        "process_list_path",
        default="/etc/masakarimonitors/process_list.yaml",
        help="The file that names the processes. It is read again when it changes.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [(GROUP, OPTS)]
