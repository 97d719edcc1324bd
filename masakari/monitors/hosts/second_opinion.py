"""Ask the hosts themselves whether they are alive, all at a time.

Nova's word that a compute service is down says nothing of the VMs: nova-compute may have crashed,
the message bus may be away.  So a host is accused only if it gives no sign of life here either.
Where a host cannot be asked (its name is unknown, there is no route), nobody can tell.
"""

import concurrent.futures
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from oslo_config import cfg

from masakari import errors
from masakari.monitors.hosts import addresses as addresses_
from masakari.monitors.hosts import icmp
from masakari.monitors.hosts.addresses import Address, Addresses, Where
from masakari.monitors.hosts.opinions import REFUSAL, SILENCE, Opinion, Sign, weigh
from masakari.monitors.hosts.pinger import Pinger

ECHOES = 3
"""Echo requests within the timeout: one lost packet is no sign."""
OPTIONS = addresses_.Options("host", "second_opinion_address", "second_opinion_addresses")


class SecondOpinion(Protocol):
    """Whoever can tell whether hosts are alive, without Nova."""

    def ask(self, hosts: Collection[str]) -> Mapping[str, Opinion]:
        """An opinion on each of *hosts*."""


Knock = Callable[[socket.AddressFamily, Where, float], Opinion]
"""Asks one IP address and port, within a time in seconds."""


def connect(conf: cfg.ConfigOpts) -> SecondOpinion:
    """The second opinion that [host] describes.  Raises ConfigInvalid."""
    host = conf.host
    is_icmp = host.second_opinion == "icmp"
    addresses = Addresses(
        host.second_opinion_address,
        host.second_opinion_addresses,
        0 if is_icmp else host.second_opinion_port,
        OPTIONS,
    )
    if is_icmp:
        check_icmp()
        return Echoes(addresses, host.second_opinion_timeout)
    return Network(
        addresses,
        Tcp(refused_is_alive=host.second_opinion_refused == "alive").knock,
        timeout_s=host.second_opinion_timeout,
        parallel=host.second_opinion_parallel,
    )


def check_icmp() -> None:
    """Echo requests can be sent from here.  Raises ConfigInvalid."""
    if problem := icmp.problem():
        raise errors.ConfigInvalid(group="host", option="second_opinion", problem=problem)


class Echoes:
    """Signs of life by echo requests."""

    def __init__(self, addresses: Addresses, timeout_s: float) -> None:
        """Ask at *addresses*; who does not answer within *timeout_s* seconds gives no sign."""
        self._pinger = Pinger({"": addresses}, timeout_s=timeout_s, echoes=ECHOES)

    def ask(self, hosts: Collection[str]) -> Mapping[str, Opinion]:
        """An opinion on each of *hosts*, all asked at a time."""
        return self._pinger.ask(hosts)[""]


class Network:
    """Asks hosts over the network, so many at a time."""

    def __init__(
        self, addresses: Addresses, knock: Knock, *, timeout_s: float, parallel: int
    ) -> None:
        self._addresses = addresses
        self._knock = knock
        self._timeout_s = timeout_s
        self._parallel = parallel

    def ask(self, hosts: Collection[str]) -> Mapping[str, Opinion]:
        """An opinion on each of *hosts*, all asked at a time."""
        if not hosts:
            return {}
        with concurrent.futures.ThreadPoolExecutor(
            min(len(hosts), self._parallel), thread_name_prefix="second-opinion"
        ) as pool:
            opinions = pool.map(self._ask, [self._addresses.find(host) for host in hosts])
            return dict(zip(hosts, opinions, strict=True))

    def _ask(self, address: Address | None) -> Opinion:
        """Ask one host on each of its IP addresses; any sign of life counts."""
        if address is None:
            return Opinion(Sign.UNKNOWN, "its name makes no address to ask")
        try:
            found = addresses_.resolve(address)
        except (OSError, ValueError) as error:
            return Opinion(Sign.UNKNOWN, f"{address} could not be resolved ({error})")
        opinions = (self._knock(family, where, self._timeout_s) for family, where in found)
        opinion = weigh(opinions)
        return Opinion(opinion.sign, f"{address} {opinion.detail}")


class Tcp:
    """Signs of life by connecting to a port."""

    def __init__(self, *, refused_is_alive: bool) -> None:
        self._refused = Sign.ALIVE if refused_is_alive else Sign.SILENT

    def knock(self, family: socket.AddressFamily, where: Where, timeout_s: float) -> Opinion:
        """What one IP address and port shows."""
        try:
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.settimeout(timeout_s)
                sock.connect(where)
        except TimeoutError:
            return Opinion(Sign.SILENT, f"does not answer within {timeout_s:g} s")
        except OSError as error:
            return self.explain(error)
        return Opinion(Sign.ALIVE, "answers")

    def explain(self, error: OSError) -> Opinion:
        """What it means that the connection failed so."""
        if error.errno in REFUSAL:
            return Opinion(self._refused, "refuses the connection")
        sign = Sign.SILENT if error.errno in SILENCE else Sign.UNKNOWN
        return Opinion(sign, f"cannot be reached ({error.strerror or error})")
