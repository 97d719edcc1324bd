"""The driver ping: hosts as they answer echo requests on one or several networks.

It sees that the kernel of a host lives, or that its cable is cut; nothing else.  It sends them all
over one socket, so that a thousand hosts cost little.
"""

from collections.abc import Collection, Iterable, Mapping
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
Witnesses = Mapping[str, tuple[Collection[str], Pinger]]
"""{network: (addresses, who asks them)}"""
_STATES = {
    Sign.ALIVE: State.ONLINE,
    Sign.SILENT: State.OFFLINE,
    Sign.UNKNOWN: State.UNKNOWN,
}


class PingPoller:
    """Asks hosts on each network."""

    suspicion = polling.OBSERVER

    def __init__(self, pinger: Pinger, witnesses: Witnesses) -> None:
        """*witnesses* are asked where no host answers."""
        self._pinger = pinger
        self._witnesses = witnesses

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
        poller = PingPoller(pinger, _witnesses(conf, networks))
        return polling.PolledProbe(poller, hosts, clock, tuple(networks))

    def poll(self, hosts: Collection[str]) -> polling.Readings:
        """A reading of each of *hosts* on each network, and of witnesses where none answers."""
        found = {
            network: {host: _read(network, opinion) for host, opinion in opinions.items()}
            for network, opinions in self._pinger.ask(hosts).items()
        }
        for network, readings in found.items():
            if network not in self._witnesses or polling.is_seeing(readings):
                continue
            if witnesses := self._ask_witnesses(network):
                readings.update(self._ask_again(network, readings))
                readings.update(witnesses)
        return found

    def _ask_again(self, network: str, readings: Mapping[str, Reading]) -> dict[str, Reading]:
        """Those that were silent: it may have been our own link, which was back for the witness."""
        silent = [host for host, reading in readings.items() if reading.state is State.OFFLINE]
        opinions = self._pinger.ask(silent, [network])[network]
        return {host: _read(network, opinion) for host, opinion in opinions.items()}

    def _ask_witnesses(self, network: str) -> dict[str, Reading]:
        """Those that answer."""
        names, pinger = self._witnesses[network]
        return {
            f"witness {name}": _read(network, opinion)
            for name, opinion in pinger.ask(names)[network].items()
            if opinion.sign is Sign.ALIVE
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
    listed = _by_network(conf.ping.addresses, patterns, "addresses", "network/host=address")
    return {
        name: Addresses(pattern, listed[name], 0, OPTIONS) for name, pattern in patterns.items()
    }


def _witnesses(conf: cfg.ConfigOpts, networks: Collection[str]) -> Witnesses:
    """Those that [ping] names.  Raises ConfigInvalid."""
    listed = _by_network(conf.ping.witnesses, networks, "witnesses", "network/address")
    options = addresses_.Options("ping", "witnesses", "witnesses")
    return {
        network: (
            witnesses,
            Pinger(
                {
                    network: Addresses(
                        "{host}", [f"{each}={each}" for each in witnesses], 0, options
                    )
                },
                timeout_s=conf.ping.timeout,
                echoes=conf.ping.echoes,
            ),
        )
        for network, witnesses in listed.items()
        if witnesses
    }


def _by_network(
    entries: Iterable[str], networks: Collection[str], option: str, form: str
) -> dict[str, list[str]]:
    """{network: what is listed of it}.  Raises ConfigInvalid."""
    listed: dict[str, list[str]] = {name: [] for name in networks}
    for entry in entries:
        name, separator, what = entry.strip().partition("/")
        if not separator or not what or name not in listed:
            known = ", ".join(networks)
            raise OPTIONS.invalid(option, f"{entry!r} is not {form} with a network of {known}")
        listed[name].append(what)
    return listed


def _read(network: str, opinion: Opinion) -> Reading:
    return Reading(_STATES[opinion.sign], f"{network}: {opinion.detail}")
