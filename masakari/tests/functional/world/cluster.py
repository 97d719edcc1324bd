"""Corosync and Pacemaker on simulated hosts, and remote nodes that have neither."""

import pathlib
import xml.etree.ElementTree as ET

CIB = """\
<cib validate-with="pacemaker-3.0" epoch="1" num_updates="0" admin_epoch="0">
  <configuration>
    <crm_config><cluster_property_set id="p">
      <nvpair id="p-deadtime" name="dc-deadtime" value="2s"/>
      <nvpair id="p-stonith" name="stonith-enabled" value="{stonith}"/>
    </cluster_property_set></crm_config>
    <nodes/><resources/><constraints/>
  </configuration>
  <status/>
</cib>
"""
COROSYNC = """\
totem {{
    version: 2
    cluster_name: world
    transport: knet
    crypto_cipher: none
    crypto_hash: none
    token: 1000
}}
quorum {{
    provider: corosync_votequorum
}}
nodelist {{
{nodes}
}}
logging {{
    to_syslog: no
    to_logfile: yes
    logfile: /var/log/corosync/corosync.log
}}
"""
NODE = """\
    node {{
        name: {name}
        nodeid: {number}
        ring0_addr: {address}
    }}"""
FENCE = """\
<primitive class="stonith" type="fence_ipmilan" id="fence-{name}">
  <instance_attributes id="fence-{name}-a">{pairs}</instance_attributes>
</primitive>
"""
REMOTED = pathlib.Path("/var/lib/masakari-tests/pacemaker-remote/usr/sbin/pacemaker-remoted")
"""Unpacked there by tools/install-servers: its package conflicts with Pacemaker's."""
REMOTE = """\
<primitive class="ocf" provider="pacemaker" type="remote" id="{name}">
  <instance_attributes id="{name}-a">
    <nvpair id="{name}-server" name="server" value="{address}"/>
  </instance_attributes>
  <operations><op id="{name}-m" name="monitor" interval="2s" timeout="10s"/></operations>
</primitive>
"""


class Cluster:
    """Of hosts that are switched on; started by `start`."""

    def __init__(self, hosts, *, stonith=True) -> None:
        self.hosts = {host.name: host for host in hosts}
        nodes = "\n".join(
            NODE.format(name=host.name, number=number, address=host.address)
            for number, host in enumerate(hosts, 1)
        )
        for host in hosts:
            host.write("/etc/corosync/corosync.conf", COROSYNC.format(nodes=nodes))
            # not beside the signature of an earlier file, which would bring an earlier one back
            host.run("sh", "-c", "rm -rf /var/lib/pacemaker/cib/*; mkdir -p /var/log/corosync")
            host.run(*("install", "-d", "-o", "hacluster", "-g", "haclient", "/var/log/pacemaker"))
            cib = CIB.format(stonith=str(stonith).lower())
            path = "/var/lib/pacemaker/cib/cib.xml"
            host.write(path, cib, "600", "hacluster", "haclient")

    def start(self, *names) -> None:
        """Return when each of them, by default all, sees as many online."""
        started = [self.hosts[name] for name in names or self.hosts]
        for host in started:
            host.run("corosync")
        for host in started:
            self.start_pacemaker(host)
        for host in started:
            host.wait("all are online", lambda host=host: self.online(host) == len(self.hosts), 60)

    def start_pacemaker(self, host) -> None:
        _start(host, "pacemakerd")

    def add_remotes(self, remotes, via) -> None:
        """The hosts *remotes*, which are switched on, are remote nodes; the host *via* is told."""
        for host in (*self.hosts.values(), *remotes):
            host.write("/etc/pacemaker/authkey", "no secret" * 8, "640", "hacluster", "haclient")
        for host in remotes:
            host.run("mkdir", "-p", "/var/log/pacemaker")
            _start(host, REMOTED)
        for host in remotes:
            xml = REMOTE.format(name=host.name, address=host.address)
            via.run("cibadmin", "-o", "resources", "-C", "-X", xml)

    def online(self, host) -> int:
        """How many nodes are online for the host."""
        said = host.run("crm_mon", "--output-as=xml", "--one-shot", check=False)
        try:
            nodes = ET.fromstring(said).findall("nodes/node")
        except ET.ParseError:
            return 0
        return sum(n.get("online") == "true" and n.get("pending") == "false" for n in nodes)

    def fence(self, name, address, port, via) -> None:
        """The cluster can fence the host through its BMC; the host *via* is told."""
        values = {
            "ip": address,
            "ipport": port,
            "username": "admin",
            "password": "secret",
            "lanplus": 1,
            "cipher": 3,
            "pcmk_host_list": name,
            "pcmk_reboot_action": "off",
        }
        pairs = "".join(
            f'<nvpair id="fence-{name}-{key}" name="{key}" value="{value}"/>'
            for key, value in values.items()
        )
        xml = FENCE.format(name=name, pairs=pairs)
        via.run("cibadmin", "-o", "resources", "-C", "-X", xml)


def _start(host, program) -> None:
    """With a log."""
    log = "/var/log/pacemaker/pacemaker.log"
    command = f"PCMK_logfile={log} setsid {program} >/var/log/pacemaker/stderr 2>&1 </dev/null &"
    host.run("sh", "-c", command)


PROGRAMS = ("corosync", "pacemakerd", "crm_mon", "cibadmin")
