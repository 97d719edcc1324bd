"""Options of the alarms: when something needs a person."""

from oslo_config import cfg

GROUP = "alarms"

SERVER_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "waiting_age",
        default=900,
        min=1,
        help="Seconds after which a failure whose recovery has not ended raises MSK-101.",
    ),
    cfg.IntOpt(
        "given_up_age",
        default=86400,
        min=1,
        help="Seconds after which a recovery that was given up (MSK-103) counts as known.",
    ),
    cfg.FloatOpt(
        "clock_difference",
        default=5.0,
        min=0.1,
        help="Seconds by which the clocks of an engine and of the database may differ (MSK-302).",
    ),
    cfg.IntOpt(
        "hosts_interval",
        default=600,
        min=0,
        help="Seconds between two comparisons of Nova's compute hosts with those in segments "
        "(MSK-201, MSK-202); 0: never.",
    ),
    cfg.BoolOpt(
        "hosts_in_no_segment",
        default=True,
        help="Whether a compute host that is in no segment raises MSK-201. Single hosts are "
        "left out where [engine] exclusions_file names them.",
    ),
]
MONITOR_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "silent_age",
        default=600,
        min=1,
        help="Seconds without a round that judged the hosts after which MSK-401 is raised; also "
        "those without an answer of libvirt (MSK-411) or systemd (MSK-412).",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options of the server programs on *conf*."""
    conf.register_opts(SERVER_OPTS, group=GROUP)


def register_monitors(conf: cfg.ConfigOpts) -> None:
    """Declare the options of the monitors on *conf*."""
    conf.register_opts(MONITOR_OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs of the server programs."""
    return [(GROUP, SERVER_OPTS)]


def list_monitor_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs of the monitors."""
    return [(GROUP, MONITOR_OPTS)]
