"""What watching a thousand hosts costs, and how many a core can poll.

    make bench SUBJECT=pollers [BENCH="--rounds 60 --hosts 1000"]

Needs root, and 15 minutes: rounds begin an interval apart, as those of the monitor do.  Hosts
are addresses of 127.0.0.0/8 in a network namespace of its own, in which 2 % of the echo packets are
lost each way, and in which not the kernel answers but a process here, each time after a delay of
its own.  What is polled: asyncssh's server, ipmi_sim, an HTTPS server.
"""

import argparse
import asyncio
import heapq
import multiprocessing
import os
import pathlib
import random
import resource
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import asyncssh
import trustme

from masakari.clock import SystemClock
from masakari.cloud import ComputeService
from masakari.monitors.hosts import icmp
from masakari.monitors.hosts import ssh as ssh_
from masakari.monitors.hosts.addresses import Addresses
from masakari.monitors.hosts.ipmi import IpmiPoller
from masakari.monitors.hosts.nova import NovaProbe
from masakari.monitors.hosts.ping import PingPoller
from masakari.monitors.hosts.redfish import RedfishPoller
from masakari.monitors.hosts.second_opinion import OPTIONS, Echoes
from masakari.monitors.judge import State
from masakari.tests.functional.monitors import test_power
from masakari.tests.unit.monitors import test_redfish
from masakari.tests.unit.monitors.drivers import Watched, configured, private

CLOCK = SystemClock()
LOSS = """
ip link set lo up
nft add table ip loss
nft 'add chain ip loss in { type filter hook input priority 0 ; }'
nft 'add rule ip loss in ip protocol icmp numgen random mod 100 < 2 drop'
echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all
"""
REQUEST, REPLY = 8, 0
"""Types of ICMP messages."""
SO_RCVBUFFORCE = 33
"""Linux: what root may."""


def address(number: int) -> str:
    """The address of a host."""
    return f"127.{1 + number // 60000}.{number // 250 % 240}.{number % 250 + 1}"


def cpu_s() -> float:
    """CPU time of this process and of the children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def answer_late(jitter_s: float) -> None:
    """Answer each echo request to any address after 0 to *jitter_s* seconds, for ever."""
    arrivals = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    arrivals.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    replies = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    waiting: list[tuple[float, bytes, str]] = []
    while True:
        pause_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([arrivals], [], [], pause_s)[0]:
            packet = arrivals.recv(2048)
            length = (packet[0] & 0x0F) * 4
            if packet[length] == REQUEST:
                due = time.monotonic() + random.uniform(0, jitter_s)
                heapq.heappush(waiting, (due, *reply(packet, length)))
        while waiting and waiting[0][0] <= time.monotonic():
            _, packet, to = heapq.heappop(waiting)
            replies.sendto(packet, (to, 0))


def reply(request: bytes, length: int) -> tuple[bytes, str]:
    """The packet that answers an echo request whose IP header has that *length*; and to whom."""
    source, destination = request[12:16], request[16:20]
    message = bytes([REPLY, 0, 0, 0]) + request[length + 4 :]
    message = message[:2] + icmp.checksum(message).to_bytes(2) + message[4:]
    # the kernel fills in length, identification and checksum
    header = bytes([0x45, 0, 0, 0, 0, 0, 0, 0, 64, socket.IPPROTO_ICMP, 0, 0])
    return header + destination + source + message, socket.inet_ntoa(source)


class Nova:
    """Compute services that are all up, listed without a network."""

    def __init__(self, hosts):
        self._services = [ComputeService(host, host, "enabled", "up") for host in hosts]

    def compute_services(self, host=None):
        """Of all hosts."""
        return self._services


def watching(hosts: int, rounds: int, interval_s: float, jitter_s: float) -> None:
    """The drivers ping and nova (with echo requests as second opinion), all hosts alive."""
    answering = multiprocessing.Process(target=answer_late, args=(jitter_s,), daemon=True)
    answering.start()
    names = [f"compute{n}" for n in range(hosts)]
    listed = [f"{name}={address(n)}" for n, name in enumerate(names)]
    conf = configured("ping", addresses=[f"manage/{each}" for each in listed])
    watched = Watched(*names)
    probes = {"ping": PingPoller.from_conf(conf, watched, CLOCK)}
    opinion = Echoes(Addresses("{host}", listed, 0, OPTIONS), 3)
    probes["nova, icmp"] = NovaProbe(Nova(names), opinion, watched, CLOCK)
    print(
        f"{hosts} hosts, {rounds} rounds, 2 % of echo packets lost each way, answers after up to "
        f"{jitter_s * 1000:.0f} ms"
    )
    for name, probe in probes.items():
        wrong, slowest, began = 0, 0.0, cpu_s()
        for _ in range(rounds):
            start = time.monotonic()
            wrong += sum(sample.state is State.OFFLINE for sample in probe.look())
            slowest = max(slowest, time.monotonic() - start)
            time.sleep(max(0.0, start + interval_s - time.monotonic()))
        share = (cpu_s() - began) / rounds / interval_s
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"  {name:<12} {share:6.1%} of a core each {interval_s:g} s, slowest round "
            f"{slowest:.2f} s, {wrong} of {rounds * hosts} samples wrong, RSS {peak:.0f} MiB"
        )
    answering.kill()
    answering.join()


def ceiling(name: str, poll, polls: int) -> None:
    """How much CPU time a poll costs."""
    began, start = cpu_s(), time.monotonic()
    readings = poll()
    spent, took = (cpu_s() - began) / polls, time.monotonic() - start
    alive = sum(reading.state is State.ONLINE for reading in readings.values())
    print(
        f"  {name:<12} {spent * 1000:6.2f} ms of CPU each, {1 / spent:6.0f} a second and core; "
        f"{alive} of {polls} online, {took:.1f} s"
    )


def serve_ssh(ready, key) -> None:
    """Let everybody in; the port goes to *ready*."""

    class Server(asyncssh.SSHServer):
        def begin_auth(self, _user):
            return True

        def public_key_auth_supported(self):
            return True

        def validate_public_key(self, _user, _key):
            return True

    async def run() -> None:
        host_key = asyncssh.import_private_key(key)
        server = await asyncssh.listen(
            "0.0.0.0", 0, server_factory=Server, server_host_keys=[host_key], backlog=1000
        )
        ready.send(server.get_port())
        await asyncio.Event().wait()

    asyncio.run(run())


def ssh(polls: int) -> None:
    """Banners, and logins."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(
        target=serve_ssh, args=(far, key.export_private_key()), daemon=True
    )
    server.start()
    port = near.recv()
    listed = [f"c{n}={address(n)}:{port}" for n in range(polls)]
    addresses = Addresses("{host}", listed, 22, ssh_.OPTIONS)
    for name, login in (
        ("ssh banner", None),
        ("ssh login", ssh_.Login("masakari", key, None, polls)),
    ):
        poller = ssh_.SshPoller(addresses, login, CLOCK, timeout_s=20, parallel=16)
        ceiling(name, lambda p=poller: p.poll([f"c{n}" for n in range(polls)])[""], polls)
    server.kill()
    server.join()


def ipmi(polls: int, directory: pathlib.Path) -> None:
    """Two ipmitool at a time in front of one controller."""
    controller = test_power.Ipmi(directory / "bmc", "compute1")
    with test_power.running(controller.argv, controller.log):
        entry = f"{{address: 127.0.0.1, port: {controller.port}, cipher_suite: 3}}"
        text = "defaults: {username: admin, password: secret}\nhosts:\n"
        text += "".join(f"  c{n}: {entry}\n" for n in range(polls))
        conf = configured("ipmi", hosts_file=private(directory / "ipmi.yaml", text), parallel=2)
        poller = IpmiPoller.from_conf(conf, Watched(), CLOCK)._poller
        time.sleep(1)
        ceiling("ipmi", lambda: poller.poll([f"c{n}" for n in range(polls)])[""], polls)


def serve_redfish(ready, authority) -> None:
    """One system; the port goes to *ready*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with test_redfish.http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), test_redfish.Handler
    ) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.asked = []
        server.resources = {"/redfish/v1/Systems/1": {"PowerState": "On"}}
        ready.send(server.server_address[1])
        server.serve_forever()


def redfish(polls: int, directory: pathlib.Path) -> None:
    """With new connections, and with those that there are."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve_redfish, args=(far, authority), daemon=True)
    server.start()
    entry = f"{{url: 'https://127.0.0.1:{near.recv()}', system: /redfish/v1/Systems/1}}"
    text = "defaults: {username: admin, password: secret}\nhosts:\n"
    text += "".join(f"  c{n}: {entry}\n" for n in range(polls))
    conf = configured(
        "redfish",
        hosts_file=private(directory / "redfish.yaml", text),
        ca_file=str(directory / "ca.pem"),
    )
    poller = RedfishPoller.from_conf(conf, Watched(), CLOCK)._poller
    for name in ("redfish", "redfish again"):
        ceiling(name, lambda: poller.poll([f"c{n}" for n in range(polls)])[""], polls)
    server.kill()
    server.join()


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--jitter", type=float, default=0.2, help="seconds, of each answer")
    parser.add_argument("--polls", type=int, default=200, help="of each kind with a ceiling")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.inside:
        argv = ["unshare", "--net", sys.executable, *sys.argv, "--inside"]
        os.execvp(argv[0], argv)
    subprocess.run(["sh", "-ec", LOSS], check=True)
    watching(given.hosts, given.rounds, given.interval, given.jitter)
    print("what a poll costs this process (and its children)")
    with tempfile.TemporaryDirectory() as name:
        ssh(given.polls)
        ipmi(given.polls, pathlib.Path(name))
        redfish(given.polls, pathlib.Path(name))


if __name__ == "__main__":
    main()
