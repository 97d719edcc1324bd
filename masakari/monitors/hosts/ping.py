"""The driver ping: hosts as they answer echo requests on one or several networks.

It sees that the kernel of a host lives, or that its cable is cut; nothing else.  It sends them all
over one socket, so that a thousand hosts cost little.
"""

from collections.abc import Collection, Mapping
from typing import Any

from oslo_config import cfg

from masakari import clock as clock_
from masakari import errors
from masakari.monitors import watchlist
from masakari.monitors.hosts import addresses as addresses_
from masakari.monitors.hosts import icmp, polling
from masakari.monitors.hosts.addresses import Addresses
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.monitors.hosts.pinger import Pinger
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import State

OPTIONS = addresses_.Options("ping", "networks", "addresses")
_STATES = {
    Sign.ALIVE: State.ONLINE,
    Sign.SILENT: State.OFFLINE,
    Sign.UNKNOWN: State.UNKNOWN,
}


class PingPoller:
    """Asks hosts on each network."""

    def __init__(self, pinger: Pinger) -> None:
        """Nobody is asked yet."""
        self._pinger = pinger

    @staticmethod
    def from_conf(
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        **_given: Any,  # what other drivers are given
    ) -> polling.PolledProbe:
        """The probe that [ping] describes.  Raises ConfigInvalid."""
        if problem := icmp.problem():
            raise errors.ConfigInvalid(
                group="host", option="monitoring_driver", problem=f"ping: {problem}"
            )
        networks = _networks(conf)
        pinger = Pinger(networks, timeout_s=conf.ping.timeout, echoes=conf.ping.echoes)
        return polling.PolledProbe(PingPoller(pinger), hosts, clock, tuple(networks))

    def poll(self, hosts: Collection[str]) -> polling.Readings:
        """A reading of each of *hosts* on each network."""
        return {
            network: {host: _read(network, opinion) for host, opinion in opinions.items()}
            for network, opinions in self._pinger.ask(hosts).items()
        }


def _networks(conf: cfg.ConfigOpts) -> Mapping[str, Addresses]:
    """{network: where hosts are asked there}, as [ping] says.  Raises ConfigInvalid."""
    patterns: dict[str, str] = {}
    for entry in conf.ping.networks:
        name, separator, pattern = (part.strip() for part in entry.partition("="))
        if not separator or not name:
            raise OPTIONS.invalid("networks", f"{entry!r} is not name=pattern")
        if "/" in name:
            raise OPTIONS.invalid("networks", f"the name {name!r} of a network has a slash")
        if name in patterns:
            raise OPTIONS.invalid("networks", f"the network {name!r} is given twice")
        patterns[name] = pattern
    if not patterns:
        raise OPTIONS.invalid("networks", "no network is given")
    listed: dict[str, list[str]] = {name: [] for name in patterns}
    for entry in conf.ping.addresses:
        name, separator, address = entry.strip().partition("/")
        if not separator or name not in listed:
            raise OPTIONS.invalid(
                "addresses",
                f"{entry!r} is not network/host=address with a network of {', '.join(patterns)}",
            )
        listed[name].append(address)
    return {
        name: Addresses(pattern, listed[name], 0, OPTIONS) for name, pattern in patterns.items()
    }


def _read(network: str, opinion: Opinion) -> Reading:
    return Reading(_STATES[opinion.sign], f"{network}: {opinion.detail}")
