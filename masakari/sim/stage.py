"""The statements that set a scenario's stage; see `phrases`."""

from oslo_config import cfg

from masakari.sim import named
from masakari.sim.language import ScriptError
from masakari.sim.records import POWER_STATES
from masakari.sim.system import RESERVED, System


def option(system: System, name: str, value: str) -> None:
    """Set a configuration option, GROUP.NAME or NAME; before everything else."""
    group, _, option = name.rpartition(".")
    try:
        system.conf.set_override(option, value, group or None)
    except (cfg.NoSuchOptError, cfg.NoSuchGroupError, ValueError) as e:
        raise ScriptError(str(e)) from None


def nova(system: System, name: str, limit: float) -> None:
    """Set how the simulated Nova behaves; the names are those of sim.site.Settings."""
    if not hasattr(system.cloud.settings, name):
        raise ScriptError(f"Nova has no setting {name}")
    before = getattr(system.cloud.settings, name)
    setattr(system.cloud.settings, name, type(before)(limit))


def segment(system: System, name: str, method: str) -> None:
    """Register a segment; the hosts that follow belong to it."""
    body = {"name": name, "recovery_method": method, "service_type": "compute"}
    segment = system.register("/v1/segments", "segment", body)
    system.segments[name] = segment["uuid"]


def host(system: System, hosts: list[str], segment: str | None = None) -> None:
    """Compute hosts, registered in the last segment or in the one named."""
    for name in hosts:
        _register(system, name, segment, reserved=False)


def reserved(system: System, hosts: list[str], segment: str | None = None) -> None:
    """Spare hosts: registered as reserved, their service disabled in Nova, as operators do."""
    for name in hosts:
        _register(system, name, segment, reserved=True)


def unregistered(system: System, hosts: list[str]) -> None:
    """Compute hosts that Nova knows and Masakari does not."""
    for name in hosts:
        _add_host(system, name)


def aggregate(system: System, name: str, hosts: list[str], zone: str | None = None) -> None:
    """A host aggregate, which may be an availability zone."""
    members = [named.host(system, host) for host in hosts]
    try:
        system.cloud.add_aggregate(name, members, zone=zone)
    except ValueError as e:
        raise ScriptError(str(e)) from None


def vm(
    system: System,
    vms: list[str],
    host: str,
    *,
    state: str = "active",
    task: str | None = None,
    project: str = "demo",
    disk: str | None = None,
    ha: str | None = None,
    locked: str | None = None,
) -> None:
    """VMs on a host, booted from volumes if not said otherwise."""
    where = named.host(system, host)
    if state not in POWER_STATES:
        raise ScriptError(f"VMs are in no state {state}; there are {', '.join(POWER_STATES)}")
    for name in vms:
        if name in {vm.name for vm in system.cloud.vms.values()}:
            raise ScriptError(f"there is a VM {name} already")
        uuid = system.cloud.add_server(
            where,
            name,
            vm_state=state,
            task_state=task,
            project=project,
            boots_from_volume=disk is None,
            metadata={"HA_Enabled": "True"} if ha else {},
            locked=locked is not None,
        )
        system.story.names.know(uuid, name)


def exclude(system: System, what: str, text: str) -> None:
    """Never touch these: one more rule in the exclusions file."""
    values = text.split()
    if what == "instances":
        values = [named.vm(system, name).id for name in values]
    system.rules.setdefault(what, []).extend(values)


def no_default_exclusions(system: System) -> None:
    """VMs that another service manages are touched like all others."""
    system.rules["defaults"] = False


def engine(system: System, name: str) -> None:
    """An engine; without any, there is one named engine-a."""
    system.add_engine(name)


def monitor(system: System, name: str) -> None:
    """A host monitor; without any, there is one named hostmon."""
    system.add_monitor(name)


def no_monitor(system: System) -> None:
    """There is no host monitor."""
    system.default_monitor = None


# ---- within


def _register(system: System, name: str, segment: str | None, *, reserved: bool) -> None:
    if not system.segments:
        raise ScriptError("there is no segment yet")
    uuid = named.segment(system, segment or list(system.segments)[-1])
    _add_host(system, name, spare=reserved)
    body = {"name": name, "type": "COMPUTE", "control_attributes": "SSH", "reserved": reserved}
    path = f"/v1/segments/{uuid}/hosts"
    made = system.register(path, "host", body)
    system.registered_hosts[name] = f"{path}/{made['uuid']}"
    if reserved:
        system.reserved_hosts.append(name)


def _add_host(system: System, name: str, *, spare: bool = False) -> None:
    if name in system.cloud.hosts:
        raise ScriptError(f"there is a host {name} already")
    system.cloud.add_host(name, disabled=spare)
    if spare:
        system.cloud.hosts[name].disabled_reason = RESERVED
