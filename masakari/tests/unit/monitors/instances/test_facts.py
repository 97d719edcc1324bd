"""What the XML of domains says of them."""

import re

import pytest

from masakari.monitors.instances.facts import Facts, Kind, kind_of, parse
from masakari.tests.functional.world.libvirtd import xml

KEY = "masakari:guest_heartbeat"
OPENSTACKS = re.compile(r"/var/lib/libvirt/qemu/org\.qemu\.guest_agent\..*\.instance-.*\.sock")


def facts(text):
    return parse(text, KEY, OPENSTACKS)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, Facts(True, False, None, "tiny")),
        ({"nova": False}, Facts(False, False, None)),
        ({"agent": True}, Facts(True, True, None, "tiny")),
        ({"agent": True, "kind": "off"}, Facts(True, True, "off", "tiny")),
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


NOVA_32 = """\
<nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
  <nova:package version="32.0.0"/>
  <nova:name>web1</nova:name>
  <nova:creationTime>2025-11-27 14:20:00</nova:creationTime>
  <nova:flavor name="ha.small" id="42">
    <nova:memory>2048</nova:memory>
    <nova:disk>20</nova:disk>
    <nova:swap>0</nova:swap>
    <nova:ephemeral>0</nova:ephemeral>
    <nova:vcpus>2</nova:vcpus>
    <nova:extraSpecs>
      <nova:extraSpec name="hw:mem_page_size">large</nova:extraSpec>
      <nova:extraSpec name="masakari:guest_heartbeat">heartbeat</nova:extraSpec>
    </nova:extraSpecs>
  </nova:flavor>
  <nova:image uuid="11111111-2222-4333-8444-555555555555">
    <nova:containerFormat>bare</nova:containerFormat>
    <nova:diskFormat>qcow2</nova:diskFormat>
    <nova:minDisk>20</nova:minDisk>
    <nova:minRam>0</nova:minRam>
    <nova:properties>
      <nova:property name="hw_qemu_guest_agent">True</nova:property>
      <nova:property name="os_distro">debian</nova:property>
    </nova:properties>
  </nova:image>
  <nova:owner>
    <nova:user uuid="8f0d0c8e">admin</nova:user>
    <nova:project uuid="a1b2c3d4">demo</nova:project>
  </nova:owner>
  <nova:root type="image" uuid="11111111-2222-4333-8444-555555555555"/>
  <nova:ports>
    <nova:port uuid="7f5f7a3c-0f6e-4e0a-9a0e-000000000001">
      <nova:ip type="fixed" address="10.0.0.5" ipVersion="4"/>
    </nova:port>
  </nova:ports>
</nova:instance>"""
"""What Nova's libvirt driver (releases 32 to 34) makes of a VM whose flavor has the extra spec,
whose image has a property and whose own metadata have an item of the same name."""
NOVA_31 = re.sub(r"<nova:extraSpecs>.*</nova:extraSpecs>", "", NOVA_32, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        (NOVA_32, Facts(True, False, "heartbeat", "ha.small")),
        (NOVA_31, Facts(True, False, None, "ha.small")),
        (NOVA_32.replace("nova/1.1", "nova/1.2"), Facts(True, False, "heartbeat", "ha.small")),
        ("<mine:instance xmlns:mine='http://example.org'/>", Facts(False, False, None, None)),
    ],
    ids=["32", "31", "later", "others"],
)
def test_metadata_as_nova_writes_them(metadata, found):
    assert facts(f"<domain><metadata>{metadata}</metadata></domain>") == found


def test_key_is_configured():
    text = f"<domain><metadata>{NOVA_32}</metadata></domain>"

    assert parse(text, "hw:mem_page_size", OPENSTACKS).kind == "large"


@pytest.mark.parametrize(
    ("kind", "flavor", "wanted"),
    [
        ("off", "big", Kind.OFF),
        (None, "big", Kind.HEARTBEAT),
        ("nonsense", "big", Kind.HEARTBEAT),
        (None, "tiny", Kind.HEARTBEAT_IO),
        ("nonsense", None, Kind.HEARTBEAT_IO),
    ],
)
def test_extra_spec_goes_before_the_flavors_name_before_the_default(kind, flavor, wanted):
    found = Facts(True, True, kind, flavor)

    assert kind_of(found, {"big": Kind.HEARTBEAT}, Kind.HEARTBEAT_IO) is wanted


def test_no_xml():
    with pytest.raises(ValueError, match="its XML cannot be read"):
        facts("<domain>")
