"""What the statements of scenario scripts do to a simulated system; see `phrases`."""

import functools
from collections.abc import Callable, Mapping

from oslo_config import cfg

from masakari.cloud import Cloud
from masakari.sim.cloud import Call, Fault, Outcome
from masakari.sim.language import ScriptError
from masakari.sim.processes import ApiServer
from masakari.sim.records import POWER_STATES, Vm
from masakari.sim.system import System

# ---- the stage


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
    setattr(system.cloud.settings, name, limit)


def segment(system: System, name: str, method: str) -> None:
    """Register a segment; the hosts that follow belong to it."""
    body = {"name": name, "recovery_method": method, "service_type": "compute"}
    segment = system.register("/v1/segments", "segment", body)
    system.segments[name] = segment["uuid"]


def host(system: System, hosts: list[str], segment: str | None = None) -> None:
    """Compute hosts, registered in the last segment or in the one named."""
    if not system.segments:
        raise ScriptError("there is no segment yet")
    uuid = _segment(system, segment or list(system.segments)[-1])
    for name in hosts:
        unregistered(system, [name])
        body = {"name": name, "type": "COMPUTE", "control_attributes": "SSH"}
        system.register(f"/v1/segments/{uuid}/hosts", "host", body)
        system.registered_hosts.append(name)


def unregistered(system: System, hosts: list[str]) -> None:
    """Compute hosts that Nova knows and Masakari does not."""
    for name in hosts:
        if name in system.cloud.hosts:
            raise ScriptError(f"there is a host {name} already")
        system.cloud.add_host(name)


def vm(
    system: System,
    vms: list[str],
    host: str,
    *,
    state: str = "active",
    task: str | None = None,
    ha: str | None = None,
    locked: str | None = None,
) -> None:
    """VMs on a host."""
    where = _host(system, host)
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
            metadata={"HA_Enabled": "True"} if ha else {},
            locked=locked is not None,
        )
        system.story.names.know(uuid, name)


def engine(system: System, name: str) -> None:
    """An engine; without any, there is one named engine-a."""
    system.add_engine(name)


def monitor(system: System, name: str) -> None:
    """A host monitor; without any, there is one named hostmon."""
    system.add_monitor(name)


def no_monitor(system: System) -> None:
    """There is no host monitor."""
    system.default_monitor = None


# ---- what happens to the cloud


def power(system: System, hosts: list[str], state: str) -> None:
    """Cut or restore the power of hosts."""
    for name in hosts:
        (system.cloud.power_off if state == "off" else system.cloud.power_on)(_host(system, name))


def network(system: System, host: str, state: str) -> None:
    """Cut or heal a host's network; its VMs go on running."""
    name = _host(system, host)
    (system.cloud.cut_network if state == "cut" else system.cloud.heal_network)(name)


def compute(system: System, host: str, state: str) -> None:
    """Stop or start nova-compute on a host; its VMs go on running."""
    name = _host(system, host)
    (system.cloud.stop_compute if state == "stopped" else system.cloud.start_compute)(name)


def fails(system: System, vms: list[str], times: float = 1) -> None:
    """The next evacuations of VMs fail on their destination."""
    for name in vms:
        system.cloud.add_fault(
            Fault("evacuate", server=_vm(system, name).name, times=int(times), outcome=Outcome.FAIL)
        )


def hangs(system: System, vms: list[str]) -> None:
    """The next evacuation of each VM never ends."""
    for name in vms:
        system.cloud.add_fault(
            Fault("evacuate", server=_vm(system, name).name, outcome=Outcome.HANG)
        )


def takes(system: System, vms: list[str], duration: float) -> None:
    """The evacuation of VMs takes so many seconds."""
    for name in vms:
        system.cloud.add_fault(
            Fault("evacuate", server=_vm(system, name).name, times=None, duration_s=duration)
        )


def answers(system: System, code: float, duration: float, verb: str = "*") -> None:
    """Nova answers every request (or one verb of cloud.Cloud) with an HTTP error."""
    now = system.clock.monotonic()
    system.cloud.add_fault(
        Fault(_verb(verb), error=int(code), times=None, start=now, until=now + duration)
    )


def evacuated_by_hand(system: System, vms: list[str]) -> None:
    """An operator has Nova evacuate VMs, and answers for the host being dead."""
    for name in vms:
        vm = _vm(system, name)
        system.cloud.ledger.proof(vm.host, system.clock.now())
        system.cloud.evacuate(vm.id)


def delete(system: System, vms: list[str]) -> None:
    """Their owner deletes VMs."""
    for name in vms:
        system.cloud.delete_server(_vm(system, name).id)


# ---- what happens to Masakari


def kill(system: System, name: str) -> None:
    """kill -9 an engine, a monitor or the API."""
    system.process(name).kill()


def kill_at(system: System, name: str, when: str, verb: str, vm: str | None = None) -> None:
    """kill -9 an engine right before or after Nova does what it asks next."""
    _at_call(
        system, name, when, verb, vm, act=lambda: kill(system, name), announcement=f"kill {name}"
    )


def freeze(system: System, name: str, duration: float) -> None:
    """SIGSTOP an engine or a monitor, and SIGCONT it after so many seconds."""
    if isinstance(system.process(name), ApiServer):
        raise ScriptError("the API can only be killed")
    system.clock.freeze(name)

    def thaw() -> None:
        system.story.say("sim", f"{name} goes on")
        system.clock.thaw(name)

    system.clock.call_at(system.clock.monotonic() + duration, thaw, name="thaw", group="sim")


def freeze_at(
    system: System,
    name: str,
    *,
    duration: float,
    when: str,
    verb: str,
    vm: str | None = None,
) -> None:
    """SIGSTOP an engine right before or after Nova does what it asks next."""
    _at_call(
        system,
        name,
        when,
        verb,
        vm,
        act=lambda: freeze(system, name, duration),
        announcement=f"freeze {name}",
    )


def start(system: System, name: str) -> None:
    """Start an engine, a monitor or the API again."""
    system.process(name).start()
    system.bus.deliver()


def stop(system: System, name: str) -> None:
    """Stop an engine or a monitor in good order."""
    process = system.process(name)
    if isinstance(process, ApiServer):
        raise ScriptError("the API can only be killed")
    process.stop()


def restart(system: System, name: str) -> None:
    """kill -9 and start again at once."""
    kill(system, name)
    start(system, name)


def bus_fault(system: System, fault: str, times: float) -> None:
    """The next messages get lost, or are delivered twice."""
    if fault == "loses":
        system.bus.lose += int(times)
    else:
        system.bus.double += int(times)


def away(system: System, name: str, duration: float) -> None:
    """The database, the bus or the API does not answer for so many seconds."""
    back: Callable[[], object]
    if name == "database":
        system.outage.begin()
        back = system.outage.end
    elif name == "bus":
        system.bus.is_up = False
        back = functools.partial(setattr, system.bus, "is_up", True)
    else:
        system.api.kill()
        back = system.api.start

    def end() -> None:
        system.story.say("sim", f"{name} is back")
        back()

    system.clock.call_at(system.clock.monotonic() + duration, end, name="back", group="sim")


def report(system: System, host: str, event: str, status: str = "NORMAL") -> None:
    """An operator posts a notification about a host."""
    payload = {
        "event": event.upper(),
        "host_status": status.upper(),
        "cluster_status": "OFFLINE" if event == "stopped" else "ONLINE",
    }
    _post(system, "COMPUTE_HOST", host, payload)


def report_process(system: System, process: str, host: str) -> None:
    """An operator posts a notification about a process."""
    _post(system, "PROCESS", host, {"process_name": process, "event": "STOPPED"})


def set_segment(system: System, name: str, state: str) -> None:
    """An operator switches recovery on or off for a segment."""
    body = {"segment": {"enabled": state == "enabled"}}
    system.operate("PUT", f"/v1/segments/{_segment(system, name)}", body)


# ---- within


def _host(system: System, name: str) -> str:
    if name not in system.cloud.hosts:
        raise ScriptError(f"there is no host {name}")
    return name


def _vm(system: System, name: str) -> Vm:
    try:
        return system.cloud.vm(name)
    except KeyError:
        raise ScriptError(f"there is no VM {name}") from None


def _segment(system: System, name: str) -> str:
    try:
        return system.segments[name]
    except KeyError:
        raise ScriptError(f"there is no segment {name}") from None


def _verb(name: str) -> str:
    if name != "*" and not callable(getattr(Cloud, name, None)):
        raise ScriptError(f"cloud.Cloud has no verb {name}")
    return name


def _post(system: System, kind: str, host: str, payload: Mapping[str, str]) -> None:
    now = system.clock.now().isoformat(timespec="microseconds")
    system.operate(
        "POST",
        "/v1/notifications",
        {
            "notification": {
                "type": kind,
                "hostname": host,
                "generated_time": now,
                "payload": dict(payload),
            }
        },
    )


def _at_call(
    system: System,
    name: str,
    when: str,
    verb: str,
    vm: str | None,
    *,
    act: Callable[[], None],
    announcement: str,
) -> None:
    """*act* happens once, within the next call of *verb* by the process *name*."""
    armed = [True]

    def strike(_: Call) -> None:
        if system.clock.group() == name and armed:
            armed.clear()
            system.story.say("sim", announcement)
            act()
            system.clock.sleep(0)  # the caller dies or stops here

    system.cloud.add_fault(Fault(_verb(verb), server=vm, when=when, times=None, hook=strike))
