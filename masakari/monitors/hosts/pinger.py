"""Ask hosts by echo requests, each on one or several networks, all at once."""

from collections.abc import Collection, Mapping

from masakari.monitors.hosts import icmp
from masakari.monitors.hosts.addresses import Address, Addresses, Resolver, Target
from masakari.monitors.hosts.opinions import Opinion, Sign, weigh

NOWHERE = Opinion(Sign.UNKNOWN, "its name makes no address to ask")


class Pinger:
    """Knows where hosts are on each network; not for several threads at once."""

    def __init__(self, networks: Mapping[str, Addresses], *, timeout_s: float, echoes: int) -> None:
        """*networks*: {name: where hosts are asked there}."""
        self._networks = networks
        self._timeout_s = timeout_s
        self._echoes = echoes
        self._resolver = Resolver()

    def ask(
        self, hosts: Collection[str], networks: Collection[str] | None = None
    ) -> Mapping[str, Mapping[str, Opinion]]:
        """{network: {host: opinion}}, of all networks or these.

        Any sign of life on any IP address counts.
        """
        where = {
            network: {host: self._networks[network].find(host) for host in hosts}
            for network in (self._networks if networks is None else networks)
        }
        asked = {address for found in where.values() for address in found.values() if address}
        resolved = self._resolver.resolve(asked)
        targets = {t for found in resolved.values() if not isinstance(found, str) for t in found}
        answers = icmp.ask(targets, self._timeout_s, self._echoes) if targets else {}
        opinions = {address: _opinion(address, resolved[address], answers) for address in asked}
        return {
            network: {
                host: opinions[address] if address else NOWHERE for host, address in found.items()
            }
            for network, found in where.items()
        }


def _opinion(
    address: Address, resolved: list[Target] | str, answers: Mapping[Target, Opinion]
) -> Opinion:
    if isinstance(resolved, str):
        return Opinion(Sign.UNKNOWN, resolved)
    opinion = weigh(answers[target] for target in resolved)
    return Opinion(opinion.sign, f"{address} {opinion.detail}")
