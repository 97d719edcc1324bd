"""The simulated Nova's host aggregates and what it refuses.

Nova: AggregateAPI in compute/api.py; api/openstack/compute/aggregates.py has the codes.
"""

from masakari.sim.faults import ApiError
from masakari.sim.records import Aggregate
from masakari.sim.site import Site


def create(site: Site, name: str, hosts: tuple[str, ...], zone: str | None) -> int:
    """A new aggregate's id; its hosts join it whatever runs there."""
    number = len(site.aggregate_records) + 1
    metadata = {"availability_zone": zone} if zone else {}
    unknown = [host for host in hosts if host not in site.hosts]
    if unknown:
        raise ValueError(f"there are no hosts {unknown}")
    site.aggregate_records[number] = Aggregate(number, name, list(hosts), metadata, site.now())
    return number


def add_host(site: Site, number: int, host: str) -> Aggregate:
    """The host is a member.  409: it was one, or its availability zone forbids it."""
    aggregate = _find(site, number, host)
    zone, present = aggregate.zone, site.zone_of(host)
    others = sorted(
        {
            other.zone
            for other in site.aggregate_records.values()
            if other is not aggregate and host in other.hosts and other.zone not in (None, zone)
        }
    )
    prefix = f"Cannot add host to aggregate {number}. Reason: "
    if zone and others:
        raise ApiError(409, f"{prefix}One or more hosts already in availability zone(s) {others}.")
    if zone and present != zone and site.vms_on(host):
        count = len(site.vms_on(host))
        raise ApiError(409, prefix + _change_of_zone("added to", present, zone, count))
    if host in aggregate.hosts:
        raise ApiError(409, f"Aggregate {number} already has host {host}.")
    aggregate.hosts.append(host)
    return aggregate


def remove_host(site: Site, number: int, host: str) -> Aggregate:
    """The host is not a member.  404: it was none; 409: its VMs would change their zone.

    Nova looks at the zones first, and may answer 409 for a host that is no member.
    """
    missing = ApiError(404, f"Cannot remove host {host} in aggregate {number}")
    try:
        aggregate = _find(site, number, host)
    except ApiError:
        raise missing from None
    rest = {
        a.zone for a in site.aggregate_records.values() if a is not aggregate and host in a.hosts
    }
    if aggregate.zone and aggregate.zone not in rest and site.vms_on(host):
        prefix = f"Cannot remove host from aggregate {number}. Reason: "
        count = len(site.vms_on(host))
        raise ApiError(409, prefix + _change_of_zone("removed from", aggregate.zone, None, count))
    if host not in aggregate.hosts:
        raise missing
    aggregate.hosts.remove(host)
    return aggregate


def _find(site: Site, number: int, host: str) -> Aggregate:
    if host not in site.hosts:
        raise ApiError(404, f"Compute host {host} could not be found.")
    if number not in site.aggregate_records:
        raise ApiError(404, f"Aggregate {number} could not be found.")
    return site.aggregate_records[number]


def _change_of_zone(verb: str, old: str | None, new: str | None, vms: int) -> str:
    return (
        f"The host cannot be {verb} the aggregate as the availability zone of the host would "
        f"change from '{old}' to '{new}' but the host already has {vms} instance(s). Changing the "
        "AZ of an existing instance is not supported by this action. Move the instances away from "
        "this host then try again. If you need to move the instances between AZs then you can use "
        "shelve_offload and unshelve to achieve this.."
    )
