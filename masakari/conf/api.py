"""Options of the REST API."""

from oslo_config import cfg

from masakari.conf import types

DEFAULT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "auth_strategy",
        default="keystone",
        choices=[
            ("keystone", "tokens are validated by Keystone"),
            ("noauth2", "no authentication, everyone is administrator: for a lab only"),
        ],
        help="How requests are authenticated.",
    ),
    cfg.IntOpt(
        "osapi_max_limit",
        default=1000,
        min=1,
        help="The largest number of rows in one answer of a list.",
    ),
    cfg.Opt(
        "osapi_masakari_link_prefix",
        type=types.HttpUrl(),
        help="URL that replaces scheme and host, and prefixes the path, in links of version "
        "documents. Default: the URL of the request.",
    ),
    cfg.HostAddressOpt(
        "masakari_api_listen",
        default="0.0.0.0",  # noqa: S104  the default that clients rely on
        help="Address on which masakari-api listens. masakari-standalone listens on 127.0.0.1 "
        "instead when this is not set and auth_strategy is noauth2.",
    ),
    cfg.PortOpt(
        "masakari_api_listen_port",
        default=15868,
        min=1,
        help="Port on which masakari-api listens.",
    ),
    cfg.IntOpt(
        "masakari_api_workers",
        min=1,
        help="Worker processes of masakari-api. Default: the number of CPUs.",
    ),
    cfg.BoolOpt(
        "masakari_api_pin_workers",
        default=False,
        help="Each worker process of masakari-api stays on one of the CPUs that it may use, the "
        "next one on the next: nearly twice as many small requests a second, unless others pin "
        "themselves to the same CPUs.",
    ),
    cfg.IntOpt(
        "masakari_api_threads",
        default=16,
        min=1,
        max=1000,
        help="Threads of each worker process of masakari-api: requests that it serves at a time.",
    ),
    cfg.IntOpt(
        "duplicate_notification_detection_interval",
        default=180,
        min=0,
        help="Seconds in which a second notification with the same type, host and payload is "
        "refused as a duplicate (409).",
    ),
    cfg.IntOpt(
        "notification_correlation_interval",
        min=0,
        help="Seconds in which notifications of several monitors that tell of the same failure, "
        "in whatever payloads, are one: the first one is accepted, the others are refused as "
        "duplicates (409), and kept as its witnesses. 0: only equal payloads tell of the same "
        "failure. Default: duplicate_notification_detection_interval.",
    ),
    cfg.BoolOpt(
        "use_ssl", default=False, help="Whether masakari-api speaks TLS ([wsgi] ssl_* name files)."
    ),
]

OSAPI_V1_OPTS: list[cfg.Opt] = [
    cfg.Opt(
        "project_id_regex",
        type=types.Regex(),
        deprecated_for_removal=True,
        deprecated_reason="Clients take the endpoint from the catalogue.",
        help=r"Regular expression of project ids in paths. Default: [0-9a-f\-]+",
    ),
]

WSGI_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("ssl_ca_file", help="CA certificates that clients' certificates must come from."),
    cfg.StrOpt("ssl_cert_file", help="Certificate of the API server (PEM)."),
    cfg.StrOpt("ssl_key_file", help="Private key of the API server (PEM)."),
    cfg.IntOpt(
        "client_socket_timeout",
        default=900,
        min=0,
        help="Seconds after which an idle connection is closed; 0: never.",
    ),
    cfg.FloatOpt(
        "client_request_timeout",
        default=60.0,
        min=0,
        help="Seconds in which a request, head and body, must have arrived after its first byte, "
        "and in which the client must take something of an answer; 0: without limit. Who is slower "
        "gets 408, or is cut off.",
    ),
    cfg.BoolOpt("keep_alive", default=True, help="Whether connections serve several requests."),
    cfg.IntOpt("max_header_line", default=16384, min=0, help="Bytes of headers accepted."),
    cfg.IntOpt(
        "tcp_keepidle",
        default=600,
        min=1,
        max=32767,
        help="Seconds after which the kernel asks the other side of a silent connection whether "
        "it is still there.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    for group, opts in list_opts():
        conf.register_opts(opts, group=None if group == "DEFAULT" else group)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [("DEFAULT", DEFAULT_OPTS), ("osapi_v1", OSAPI_V1_OPTS), ("wsgi", WSGI_OPTS)]
