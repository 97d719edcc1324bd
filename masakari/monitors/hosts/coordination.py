"""The driver coordination: hosts as members of a group, with a second opinion.

Each compute host runs masakari-heartbeat, which keeps it in the group.  Who is no member may have
lost nothing but that program, or its way to the backend; so the host is asked itself.
"""

from collections.abc import Collection, Sequence
from typing import Self

from oslo_config import cfg

from masakari import clock as clock_
from masakari import cloud as cloud_
from masakari.monitors import core, groups, judge, names, watchlist
from masakari.monitors.hosts import second_opinion as opinion_
from masakari.monitors.hosts.confirmation import confirm
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import State

MEMBER = Reading(State.ONLINE, "it is a member of the group")
GONE = Reading(State.OFFLINE, "it is no member of the group")
MAYBE = Reading(State.UNKNOWN, "a member has a name that may be its, with another domain")


class CoordinationProbe:
    """Looks who is in the group, and asks the watched hosts that are not."""

    def __init__(
        self,
        group: groups.Group,
        second_opinion: opinion_.SecondOpinion,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
    ) -> None:
        """Nobody has looked yet."""
        self._group = group
        self._second_opinion = second_opinion
        self._hosts = hosts
        self._clock = clock

    @classmethod
    def from_conf(
        cls,
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        *,
        cloud: cloud_.Cloud | None = None,  # what other drivers are given
        second_opinion: opinion_.SecondOpinion | None = None,
    ) -> Self:
        """The probe that [heartbeat] describes.  Raises ConfigInvalid."""
        group = groups.connect(conf, f"{conf.hostname}-hostmonitor")
        return cls(group, second_opinion or opinion_.connect(conf), hosts, clock)

    def look(self) -> Sequence[judge.Sample]:
        """One sample for each watched host.  Raises Blind."""
        watched = sorted(self._hosts.read())
        if not watched:
            return []
        try:
            members = self._group.members()
        except groups.Away as error:
            raise core.Blind(f"the coordination backend does not answer: {error}") from None
        found = of_members(members, watched)
        if MEMBER not in found.values():
            raise core.Blind(
                f"not one of {len(watched)} hosts is a member of the group, so the backend is "
                "suspected, or masakari-heartbeat runs nowhere"
            )
        readings = confirm(found, self._second_opinion)
        at = self._clock.now()
        return [
            judge.Sample(host, reading.state, at, reading.detail)
            for host, reading in readings.items()
        ]


def of_members(members: Collection[str], hosts: Collection[str]) -> dict[str, Reading]:
    """{host: what *members* say of it}; of whom it is open whether it is one, nothing is known."""
    known = names.match(hosts, members)
    open_ = {names.short(name) for name in set(members) - set(known.values())}

    def one(host: str) -> Reading:
        if host in known:
            return MEMBER
        return MAYBE if names.short(host) in open_ else GONE

    return {host: one(host) for host in hosts}
