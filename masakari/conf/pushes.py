"""Options of what has the host monitor look sooner."""

from oslo_config import cfg

HOST_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "push",
        default=[],
        help="Who may tell the host monitor to look at once, beside its looks each "
        "monitoring_interval: names in the entry points hostmonitor.push. consul: the agents of "
        "[consul], by blocking queries. kubernetes: the API server of [kubernetes], by a watch. "
        "nova_notifications: Nova's versioned notifications. "
        "pacemaker_alerts: alerts of Pacemaker's cluster. What is pushed is no proof: the drivers "
        "look, and decide as always.",
    ),
]
NOVA_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="Message bus on which Nova sends its notifications: its "
        "[oslo_messaging_notifications] transport_url, or [DEFAULT] transport_url where that is "
        "not set.",
    ),
    cfg.StrOpt("exchange", default="nova", help="Nova's [DEFAULT] control_exchange."),
    cfg.ListOpt(
        "topics",
        default=["versioned_notifications"],
        help="Nova's [notifications] versioned_notifications_topics, or one of them.",
    ),
    cfg.StrOpt(
        "pool",
        help="Name of the queue that this monitor has for itself, so that it takes nothing from "
        "others who listen. Default: masakari-hostmonitor-HOSTNAME. A queue stays, and fills, when "
        "its monitor is gone for good: then delete it.",
    ),
]
PACEMAKER_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "socket",
        default="@masakari-hostmonitor",
        help="Unix socket on which the program masakari-pacemaker-alert tells of alerts. A name "
        "after @ is an abstract socket, which is no file and needs no rights; a path is a file "
        "whose group must be that of the cluster, haclient. Root and hacluster are heard on it, "
        "and the monitor's own user.",
    ),
]

GROUPS: dict[str, list[cfg.Opt]] = {
    "host": HOST_OPTS,
    "nova_notifications": NOVA_OPTS,
    "pacemaker_alerts": PACEMAKER_OPTS,
}


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    for group, opts in GROUPS.items():
        conf.register_opts(opts, group=group)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return list(GROUPS.items())
