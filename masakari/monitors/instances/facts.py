"""What the XML of a domain says that does not change while it runs."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

AGENT = "org.qemu.guest_agent.0"
NOVA = re.compile(r"\{http://openstack\.org/xmlns/libvirt/nova/[\d.]+\}(\w+)")


class Kind(StrEnum):
    """How a guest is watched."""

    OFF = "off"
    HEARTBEAT = "heartbeat"
    HEARTBEAT_IO = "heartbeat-io"


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one domain."""

    is_nova: bool
    """Nova has made it"""
    has_agent: bool
    """it has a channel for a guest agent"""
    kind: str | None
    """what an extra spec of its flavor says of its watching; None: nothing"""
    flavor: str | None = None
    """its name"""


def parse(text: str, key: str, agent_path: re.Pattern[str]) -> Facts:
    """The facts in a domain's XML; *key* names the extra spec of the kind.

    A channel whose socket's path matches *agent_path* is an agent's, too.  Raises ValueError.
    """
    try:
        root = ET.fromstring(text)  # noqa: S314  libvirt has written it
    except ET.ParseError as e:
        raise ValueError(f"its XML cannot be read: {e}") from None
    metadata = root.find("metadata")
    nova = None if metadata is None else next(_nova(metadata, "instance"), None)
    flavor = None if nova is None else next(_nova(nova, "flavor"), None)
    return Facts(
        nova is not None,
        any(_is_agent(channel, agent_path) for channel in root.iterfind("devices/channel")),
        None if flavor is None else _kind(flavor, key),
        None if flavor is None else flavor.get("name"),
    )


def kind_of(found: Facts, by_flavor: Mapping[str, Kind], default: Kind) -> Kind:
    """How the guest is watched: its extra spec goes before *by_flavor*, {flavor's name: kind}.

    What is no kind says nothing.
    """
    if found.kind in set(Kind):
        return Kind(found.kind)
    return by_flavor.get(found.flavor or "", default)


def _nova(element: ET.Element, name: str) -> Iterator[ET.Element]:
    """The elements of Nova's with that name, at any depth."""
    for each in element.iter():
        found = NOVA.fullmatch(each.tag)
        if found is not None and found[1] == name:
            yield each


def _is_agent(channel: ET.Element, agent_path: re.Pattern[str]) -> bool:
    target, source = channel.find("target"), channel.find("source")
    if target is not None and target.get("name") == AGENT:
        return True
    path = None if source is None or source.get("mode") != "bind" else source.get("path")
    return path is not None and agent_path.match(path) is not None


def _kind(flavor: ET.Element, key: str) -> str | None:
    """What Nova writes since its release 32.

    Of the image it writes the properties that it knows, and of the VM's own metadata nothing.
    """
    for spec in _nova(flavor, "extraSpec"):
        if spec.get("name") == key:
            return (spec.text or "").strip().lower()
    return None
