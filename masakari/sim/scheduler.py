"""Where the simulated Nova's scheduler puts a VM."""

from masakari.sim.records import Host
from masakari.sim.site import Site


def choose(
    site: Site, *, source: str, wanted: str | None = None, zone: str | None = None
) -> Host | None:
    """The host for a VM: enabled, up, with room, in its zone, fewest VMs; never its source."""
    fit = [
        host
        for host in site.hosts.values()
        if host.name != source
        and wanted in (None, host.name)
        and zone in (None, site.zone_of(host.name))
        and not host.disabled
        and site.is_up(host)
        and (host.capacity is None or len(host.vms) + host.claims < host.capacity)
    ]
    return min(fit, key=lambda h: (len(h.vms) + h.claims, h.index), default=None)
