"""Options of the monitors."""

import socket

from keystoneauth1 import loading
from oslo_config import cfg

from masakari.conf import paths, types, unused

API_TIMEOUT_S = 30

DEFAULT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "hostname",
        default=socket.gethostname(),
        sample_default="<hostname>",
        deprecated_name="host",
        help="Name of the monitor's own host, as Nova names its compute service; a host monitor "
        "never reports it.",
    ),
    paths.STATE_PATH,
    paths.TEMPDIR,
]

API_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "region",
        default="RegionOne",
        help="Region of the Masakari API and of Nova.",
    ),
    cfg.StrOpt(
        "api_interface",
        default="public",
        choices=["public", "internal", "admin"],
        help="Which of the endpoints in the service catalogue is used.",
    ),
    cfg.Opt(
        "endpoint_override",
        type=types.HttpUrl(),
        help="URL of the Masakari API, such as http://127.0.0.1:15868. Default: the service "
        "catalogue's. Needed with auth_type = none, for an API with auth_strategy = noauth2.",
    ),
]

HOST_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "monitoring_driver",
        default="default",
        help="Who knows which hosts are alive: a name in the entry points hostmonitor.driver. "
        "nova: the state of Nova's compute services, together with a second opinion. ping: echo "
        "requests on one or several networks. ssh: SSH servers. ipmi, redfish: the power, as the "
        "management controllers tell it. kubernetes: the nodes' conditions. coordination: who is "
        "in a group, as masakari-heartbeat keeps hosts there. consul: the members of its clusters. "
        "default, simple: Pacemaker's cluster. Several names, separated by commas, are weighed as "
        "matrix_file says.",
    ),
    cfg.StrOpt(
        "matrix_file",
        help="YAML file that says which signals together mean that a host is dead, with the names "
        "of drivers, or of networks of ping (such as ping/storage), as its sequence. Default: it "
        "is dead when all drivers that can tell say so, and at least one can; for ping alone, when "
        "it is silent on all networks.",
    ),
    cfg.FloatOpt(
        "monitoring_interval",
        default=60,
        min=0.1,
        max=3600,
        help="Seconds between two looks at all hosts.",
    ),
    cfg.IntOpt(
        "monitoring_samples",
        default=1,
        min=1,
        max=100,
        help="So many looks in a row must show the same before a host counts as dead or alive.",
    ),
    cfg.FloatOpt(
        "api_retry_interval",
        default=10,
        min=0.1,
        max=3600,
        help="Seconds between two tries to send what the Masakari API has not answered, at most; "
        "the pause starts at a sixteenth of it and doubles.",
    ),
    cfg.IntOpt(
        "api_retry_max",
        default=12,
        min=1,
        help="After so many tries without an answer an error is logged. Nothing is dropped: it is "
        "sent until the API answers.",
    ),
    cfg.FloatOpt(
        "maintenance_retry_interval",
        default=60,
        min=0.1,
        max=86400,
        help="Seconds after which the report of a dead host that was refused because the host is "
        "on maintenance is sent again, for as long as it is dead.",
    ),
    cfg.FloatOpt(
        "reminder_interval",
        default=300,
        min=0,
        max=86400,
        help="Seconds after which a death that was reported is reported again, and again, for as "
        "long as the host is dead; 0: never. It recovers a host whose first report came to "
        "nothing. Longer than [DEFAULT] duplicate_notification_detection_interval and "
        "notification_correlation_interval of the Masakari API (180 s), which takes anything "
        "sooner for the same report.",
    ),
    cfg.FloatOpt(
        "death_delay",
        default=0,
        min=0,
        max=86400,
        help="Seconds for which a host must look dead without interruption before it is reported.",
    ),
    cfg.IntOpt(
        "flapping_changes",
        default=6,
        min=0,
        max=1000,
        help="A host that turns more often than this between dead and alive within "
        "flapping_window is flapping: that is logged, and it is not reported dead until it turns "
        "less often; 0: nobody flaps.",
    ),
    cfg.FloatOpt(
        "flapping_window",
        default=600,
        min=1,
        max=86400,
        help="Seconds within which the turns of a host are counted.",
    ),
    cfg.IntOpt(
        "alive_share_min",
        default=20,
        min=0,
        max=100,
        help="Percent of the hosts of which something is known that must look alive; while fewer "
        "do, the monitor suspects its own network, reports no death and raises MSK-403. If not one "
        "looks alive, that is so with any value.",
    ),
    cfg.IntOpt(
        "new_deaths_max",
        default=0,
        min=0,
        max=100000,
        help="If more hosts than this look dead at once that were not reported before, none of "
        "them is reported, and MSK-403 is raised, until somebody has looked and raised the option; "
        "0: without limit. Set it above the number of hosts that one rack or switch can take down.",
    ),
    cfg.FloatOpt(
        "late_after",
        default=30,
        min=1,
        max=3600,
        help="A round that begins so many seconds late, or looks at the hosts for so long, "
        "decides nothing: the monitor itself was stalled, or what it saw is old.",
    ),
    cfg.BoolOpt(
        "disable_ipmi_check",
        default=False,
        deprecated_name="disable_ipmi_checks",
        help="A host that is offline in Pacemaker's cluster, was not stopped in order and was not "
        "fenced either is reported dead without a BMC that says that its power is off. Then it may "
        "be alive.",
    ),
    cfg.BoolOpt(
        "restrict_to_remotes",
        default=False,
        help="Only Pacemaker's remote nodes are watched.",
    ),
    cfg.FloatOpt(
        "ipmi_timeout",
        default=5,
        min=1,
        max=300,
        help="Seconds within which the BMC of a host that is offline in Pacemaker's cluster must "
        "answer.",
    ),
    cfg.StrOpt(
        "second_opinion",
        default="tcp",
        choices=[
            ("tcp", "a connection to second_opinion_port"),
            ("icmp", "an echo request; needs net.ipv4.ping_group_range or CAP_NET_RAW"),
        ],
        help="How a host is asked whether it is alive. A host is reported dead only if Nova says "
        "that its compute service is down and the host gives no sign of life here either.",
    ),
    cfg.StrOpt(
        "second_opinion_address",
        default="{host}",
        help="Where a host is asked: a name or an address in which {host} stands for the host's "
        "name in Nova, with or without :port, such as {host}.mgmt.example.com.",
    ),
    cfg.ListOpt(
        "second_opinion_addresses",
        default=[],
        help="Hosts that are asked elsewhere, such as compute1=10.0.0.1:22,compute2=[fd00::2].",
    ),
    cfg.PortOpt(
        "second_opinion_port",
        default=22,
        min=1,
        help="TCP port that is connected to where the address names none.",
    ),
    cfg.FloatOpt(
        "second_opinion_timeout",
        default=3,
        min=0.1,
        max=60,
        help="Seconds after which a host that was asked gives no sign of life.",
    ),
    cfg.StrOpt(
        "second_opinion_refused",
        default="alive",
        choices=[
            ("alive", "the host's kernel answered, so its VMs may run"),
            ("dead", "for hosts that are processes on one machine, in a lab or a test only"),
        ],
        help="What it means that a host refuses the connection (tcp).",
    ),
    cfg.IntOpt(
        "second_opinion_parallel",
        default=64,
        min=1,
        max=1000,
        help="Hosts asked at a time.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*, with those of keystoneauth in [api]."""
    conf.register_opts(DEFAULT_OPTS)
    conf.register_opts(API_OPTS, group="api")
    # A required option would stop programs that have their credentials elsewhere; keystoneauth
    # declares it itself when it reads the others.
    conf.register_opts([o for o in _keystoneauth_opts() if not o.required], group="api")
    conf.set_default("auth_type", "password", group="api")
    conf.set_default("timeout", API_TIMEOUT_S, group="api")
    conf.register_opts(HOST_OPTS, group="host")
    unused.register(conf, unused.MONITOR_OPTS)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    keystoneauth = _keystoneauth_opts()
    cfg.set_defaults(keystoneauth, auth_type="password", timeout=API_TIMEOUT_S)
    return [
        ("DEFAULT", DEFAULT_OPTS),
        ("api", API_OPTS + keystoneauth),
        ("host", HOST_OPTS),
        *unused.MONITOR_OPTS.items(),
    ]


def _keystoneauth_opts() -> list[cfg.Opt]:
    """How to authenticate, and how to connect; new objects with each call."""
    return [
        *loading.get_auth_common_conf_options(),
        *loading.get_session_conf_options(),
        *loading.get_auth_plugin_conf_options("password"),
    ]
