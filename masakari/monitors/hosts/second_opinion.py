"""Ask the hosts themselves whether they are alive, all at a time.

Nova's word that a compute service is down says nothing of the VMs: nova-compute may have crashed,
the message bus may be away.  So a host is accused only if it gives no sign of life here either.
Where a host cannot be asked (its name is unknown, there is no route), nobody can tell.
"""

import concurrent.futures
import errno
import itertools
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from oslo_config import cfg

from masakari import errors

LOG = logging.getLogger(__name__)

SILENCE = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN})
REFUSAL = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})
ECHOES = 3
"""Echo requests within the timeout: one lost packet is no sign."""


class Sign(StrEnum):
    """What a host that was asked shows."""

    ALIVE = "alive"
    SILENT = "silent"
    UNKNOWN = "unknown"
    """It could not be asked."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one host shows, and how that was seen."""

    sign: Sign
    detail: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host is asked."""

    name: str
    """A host name or an IP address."""
    port: int

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{name}:{self.port}" if self.port else self.name


class SecondOpinion(Protocol):
    """Whoever can tell whether hosts are alive, without Nova."""

    def ask(self, hosts: Collection[str]) -> Mapping[str, Opinion]:
        """An opinion on each of *hosts*."""


Where = tuple[Any, ...]
"""A socket address as getaddrinfo gives it; its shape depends on the address family."""
Knock = Callable[[socket.AddressFamily, Where, float], Opinion]
"""Asks one IP address and port, within a time in seconds."""


def connect(conf: cfg.ConfigOpts) -> SecondOpinion:
    """The second opinion that [host] describes.  Raises ConfigInvalid."""
    host = conf.host
    if host.second_opinion == "icmp":
        check_icmp()
        knock: Knock = ping
        port = 0
    else:
        knock = Tcp(refused_is_alive=host.second_opinion_refused == "alive").knock
        port = host.second_opinion_port
    addresses = Addresses(host.second_opinion_address, host.second_opinion_addresses, port)
    return Network(
        addresses,
        knock,
        timeout_s=host.second_opinion_timeout,
        parallel=host.second_opinion_parallel,
    )


class Addresses:
    """Where each host is asked: as listed, else by the pattern."""

    def __init__(self, pattern: str, listed: Iterable[str], default_port: int) -> None:
        self._default_port = default_port
        self._pattern = pattern
        option = "second_opinion_address"
        if "{host}" not in pattern:
            raise _invalid(option, f"{pattern!r} does not contain {{host}}")
        if set(pattern.replace("{host}", "")) & set("{}"):
            raise _invalid(option, f"{pattern!r} contains other braces than {{host}}")
        self._parse(pattern.replace("{host}", "host"), option)
        self._listed = dict(self._parse_entry(entry) for entry in listed)

    def of(self, host: str) -> Address:
        """Where *host* is asked.  Raises ConfigInvalid when its name makes no address."""
        listed = self._listed.get(host)
        if listed is not None:
            return listed
        option = "second_opinion_address"
        if not host or ":" in host:  # what follows would be taken for a port
            raise _invalid(option, f"the host name {host!r} cannot be part of an address")
        return self._parse(self._pattern.replace("{host}", host), option)

    def _parse_entry(self, entry: str) -> tuple[str, Address]:
        host, _, address = (part.strip() for part in entry.partition("="))
        if not host or not address:
            raise _invalid("second_opinion_addresses", f"{entry!r} is not host=address[:port]")
        return host, self._parse(address, "second_opinion_addresses")

    def _parse(self, text: str, option: str) -> Address:
        """name, name:port, IPv4, IPv4:port, IPv6, [IPv6] or [IPv6]:port."""
        if text.startswith("["):
            name, bracket, port = text[1:].partition("]")
            if not bracket or (port and not port.startswith(":")):
                raise _invalid(option, f"{text!r} is not an address")
            port = port[1:]
        elif text.count(":") == 1:
            name, _, port = text.partition(":")
        else:
            name, port = text, ""
        if not name or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise _invalid(option, f"{text!r} is not address[:port]")
        return Address(name, int(port) if port else self._default_port)


class Network:
    """Asks hosts over the network, so many at a time."""

    def __init__(
        self, addresses: Addresses, knock: Knock, *, timeout_s: float, parallel: int
    ) -> None:
        self._addresses = addresses
        self._knock = knock
        self._timeout_s = timeout_s
        self._parallel = parallel
        self._nowhere: set[str] = set()
        """Hosts that were warned of, as they cannot be asked."""

    def ask(self, hosts: Collection[str]) -> Mapping[str, Opinion]:
        """An opinion on each of *hosts*, all asked at a time."""
        if not hosts:
            return {}
        with concurrent.futures.ThreadPoolExecutor(
            min(len(hosts), self._parallel), thread_name_prefix="second-opinion"
        ) as pool:
            opinions = pool.map(self._ask, [self._address(host) for host in hosts])
            return dict(zip(hosts, opinions, strict=True))

    def _address(self, host: str) -> Address | None:
        """Where *host* is asked, or None, of which is warned once."""
        try:
            return self._addresses.of(host)
        except errors.ConfigInvalid as error:
            if host not in self._nowhere:
                self._nowhere.add(host)
                LOG.warning(
                    "%s: cannot be asked and is never held for dead, until [host] "
                    "second_opinion_addresses lists it (%s)",
                    host,
                    error,
                )
            return None

    def _ask(self, address: Address | None) -> Opinion:
        """Ask one host on each of its IP addresses; any sign of life counts."""
        if address is None:
            return Opinion(Sign.UNKNOWN, "its name makes no address to ask")
        try:
            found = socket.getaddrinfo(address.name, address.port, type=socket.SOCK_STREAM)
        except (OSError, ValueError) as error:
            return Opinion(Sign.UNKNOWN, f"{address} could not be resolved ({error})")
        opinions = (self._knock(family, where, self._timeout_s) for family, _, _, _, where in found)
        opinion = weigh(opinions)
        return Opinion(opinion.sign, f"{address} {opinion.detail}")


def weigh(opinions: Iterable[Opinion]) -> Opinion:
    """The first sign of life on any of a host's IP addresses, else the first silence.

    An address family without a route says nothing, another one that is silent does.
    """
    last = Opinion(Sign.UNKNOWN, "has no address")
    for opinion in opinions:
        if opinion.sign is Sign.ALIVE:
            return opinion
        if last.sign is Sign.UNKNOWN:
            last = opinion
    return last


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


# ---- ICMP (RFC 792, RFC 4443)

_ECHO = {
    socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0),
    socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129),
}
"""Protocol, type of the request, type of the reply."""
_SEQUENCE = itertools.count(1)


def check_icmp() -> None:
    """Echo requests can be sent from here.  Raises ConfigInvalid."""
    try:
        _icmp_socket(socket.AF_INET).close()
    except OSError as error:
        raise _invalid(
            "second_opinion",
            f"icmp is not permitted here ({error.strerror}): it needs the group in "
            "net.ipv4.ping_group_range, or CAP_NET_RAW",
        ) from error


def ping(family: socket.AddressFamily, where: Where, timeout_s: float) -> Opinion:
    """What one IP address answers to echo requests."""
    token = os.urandom(16)
    # The network's time is the machine's, whatever the Clock says.
    end = time.monotonic() + timeout_s
    try:
        with _icmp_socket(family) as sock:
            for attempt in range(1, ECHOES + 1):
                until = end - timeout_s * (ECHOES - attempt) / ECHOES
                sock.sendto(_request(family, token), (where[0], 0, *where[2:]))
                if reply_came(sock, family, token, until):
                    return Opinion(Sign.ALIVE, "answers")
    except OSError as error:
        sign = Sign.SILENT if error.errno in SILENCE else Sign.UNKNOWN
        return Opinion(sign, f"cannot be reached ({error.strerror or error})")
    return Opinion(Sign.SILENT, f"does not answer {ECHOES} echo requests within {timeout_s:g} s")


def _icmp_socket(family: socket.AddressFamily) -> socket.socket:
    """A socket for echo requests: without privileges if the kernel allows it."""
    protocol = _ECHO[family][0]
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol)
    except PermissionError:
        return socket.socket(family, socket.SOCK_RAW, protocol)


def _request(family: socket.AddressFamily, token: bytes) -> bytes:
    """An echo request; for IPv6 and on datagram sockets the kernel does the checksum itself."""
    kind = _ECHO[family][1]
    sequence = next(_SEQUENCE) & 0xFFFF
    identifier = os.getpid() & 0xFFFF
    blank = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence) + token
    return struct.pack("!BBHHH", kind, 0, checksum(blank), identifier, sequence) + token


def checksum(message: bytes) -> int:
    """The Internet checksum (RFC 1071) of a message."""
    padded = message + b"\0" * (len(message) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def reply_came(
    sock: socket.socket, family: socket.AddressFamily, token: bytes, until: float
) -> bool:
    """Whether the reply with *token* came; other traffic is passed over."""
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            packet = sock.recv(2048)
        except TimeoutError:
            return False
        if family == socket.AF_INET and sock.type == socket.SOCK_RAW:
            packet = packet[(packet[0] & 0x0F) * 4 :]  # raw IPv4 sockets give the IP header too
        if packet[:1] == bytes([_ECHO[family][2]]) and packet[8:24] == token:
            return True
    return False


def _invalid(option: str, problem: str) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(group="host", option=option, problem=problem)
