"""Options of the instance monitors."""

from oslo_config import cfg

LIBVIRT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "connection_uri",
        default="qemu:///system",
        help="URI of libvirt. Credentials for SASL are those of libvirt's own auth.conf; TLS is as "
        "the URI says (qemu+tls://…). The connection is read-only.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=10,
        min=0.1,
        max=600,
        help="Seconds that a call of libvirt may take before it is given up.",
    ),
    cfg.FloatOpt(
        "keepalive_interval",
        default=5,
        min=1,
        max=600,
        help="Seconds between two questions whether libvirt is still there; without three answers "
        "the connection counts as lost.",
    ),
    cfg.FloatOpt(
        "reconnect_max",
        default=10,
        min=0.5,
        max=600,
        help="Seconds between two tries to reach libvirt, at most; the pause starts at half a "
        "second and doubles.",
    ),
    cfg.FloatOpt(
        "reconcile_interval",
        default=60,
        min=1,
        max=3600,
        help="Seconds between two comparisons of all domains with what was known of them, which "
        "finds what no event has told.",
    ),
]
CALLBACK_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "retry_max",
        default=12,
        min=1,
        help="After so many tries without an answer an error is logged. Nothing is dropped: it is "
        "sent until the API answers.",
    ),
    cfg.FloatOpt(
        "retry_interval",
        default=10,
        min=0.1,
        max=3600,
        help="Seconds between two tries to send what the Masakari API has not answered, at most; "
        "the pause starts at a sixteenth of it and doubles.",
    ),
]
INSTANCE_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "report_also",
        default=[],
        help="Events that are reported although nothing is done about them by default, such as "
        "WATCHDOG/WATCHDOG_RESET: those that [instance_failure] events of the engine decides "
        "otherwise.",
    ),
    cfg.BoolOpt(
        "nova_only",
        default=True,
        help="Whether domains that Nova has not made are left alone.",
    ),
    cfg.BoolOpt(
        "guest_heartbeats",
        default=False,
        help="Whether the guest agents are asked by masakari-instancemonitor, too; then "
        "masakari-introspectiveinstancemonitor is not needed.",
    ),
]
INTROSPECTIVE_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "guest_monitoring_interval",
        default=10,
        min=0.5,
        max=3600,
        deprecated_name="guest_monitor_interval",
        help="Seconds between two questions to each guest agent.",
    ),
    cfg.IntOpt(
        "guest_monitoring_timeout",
        default=2,
        min=1,
        max=600,
        deprecated_name="guest_monitor_timeout",
        help="Seconds that an agent may take to answer.",
    ),
    cfg.IntOpt(
        "guest_monitoring_failure_threshold",
        default=3,
        min=0,
        max=1000,
        help="A guest is reported when more answers in a row than one more than these are missing.",
    ),
    cfg.FloatOpt(
        "io_silence",
        default=120,
        min=0,
        max=86400,
        help="Seconds without disk and network I/O that are needed besides.",
    ),
    cfg.StrOpt(
        "default_kind",
        default="heartbeat-io",
        choices=[
            ("off", "the agent is not asked"),
            ("heartbeat", "missing answers suffice"),
            ("heartbeat-io", "the guest must be silent, too, on its disks and networks"),
        ],
        help="How guests are watched of which neither the extra spec of their flavor that "
        "metadata_key names nor flavor_kinds says it.",
    ),
    cfg.StrOpt(
        "metadata_key",
        default="masakari:guest_heartbeat",
        help="Name of the extra spec of the flavor that says it: off, heartbeat or heartbeat-io. "
        "Nova writes extra specs into the metadata of domains since its release 32 (2025.2).",
    ),
    cfg.DictOpt(
        "flavor_kinds",
        default={},
        help="The same by the names of flavors, for older releases of Nova: "
        "tiny:off,big:heartbeat. An extra spec goes before it.",
    ),
    cfg.FloatOpt(
        "most_silent",
        default=0.5,
        min=0,
        max=1,
        help="If more than this share of the guests that have answered, and more than four, are "
        "silent at the same time, their host or its storage is suspected: none is reported, and "
        "MSK-413 is raised. 1: never.",
    ),
    cfg.IntOpt(
        "parallel",
        default=10,
        min=1,
        max=1000,
        help="Agents asked at a time, those aside that do not answer.",
    ),
    cfg.StrOpt(
        "qemu_guest_agent_sock_path",
        default=r"/var/lib/libvirt/qemu/org\.qemu\.guest_agent\..*\.instance-.*\.sock",
        help="Regular expression of the paths of sockets that are agents' as well. Agents are "
        "found by the name of their channel, org.qemu.guest_agent.0, wherever the socket lies.",
    ),
]

_GROUPS: dict[str, list[cfg.Opt]] = {
    "libvirt": LIBVIRT_OPTS,
    "callback": CALLBACK_OPTS,
    "instance": INSTANCE_OPTS,
    "introspectiveinstancemonitor": INTROSPECTIVE_OPTS,
}


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    for group, opts in _GROUPS.items():
        conf.register_opts(opts, group=group)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return list(_GROUPS.items())
