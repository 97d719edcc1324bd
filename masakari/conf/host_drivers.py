"""Options of the drivers of the host monitor, each in a group of the driver's name."""

from oslo_config import cfg

PING_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "networks",
        default=["manage={host}"],
        help="Networks on which hosts are pinged, each with the name or the address that a host "
        "has there: {host} stands for the host's name in Nova, as in "
        "manage={host},storage={host}.storage.example.com.",
    ),
    cfg.ListOpt(
        "addresses",
        default=[],
        help="Hosts that are elsewhere on a network, such as "
        "manage/compute1=10.0.0.1,storage/compute1=fd00::1.",
    ),
    cfg.ListOpt(
        "witnesses",
        default=[],
        help="Addresses that answer echo requests while the monitor's own network works, each with "
        "its network: gateways, such as manage/10.0.0.254. They are asked when not one host "
        "answers on that network: if one of them does, the hosts may be dead. So a single host "
        "can be reported, and the last ones of a few.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=3,
        min=0.1,
        max=60,
        help="Seconds after which a host that was asked is silent.",
    ),
    cfg.IntOpt(
        "echoes",
        default=5,
        min=1,
        max=100,
        help="So many requests, one after the other within the timeout, must remain unanswered. "
        "On a network that loses 2 % of its packets, all of 5 are lost once in 10 million times.",
    ),
]

CONSUL_OPTS: list[cfg.Opt] = [
    *(
        cfg.StrOpt(
            f"agent_{network}",
            help=f"Consul's agent on the {network} network, host[:port]; the port is 8500 by "
            "default.",
        )
        for network in ("manage", "tenant", "storage")
    ),
    cfg.StrOpt(
        "matrix_config_file",
        help="YAML file that says which networks must have lost a host for it to be dead. Without "
        "it: the storage network decides if there are agents on all three, otherwise all that can "
        "tell must have lost it.",
    ),
]

SSH_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "address",
        default="{host}",
        help="Where a host is asked: a name or an address in which {host} stands for the host's "
        "name in Nova, with or without :port.",
    ),
    cfg.ListOpt(
        "addresses",
        default=[],
        help="Hosts that are asked elsewhere, such as compute1=10.0.0.1:22,compute2=[fd00::2].",
    ),
    cfg.PortOpt("port", default=22, min=1, help="Port of the SSH servers."),
    cfg.IntOpt(
        "logins_per_look",
        default=20,
        min=0,
        help="So many hosts are logged in to in each look, in turn, and those whose last login "
        "failed first; the others have to send their SSH banner. 0: nobody is logged in to.",
    ),
    cfg.StrOpt("user", default="masakari", help="Who logs in. It needs no right but that."),
    cfg.StrOpt(
        "key_file",
        help="File of the private key with which we log in, without passphrase. Others must not "
        "be able to read it.",
    ),
    cfg.BoolOpt(
        "verify_host_keys",
        default=True,
        help="Whether a host that is logged in to must show a key of known_hosts_file.",
    ),
    cfg.StrOpt(
        "known_hosts_file",
        default="/etc/masakarimonitors/known_hosts",
        help="File of the hosts' keys, in OpenSSH's format; it is read in each look.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=5,
        min=0.1,
        max=60,
        help="Seconds after which a host that was asked is silent.",
    ),
    cfg.IntOpt(
        "parallel",
        default=16,
        min=1,
        max=1000,
        help="Hosts asked at a time. Too many for the CPU make hosts time out that are well; they "
        "are unknown then. For each that does not answer two more are asked, up to 500 at a time.",
    ),
    cfg.StrOpt(
        "hung",
        default="doubtful",
        choices=[
            ("doubtful", "it is not reported: its kernel lives, and its VMs may run"),
            ("offline", "it is reported; something has to switch it off before its VMs move"),
        ],
        help="What a host is that accepts the connection and then says nothing.",
    ),
]


def _controllers(example: str) -> list[cfg.Opt]:
    return [
        cfg.StrOpt(
            "hosts_file",
            help=f"YAML file with the management controller of each host, such as {example}. "
            "Others must not be able to read it; changes are noticed.",
        ),
        cfg.FloatOpt(
            "timeout",
            default=5,
            min=1,
            max=60,
            help="Seconds after which a controller that was asked does not answer.",
        ),
        cfg.IntOpt(
            "parallel",
            default=8,
            min=1,
            max=100,
            help="Controllers asked at a time; for each that does not answer two more, up to 100.",
        ),
    ]


IPMI_OPTS = _controllers("hosts: {compute1: {address: 10.0.9.1, username: U, password: P}}")
REDFISH_OPTS = [
    *_controllers("hosts: {compute1: {url: 'https://10.0.9.1', username: U, password: P}}"),
    cfg.StrOpt(
        "ca_file",
        help="File of the CA certificates that the controllers' certificates are checked with. "
        "Default: those that the library requests comes with.",
    ),
    cfg.BoolOpt(
        "verify",
        default=True,
        help="Whether certificates are checked. Without it passwords go to whoever answers.",
    ),
]

HEARTBEAT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "backend_url",
        secret=True,
        help="Coordination backend in which compute hosts are members of a group, as tooz takes "
        "it: etcd3+http://HOST:2379, zookeeper://HOST:2181 or redis://:PASSWORD@HOST:6379, with "
        "?membership_timeout=SECONDS after which a host that is not heard of is no member (10).",
    ),
    cfg.StrOpt("group", default="masakari-hosts", help="Name of the group."),
    cfg.FloatOpt(
        "interval",
        default=2,
        min=0.1,
        max=60,
        help="Seconds between two heartbeats of masakari-heartbeat: less than half of the "
        "membership timeout.",
    ),
]
KUBERNETES_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "monitoring_node_labels",
        default="",
        help="Selector of the labels of the nodes that are looked at, such as "
        "openstack-compute-node=enabled. Empty: all nodes.",
    ),
    cfg.StrOpt(
        "kubeconfig",
        help="File that says how the Kubernetes API is reached, with a token or a certificate. "
        "Default: as a pod of the cluster reaches it.",
    ),
    cfg.StrOpt("context", help="Context of the kubeconfig. Default: its current one."),
]

GROUPS: dict[str, list[cfg.Opt]] = {
    "ping": PING_OPTS,
    "ssh": SSH_OPTS,
    "ipmi": IPMI_OPTS,
    "redfish": REDFISH_OPTS,
    "heartbeat": HEARTBEAT_OPTS,
    "kubernetes": KUBERNETES_OPTS,
    "consul": CONSUL_OPTS,
}


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    for group, opts in GROUPS.items():
        conf.register_opts(opts, group=group)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return list(GROUPS.items())
