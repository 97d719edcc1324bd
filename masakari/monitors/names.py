"""Names of hosts as different programs write them: in other case, with or without domain.

Another host's name must never be taken for a host's own, as it would be judged by what the other
one shows.  So a short name is that of a full one only where nothing speaks against it: there is but
one domain in all names of both sides, the side of the full name writes all its names so, and on
neither side another name has the same first part.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping


class Names:
    """Names among which those of hosts are looked up, in whatever case."""

    def __init__(self, names: Iterable[str]) -> None:
        """Know *names*."""
        self._names = frozenset(names)
        self._by_folded = _grouped(self._names, str.casefold)

    def find(self, host: str) -> str | None:
        """The name that is *host*'s: the very same one, or the only one in other case; or None."""
        if host in self._names:
            return host
        same = self._by_folded.get(host.casefold(), ())
        return same[0] if len(same) == 1 else None


def alike(hosts: Collection[str], names: Iterable[str]) -> dict[str, str]:
    """{host: its name among *names*}, which differs in case at most."""
    known = Names(names)
    by_folded = _grouped(frozenset(hosts), str.casefold)
    found = {host: name for host in hosts if (name := known.find(host)) is not None}
    return {
        host: name
        for host, name in found.items()
        if host == name or len(by_folded[host.casefold()]) == 1
    }


def match(hosts: Collection[str], names: Iterable[str]) -> dict[str, str]:
    """{host: its name among *names*}, in whatever case, with or without the common domain."""
    ours, theirs = frozenset(hosts), frozenset(names)
    found = alike(ours, theirs)
    domains = {_domain(name) for name in ours | theirs} - {""}
    if len(domains) != 1:
        return found
    our_names, their_names = _grouped(ours, short), _grouped(theirs, short)
    for host in ours - found.keys():
        candidates = their_names.get(short(host), [])
        full_side = ours if _domain(host) else theirs
        is_only_one = len(candidates) == len(our_names[short(host)]) == 1
        if is_only_one and all(_domain(name) for name in full_side):
            found[host] = candidates[0]
    return found


def may_be_same(one: str, other: str) -> bool:
    """Whether two names can be one host's: equal, or one is the other without its domain.

    For what must not be done to a host; what is done to it goes by `match`.
    """
    if not one or not other:
        return False
    return one.casefold() == other.casefold() or (
        short(one) == short(other) and not (_domain(one) and _domain(other))
    )


def short(name: str) -> str:
    """Its first part, folded: what all names of one host have in common."""
    return name.casefold().partition(".")[0]


def _domain(name: str) -> str:
    return name.casefold().partition(".")[2]


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> Mapping[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for name in names:
        grouped[key(name)].append(name)
    return grouped
