"""What a script names, found in the simulated system; ScriptError where there is no such thing."""

from masakari.cloud import Cloud
from masakari.sim.language import ScriptError
from masakari.sim.records import Vm
from masakari.sim.system import System


def host(system: System, name: str) -> str:
    """The name of a compute host that Nova knows."""
    if name not in system.cloud.hosts:
        raise ScriptError(f"there is no host {name}")
    return name


def vm(system: System, name: str) -> Vm:
    """A VM."""
    try:
        return system.cloud.vm(name)
    except KeyError:
        raise ScriptError(f"there is no VM {name}") from None


def segment(system: System, name: str) -> str:
    """The uuid of a segment."""
    try:
        return system.segments[name]
    except KeyError:
        raise ScriptError(f"there is no segment {name}") from None


def registration(system: System, name: str) -> str:
    """The path of a host in the API."""
    try:
        return system.registered_hosts[host(system, name)]
    except KeyError:
        raise ScriptError(f"host {name} is not registered") from None


def notification(system: System, number: str) -> str:
    """The uuid of the notification that the log calls so."""
    for n in system.notifications():
        if system.story.names.number("notification", n.notification_uuid) == number:
            return n.notification_uuid
    raise ScriptError(f"there is no notification {number}")


def verb(name: str) -> str:
    """A verb of cloud.Cloud, or * for all."""
    if name != "*" and not callable(getattr(Cloud, name, None)):
        raise ScriptError(f"cloud.Cloud has no verb {name}")
    return name
