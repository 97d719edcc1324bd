"""The statements about what happens to Masakari, and what operators ask of it; see `phrases`."""

import functools
from collections.abc import Callable, Mapping

from masakari.sim import named
from masakari.sim.cloud import Call, Fault
from masakari.sim.language import ScriptError
from masakari.sim.processes import ApiServer
from masakari.sim.system import System

# ---- its processes


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


# ---- what is reported, and what operators change


def report(system: System, host: str, event: str, status: str = "NORMAL") -> None:
    """An operator posts a notification about a host."""
    payload = {
        "event": event.upper(),
        "host_status": status.upper(),
        "cluster_status": "OFFLINE" if event == "stopped" else "ONLINE",
    }
    _post(system, "COMPUTE_HOST", host, payload)


def report_process(system: System, process: str, host: str, event: str) -> None:
    """A process monitor posts a notification about a process."""
    _post(system, "PROCESS", host, {"process_name": process, "event": event.upper()})


def report_event(system: System, event: str, detail: str, vm: str, host: str | None = None) -> None:
    """An instance monitor posts an event of libvirt's about a VM (from the host named)."""
    guest = named.vm(system, vm)
    payload = {"event": event, "instance_uuid": guest.id, "vir_domain_event": detail}
    _post(system, "VM", host or guest.host, payload)


def set_segment(system: System, name: str, state: str) -> None:
    """An operator switches recovery on or off for a segment, or deletes it."""
    path = f"/v1/segments/{named.segment(system, name)}"
    if state == "deleted":
        system.operate("DELETE", path)
    else:
        system.operate("PUT", path, {"segment": {"enabled": state == "enabled"}})


def observe_segment(system: System, name: str, state: str) -> None:
    """An operator has a segment only observed, or not any more."""
    path = f"/v1/segments/{named.segment(system, name)}"
    system.operate("PUT", path, {"segment": {"observe_only": state == "on"}})


def observe(system: System, state: str) -> None:
    """All segments are only observed, or not any more: the option changes, and SIGHUP is sent."""
    system.conf.set_override("observe_only", state == "on", "engine")


def act(system: System, action: str, number: str) -> None:
    """An operator cancels a notification, or has it tried again."""
    path = f"/v1/notifications/{named.notification(system, number)}/action"
    system.operate("POST", path, {"cancel" if action == "cancels" else "retry": None})


def set_maintenance(system: System, hosts: list[str], state: str) -> None:
    """An operator puts hosts on maintenance, or back in service."""
    for name in hosts:
        body = {"host": {"on_maintenance": state == "on"}}
        system.operate("PUT", named.registration(system, name), body)


def deregister(system: System, hosts: list[str]) -> None:
    """An operator deletes hosts from their segment."""
    for name in hosts:
        system.operate("DELETE", named.registration(system, name))


def reload_exclusions(system: System, text: str) -> None:
    """The exclusions file is replaced, and every engine gets SIGHUP."""
    if not system.rules:
        raise ScriptError("there is no exclusions file")
    system.reload_exclusions(text)


# ---- within


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

    system.cloud.add_fault(Fault(named.verb(verb), server=vm, when=when, times=None, hook=strike))
