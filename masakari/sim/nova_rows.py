"""Rows of Nova's lists as JSON: the fields of each microversion."""

import uuid

from masakari.sim.keystone import project_id, user_id
from masakari.sim.records import NAMESPACE, OWNER, Action, Aggregate, Host, Move, Vm
from masakari.sim.site import Site
from masakari.sim.wire import Json

Version = tuple[int, int]

DEFAULT_ZONE = "nova"
"""The availability zone of hosts that are in none."""
IMAGE_ID = str(uuid.uuid5(NAMESPACE, "image"))
"""Of every server that does not boot from a volume."""
STATUSES = {
    "active": "ACTIVE",
    "building": "BUILD",
    "error": "ERROR",
    "paused": "PAUSED",
    "rescued": "RESCUE",
    "resized": "VERIFY_RESIZE",
    "shelved": "SHELVED",
    "shelved_offloaded": "SHELVED_OFFLOADED",
    "stopped": "SHUTOFF",
    "suspended": "SUSPENDED",
}


def service(site: Site, host: Host, version: Version) -> Json:
    """A row of os-services, called with the site locked."""
    row = {
        "id": host.service_id if version >= (2, 53) else host.index + 1,
        "binary": "nova-compute",
        "host": host.name,
        "zone": site.zone_of(host.name) or DEFAULT_ZONE,
        "status": "disabled" if host.disabled else "enabled",
        "state": "up" if site.is_up(host) else "down",
        "updated_at": site.at(site.last_beat(host)).isoformat(timespec="microseconds"),
        "disabled_reason": host.disabled_reason,
    }
    if version >= (2, 11):
        row["forced_down"] = host.forced_down
    return row


def server(site: Site, vm: Vm, version: Version) -> Json:
    """A row of servers, called with the site locked."""
    node = site.hosts[vm.host].node
    created = f"{vm.created.isoformat(timespec='seconds')}Z"
    rebuilds = (vm.task_state or "").startswith("rebuil")
    row: Json = {
        "id": vm.id,
        "name": vm.name,
        "status": "REBUILD" if rebuilds else STATUSES[vm.vm_state],
        "tenant_id": project_id(vm.project),
        "user_id": user_id(OWNER),
        "metadata": vm.metadata,
        "hostId": uuid.uuid5(NAMESPACE, vm.host).hex,
        "created": created,
        "updated": f"{vm.updated.isoformat(timespec='seconds')}Z",
        "addresses": {},
        "accessIPv4": "",
        "accessIPv6": "",
        "links": [],
        "image": "" if vm.boots_from_volume else {"id": IMAGE_ID, "links": []},
        "flavor": {
            "original_name": "m1.small",
            "vcpus": 1,
            "ram": 512,
            "disk": 1,
            "ephemeral": 0,
            "swap": 0,
            "extra_specs": {},
        },
        "key_name": None,
        "config_drive": "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": site.zone_of(vm.host) or DEFAULT_ZONE,
        "OS-EXT-SRV-ATTR:host": vm.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": node,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{vm.serial:08x}",
        "OS-EXT-STS:power_state": vm.power_state,
        "OS-EXT-STS:task_state": vm.task_state,
        "OS-EXT-STS:vm_state": vm.vm_state,
        "OS-SRV-USG:launched_at": created[:-1] if vm.launched else None,
        "OS-SRV-USG:terminated_at": None,
        "os-extended-volumes:volumes_attached": [],
    }
    if version >= (2, 9):
        row["locked"] = vm.locked
    if version >= (2, 16):
        row["host_status"] = "UP" if site.is_up(site.hosts[vm.host]) else "DOWN"
    if version >= (2, 26):
        row["tags"] = []
    if version >= (2, 73):
        row["locked_reason"] = vm.locked_reason
    return row


def migration(site: Site, move: Move, version: Version) -> Json:
    """A row of os-migrations, called with the site locked."""
    hosts = site.hosts
    row = {
        "id": move.id,
        "instance_uuid": move.vm.id,
        "source_compute": move.source,
        "source_node": hosts[move.source].node,
        "dest_compute": move.dest,
        "dest_node": hosts[move.dest].node if move.dest else None,
        "dest_host": "127.0.0.1" if move.dest else None,
        "status": move.status,
        "created_at": move.created.isoformat(timespec="seconds"),
        "updated_at": move.updated and move.updated.isoformat(timespec="seconds"),
        "old_instance_type_id": None,
        "new_instance_type_id": None,
    }
    if version >= (2, 23):
        row["migration_type"] = move.kind
    if version >= (2, 59):
        row["uuid"] = move.uuid
    if version >= (2, 80):
        row |= {"project_id": project_id(move.vm.project), "user_id": None}
    return row


def action(done: Action, server_id: str, version: Version) -> Json:
    """A row of os-instance-actions."""
    started = done.started.replace(microsecond=0).isoformat(timespec="microseconds")
    row = {
        "action": done.name,
        "instance_uuid": server_id,
        "request_id": done.request_id,
        "user_id": done.user and user_id(done.user),
        "project_id": done.user and project_id(done.user),
        "start_time": started,
        "message": done.message,
    }
    if version >= (2, 58):
        row["updated_at"] = started
    return row


def aggregate(group: Aggregate, version: Version) -> Json:
    """A row of os-aggregates."""
    row = {
        "id": group.id,
        "name": group.name,
        "hosts": list(group.hosts),
        "availability_zone": group.zone,
        "metadata": group.metadata,
        "created_at": group.created.isoformat(timespec="microseconds"),
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
    }
    if version >= (2, 41):
        row["uuid"] = str(uuid.uuid5(NAMESPACE, f"aggregate-{group.id}"))
    return row
