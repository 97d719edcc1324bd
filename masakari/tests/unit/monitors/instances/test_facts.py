"""What the XML of domains says of them."""

import re

import pytest

from masakari.monitors.instances.facts import Facts, parse
from masakari.tests.functional.world.libvirtd import xml

KEY = "masakari:guest_heartbeat"
OPENSTACKS = re.compile(r"/var/lib/libvirt/qemu/org\.qemu\.guest_agent\..*\.instance-.*\.sock")


def facts(text):
    return parse(text, KEY, OPENSTACKS)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, Facts(True, False, None)),
        ({"nova": False}, Facts(False, False, None)),
        ({"agent": True}, Facts(True, True, None)),
        ({"agent": True, "kind": "off"}, Facts(True, True, "off")),
    ],
)
def test_domain(options, found):
    assert facts(xml("instance-1", **options)) == found


def channel(inside):
    return f"<domain><devices><channel/><channel>{inside}</channel></devices></domain>"


@pytest.mark.parametrize(
    ("inside", "has_agent"),
    [
        ('<target name="org.qemu.guest_agent.0"/>', True),
        (
            '<source mode="bind" path="/run/libvirt/x"/><target name="org.qemu.guest_agent.0"/>',
            True,
        ),
        (
            '<source mode="bind" path="/var/lib/libvirt/qemu/'
            'org.qemu.guest_agent.0.instance-1.sock"/>',
            True,
        ),
        ('<source mode="connect" path="/var/lib/libvirt/qemu/x.sock"/>', False),
        ('<target name="com.redhat.spice.0"/>', False),
    ],
)
def test_agent_is_found_by_its_channel_whichever_that_is(inside, has_agent):
    assert facts(channel(inside)).has_agent == has_agent


def test_property_of_the_image():
    nova = "http://openstack.org/xmlns/libvirt/nova/1.0"
    text = f'<domain><metadata><n:instance xmlns:n="{nova}"><n:image><n:properties>'
    text += f'<n:property name="{KEY}" value="Heartbeat"/></n:properties></n:image></n:instance>'

    assert facts(text + "</metadata></domain>") == Facts(True, False, "heartbeat")


def test_no_xml():
    with pytest.raises(ValueError, match="its XML cannot be read"):
        facts("<domain>")
