"""Where hosts are asked: as listed, else by a pattern; and what IP addresses that is."""

import concurrent.futures
import ipaddress
import logging
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from masakari import errors
from masakari.monitors import names

LOG = logging.getLogger(__name__)

FRESH_S = 60.0
"""So long what a name resolves to is taken for true."""
RESOLVERS = 16
"""Names resolved at a time."""

Where = tuple[Any, ...]
"""A socket address as getaddrinfo gives it; its shape depends on the address family."""
Target = tuple[socket.AddressFamily, Where]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host is asked."""

    name: str
    """A host name or an IP address."""
    port: int

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{name}:{self.port}" if self.port else self.name


@dataclass(frozen=True, slots=True)
class Options:
    """Which options say where hosts are asked, for messages."""

    group: str
    pattern: str
    listed: str

    def invalid(self, option: str, problem: str) -> errors.ConfigInvalid:
        """The error that one of them causes."""
        return errors.ConfigInvalid(group=self.group, option=option, problem=problem)


class Addresses:
    """Where each host is asked: as listed, else by the pattern."""

    def __init__(
        self, pattern: str, listed: Iterable[str], default_port: int, options: Options
    ) -> None:
        """*listed* has host=address[:port].  Raises ConfigInvalid."""
        self._options = options
        self._default_port = default_port
        self._pattern = pattern
        self._nowhere: set[str] = set()
        if "{host}" not in pattern:
            raise options.invalid(options.pattern, f"{pattern!r} does not contain {{host}}")
        if set(pattern.replace("{host}", "")) & set("{}"):
            raise options.invalid(
                options.pattern, f"{pattern!r} contains other braces than {{host}}"
            )
        self._parse(pattern.replace("{host}", "host"), options.pattern)
        self._listed = dict(self._parse_entry(entry) for entry in listed)
        self._names = names.Names(self._listed)

    def of(self, host: str) -> Address:
        """Where *host* is asked.  Raises ConfigInvalid when its name makes no address."""
        listed = self._names.find(host)
        if listed is not None:
            return self._listed[listed]
        option = self._options.pattern
        if not host or ":" in host:  # what follows would be taken for a port
            problem = f"the host name {host!r} cannot be part of an address"
            raise self._options.invalid(option, problem)
        return self._parse(self._pattern.replace("{host}", host), option)

    def find(self, host: str) -> Address | None:
        """Where *host* is asked, or None, of which is warned once."""
        try:
            return self.of(host)
        except errors.ConfigInvalid as error:
            if host not in self._nowhere:
                self._nowhere.add(host)
                LOG.warning(
                    "%s: cannot be asked and is never held for dead, until [%s] %s lists it (%s)",
                    host,
                    self._options.group,
                    self._options.listed,
                    error,
                )
            return None

    def _parse_entry(self, entry: str) -> tuple[str, Address]:
        option = self._options.listed
        host, _, address = (part.strip() for part in entry.partition("="))
        if not host or not address:
            raise self._options.invalid(option, f"{entry!r} is not host=address[:port]")
        return host, self._parse(address, option)

    def _parse(self, text: str, option: str) -> Address:
        """name, name:port, IPv4, IPv4:port, IPv6, [IPv6] or [IPv6]:port."""
        if text.startswith("["):
            name, bracket, port = text[1:].partition("]")
            if not bracket or (port and not port.startswith(":")):
                raise self._options.invalid(option, f"{text!r} is not an address")
            port = port[1:]
        elif text.count(":") == 1:
            name, _, port = text.partition(":")
        else:
            name, port = text, ""
        if not name or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise self._options.invalid(option, f"{text!r} is not address[:port]")
        return Address(name, int(port) if port else self._default_port)


def resolve(address: Address) -> list[Target]:
    """The IP addresses of one host, in the order of preference.  Raises OSError or ValueError."""
    found = socket.getaddrinfo(address.name, address.port, type=socket.SOCK_STREAM)
    return [(family, where) for family, _, _, _, where in found]


class Resolver:
    """Remembers for a while what names resolve to; what resolved once is kept when DNS is away.

    Not for several threads at once.
    """

    def __init__(self, fresh_s: float = FRESH_S) -> None:
        """Nothing is known yet."""
        self._fresh_s = fresh_s
        self._known: dict[Address, tuple[float, list[Target]]] = {}

    def resolve(self, addresses: Collection[Address]) -> Mapping[Address, list[Target] | str]:
        """The IP addresses of each of *addresses*, or why there are none."""
        now = time.monotonic()
        found: dict[Address, list[Target] | str] = {}
        unknown = []
        for address in set(addresses):
            at, targets = self._known.get(address, (-self._fresh_s, []))
            if targets and (now - at < self._fresh_s or _is_ip(address.name)):
                found[address] = targets
            else:
                unknown.append(address)
        if unknown:
            with concurrent.futures.ThreadPoolExecutor(
                min(len(unknown), RESOLVERS), thread_name_prefix="resolve"
            ) as pool:
                found.update(zip(unknown, pool.map(self._resolve, unknown), strict=True))
        for address in unknown:
            answer = found[address]
            if not isinstance(answer, str):
                self._known[address] = now, answer
            elif address in self._known:
                found[address] = self._known[address][1]
        return found

    def _resolve(self, address: Address) -> list[Target] | str:
        try:
            return resolve(address)
        except (OSError, ValueError) as error:
            return f"{address} could not be resolved ({error})"


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
