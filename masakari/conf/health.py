"""Options of the health checks and metrics of all programs."""

from oslo_config import cfg

GROUP = "health"

_COMMON: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "listen",
        default="127.0.0.1",
        help="Address on which health checks and metrics are answered. It is not for users of the "
        "cloud: 127.0.0.1, or an address of the management network.",
    ),
    cfg.StrOpt(
        "token_file",
        help="File whose content (one line) callers must send, as Authorization: Bearer TOKEN, to "
        "be told why a service is not ready, and to read metrics. Without it nobody is told why, "
        "and whoever reaches the port reads metrics. Others must not be able to read the file.",
    ),
]


def _port(name: str, program: str) -> cfg.Opt:
    return cfg.PortOpt(
        name,
        min=1,
        help=f"Port on which {program}; not set: none.",
    )


SERVER_OPTS: list[cfg.Opt] = [
    *_COMMON,
    _port(
        "engine_port",
        "masakari-engine and masakari-standalone answer /healthz/live, /healthz/ready and /metrics",
    ),
    _port(
        "api_port",
        "masakari-api answers /healthz/live, /healthz/ready and /metrics, for all of its workers",
    ),
]
MONITOR_OPTS: list[cfg.Opt] = [
    *_COMMON,
    _port(
        "hostmonitor_port",
        "masakari-hostmonitor answers /healthz/live, /healthz/ready and /metrics",
    ),
    _port(
        "instancemonitor_port",
        "masakari-instancemonitor answers /healthz/live, /healthz/ready and /metrics",
    ),
    _port(
        "introspectiveinstancemonitor_port",
        "masakari-introspectiveinstancemonitor answers /healthz/live, /healthz/ready and /metrics",
    ),
    _port(
        "processmonitor_port",
        "masakari-processmonitor answers /healthz/live, /healthz/ready and /metrics",
    ),
    _port(
        "heartbeat_port",
        "masakari-heartbeat answers /healthz/live, /healthz/ready and /metrics",
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
