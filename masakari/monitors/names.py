"""Names of hosts as different programs write them: in other case, with or without domain."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from masakari.monitors.judge import is_same_host


class Names:
    """Names among which those of hosts are looked up."""

    def __init__(self, names: Iterable[str]) -> None:
        """Know *names*."""
        self._names = frozenset(names)
        self._by_short: dict[str, list[str]] = defaultdict(list)
        for name in self._names:
            self._by_short[_short(name)].append(name)

    def find(self, host: str) -> str | None:
        """The name that is *host*'s: the very same one, or the only one that may be; or None."""
        if host in self._names:
            return host
        same = [name for name in self._by_short.get(_short(host), ()) if is_same_host(name, host)]
        return same[0] if len(same) == 1 else None


def match(hosts: Collection[str], names: Iterable[str]) -> dict[str, str]:
    """{host: its name among *names*}; a name that may be several hosts' is nobody's but its own."""
    known = Names(names)
    found = {host: name for host in hosts if (name := known.find(host)) is not None}
    claims: dict[str, list[str]] = defaultdict(list)
    for host, name in found.items():
        claims[name].append(host)
    return {host: name for host, name in found.items() if len(claims[name]) == 1 or host == name}


def _short(name: str) -> str:
    return name.casefold().partition(".")[0]
