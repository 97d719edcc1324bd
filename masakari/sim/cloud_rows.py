"""What the simulated cloud has on record as the engine wants it: the records of `cloud.Cloud`."""

from masakari import cloud
from masakari.sim.records import OWNER, Action, Aggregate, Host, Move, Vm
from masakari.sim.site import Site


def service(site: Site, host: Host) -> cloud.ComputeService:
    """A host's nova-compute."""
    return cloud.ComputeService(
        id=host.service_id,
        host=host.name,
        status="disabled" if host.disabled else "enabled",
        state="up" if site.is_up(host) else "down",
        forced_down=host.forced_down,
        disabled_reason=host.disabled_reason,
        updated_at=site.at(site.last_beat(host)).isoformat(timespec="microseconds"),
    )


def server(vm: Vm) -> cloud.Server:
    """A VM; users and projects have their names as ids."""
    return cloud.Server(
        id=vm.id,
        name=vm.name,
        host=vm.host,
        vm_state=vm.vm_state,
        task_state=vm.task_state,
        power_state=vm.power_state,
        locked=vm.locked,
        locked_reason=vm.locked_reason,
        metadata=dict(vm.metadata),
        project_id=vm.project,
        user_id=OWNER,
        boots_from_volume=vm.boots_from_volume,
    )


def action(done: Action) -> cloud.Action:
    """What was done to a VM."""
    return cloud.Action(
        name=done.name,
        user_id=done.user,
        started_at=done.started.replace(microsecond=0),
        request_id=done.request_id,
        message=done.message,
    )


def aggregate(group: Aggregate) -> cloud.Aggregate:
    """An aggregate."""
    return cloud.Aggregate(
        id=group.id,
        name=group.name,
        hosts=tuple(group.hosts),
        availability_zone=group.zone,
        metadata=dict(group.metadata),
    )


def migration(move: Move) -> cloud.Migration:
    """An evacuation."""
    return cloud.Migration(
        id=move.id,
        server_id=move.vm.id,
        source=move.source,
        dest=move.dest,
        status=move.status,
        created_at=move.created.isoformat(timespec="seconds"),
        updated_at=move.updated.isoformat(timespec="seconds") if move.updated else None,
    )
