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

GROUPS: dict[str, list[cfg.Opt]] = {"ping": PING_OPTS}


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    for group, opts in GROUPS.items():
        conf.register_opts(opts, group=group)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return list(GROUPS.items())
