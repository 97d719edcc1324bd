"""Hosts as Nova sees their compute services, checked with a second opinion.

===============  =================  ====================================================
Nova's service   second opinion     the host is
===============  =================  ====================================================
up               (any)              online
down             alive              doubtful: nova-compute or the bus is ill, not the host
down             silent             offline
down             could not be asked unknown
none             (any)              unknown: the host's name is not one of Nova's
===============  =================  ====================================================

Where not one host answers, those that are silent say more about the observer: nobody is judged.

Whether an operator has disabled the service does not matter.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Self

from oslo_config import cfg

from masakari import clock as clock_
from masakari import cloud as cloud_
from masakari import errors, nova
from masakari.monitors import core, judge, names, watchlist
from masakari.monitors.hosts import second_opinion as opinion_
from masakari.monitors.hosts.opinions import Opinion, Sign

LOG = logging.getLogger(__name__)

MUTE_AFTER = 10
"""Looks in a row after which a host that is up and never answers is pointed out."""

NOT_ASKED = Opinion(Sign.UNKNOWN, "nobody asked the host itself")
_STATE_OF_DOWN = {
    Sign.ALIVE: judge.State.DOUBTFUL,
    Sign.SILENT: judge.State.OFFLINE,
    Sign.UNKNOWN: judge.State.UNKNOWN,
}
"""The state of a host whose service is down, by what it shows itself."""

Services = Mapping[str, Sequence[cloud_.ComputeService]]


class NovaProbe:
    """Looks at Nova's compute services and asks the hosts themselves."""

    def __init__(
        self,
        cloud: cloud_.Cloud,
        second_opinion: opinion_.SecondOpinion,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
    ) -> None:
        self._cloud = cloud
        self._second_opinion = second_opinion
        self._hosts = hosts
        self._clock = clock
        self._mute: dict[str, int] = defaultdict(int)

    @classmethod
    def from_conf(
        cls,
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        *,
        cloud: cloud_.Cloud | None = None,
        second_opinion: opinion_.SecondOpinion | None = None,
    ) -> Self:
        """The probe that [host] describes; *cloud* and *second_opinion* replace configured ones."""
        if second_opinion is None:
            second_opinion = opinion_.connect(conf)
        if cloud is None:
            cloud = nova.connect_monitor(conf, clock)
        return cls(cloud, second_opinion, hosts, clock)

    def look(self) -> Sequence[judge.Sample]:
        """One sample for each watched host, and witnesses for the other hosts of Nova."""
        watched = self._hosts.read()
        if not watched:
            return []
        services = self._services(watched)
        opinions = self._opinions(watched, services)
        self._point_out_mutes(services, opinions)
        _check_sight(services, opinions)
        at = self._clock.now()
        samples = []
        for host in sorted(watched | services.keys()):
            state, detail = _read(services.get(host, ()), opinions.get(host, NOT_ASKED))
            samples.append(judge.Sample(host, state, at, detail, witness=host not in watched))
        return samples

    def _services(self, watched: frozenset[str]) -> Services:
        """Nova's compute services by host, under the registered names of those that have any."""
        try:
            found = self._cloud.compute_services()
        except (errors.CloudUnavailable, errors.CloudRefused) as error:
            raise core.Blind(str(error)) from error
        services = defaultdict(list)
        for service in found:
            services[service.host].append(service)
        registered = {name: host for host, name in names.match(watched, services).items()}
        return {registered.get(name, name): found for name, found in services.items()}

    def _opinions(self, watched: frozenset[str], services: Services) -> dict[str, Opinion]:
        """The watched hosts are asked; the others only to see whether anybody answers at all."""
        opinions = dict(self._second_opinion.ask(sorted(watched)))
        if any(opinion.sign is Sign.ALIVE for opinion in opinions.values()):
            return opinions
        others = sorted(services.keys() - watched)
        return opinions | dict(self._second_opinion.ask(others))

    def _point_out_mutes(self, services: Services, opinions: Mapping[str, Opinion]) -> None:
        """Warn of hosts whose second opinion protects nothing, as it is always silence."""
        for host, opinion in opinions.items():
            mute = opinion.sign is Sign.SILENT and not _is_down(services.get(host, ()))
            self._mute[host] = self._mute[host] + 1 if mute else 0
            if self._mute[host] == MUTE_AFTER:
                LOG.warning(
                    "%s: Nova's service is up, but %s: a second opinion that is always silence "
                    "protects nothing, look at [host] second_opinion_*",
                    host,
                    opinion.detail,
                )


def _is_down(services: Sequence[cloud_.ComputeService]) -> bool:
    return bool(services) and all(service.is_down for service in services)


def _check_sight(services: Services, opinions: Mapping[str, Opinion]) -> None:
    """Some host answers, or nobody is silent whom Nova holds for dead.  Raises Blind."""
    if any(opinion.sign is Sign.ALIVE for opinion in opinions.values()):
        return
    silent = [
        host
        for host, opinion in opinions.items()
        if opinion.sign is Sign.SILENT and _is_down(services.get(host, ()))
    ]
    if silent:
        raise core.Blind(
            f"{len(silent)} compute services are down in Nova, but not one of {len(opinions)} "
            "hosts answers the second opinion, so the observer's network is suspected, or "
            "[host] second_opinion_* is wrong",
            alive=[host for host, found in services.items() if not _is_down(found)],
        )


def _read(services: Sequence[cloud_.ComputeService], opinion: Opinion) -> tuple[judge.State, str]:
    """What both together say of one host."""
    if not services:
        return judge.State.UNKNOWN, "Nova knows no compute service of that name"
    if not _is_down(services):
        return judge.State.ONLINE, "Nova's service is up"
    return _STATE_OF_DOWN[opinion.sign], f"Nova's service is down, {opinion.detail}"
