"""How fast, and how exactly, the instance monitor tells of VMs that die, and what asking costs.

python bench/instances.py [--domains N] [--vms N] [--guests N] [--hung N] [--seconds N]

1. N real QEMU processes (25) are killed, one a second; then again, all within a second, while so
   many more VMs (to make 200) die as recorded events, which take the same way from libvirt's
   callback on.  The reports go through the outbox to a real masakari-standalone over HTTP.
   Counted: notifications, doubles, and for the real ones the time from kill -9 to the answer 202.
2. N guests (500) are pinged each 10 s, some of them (100) hang: real threads, simulated agents that
   need 2 ms, or hold their caller for 5 s and do not answer.  Printed: how late rounds are, the CPU
   of a core, and how the memory grows over 10,000 rounds in a row.

Needs root, libvirtd, QEMU and libvirt-python; without them only the second part is done.
"""

import argparse
import datetime
import itertools
import logging
import math
import pathlib
import statistics
import tempfile
import threading
import time
import uuid

from oslo_config import cfg

from masakari import conf as conf_
from masakari.clock import SystemClock
from masakari.monitors import report
from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.guests import Guests
from masakari.monitors.instances.heartbeat import Answer, Limits
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Event
from masakari.pulse import Pulse
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.monitors.test_instances import Monitor
from masakari.tests.functional.monitors.test_instances_end_to_end import CONFIG
from masakari.tests.functional.program import Program, free_port, wait
from masakari.tests.functional.world import libvirtd as world

CLOCK = SystemClock()
DIED = ("LIFECYCLE", "STOPPED_FAILED")
LIBVIRT_S = 1.3
"""So long libvirt takes to tell of the death of a QEMU process, at most."""


class Timed:
    """A Masakari that notes when it answered 202 about each VM."""

    def __init__(self, masakari):
        self._masakari = masakari
        self.accepted = []

    def watched(self):
        """As Masakari."""
        return []

    def notify(self, notification):
        """As Masakari."""
        answer = self._masakari.notify(notification)
        if answer.status == 202:
            self.accepted.append((notification["payload"]["instance_uuid"], time.monotonic()))
        return answer


def burst(directory, libvirtd, real, vms):
    """Kill them, and print what was told."""
    cloud = SimCloud(CLOCK, Settings())
    cloud.add_host("compute1")
    with SimServer(cloud) as server:
        port = free_port()
        config = directory / "masakari.conf"
        values = {"port": port, "directory": directory, "uri": libvirtd.uri}
        config.write_text(CONFIG.format(keystone=server.auth_url, **values))
        api = Api(f"http://127.0.0.1:{port}/v1")
        program = Program("masakari-standalone", config, directory / "api.log").start()
        try:
            wait("the API answers", lambda: api.call("GET", "/segments")[0] == 200, 90)
            api.register(["compute1"])
            kill(directory, libvirtd, config, real=real, vms=real, over_s=real)
            kill(directory, libvirtd, config, real=real, vms=vms, over_s=1.0)
        finally:
            program.stop()


def kill(directory, libvirtd, config, *, real, vms, over_s):
    """Likewise, the API is up."""
    connection = libvirtd.connect()
    domains = []
    for n in range(real):
        domains.append(connection.defineXML(world.xml(f"instance-{n:08x}")))
        domains[-1].create()
    masakari, inboxes = Timed(connected(config)), []
    keep = Inbox.__init__

    def kept(inbox, *arguments):
        keep(inbox, *arguments)
        inboxes.append(inbox)

    Inbox.__init__ = kept
    monitor = Monitor(directory, libvirtd.uri, masakari)
    Inbox.__init__ = keep
    processes = {domain.UUIDString(): libvirtd.qemu(domain.UUIDString()) for domain in domains}
    time.sleep(3)
    recorded = [str(uuid.uuid4()) for _ in range(vms - real)]
    began, killed = time.monotonic(), {}
    for n, (vm, process) in enumerate(processes.items()):
        time.sleep(max(0.0, began + over_s * n / real - time.monotonic()))
        killed[vm] = time.monotonic()
        process.kill()
    for n, vm in enumerate(recorded):
        time.sleep(max(0.0, began + LIBVIRT_S + n / len(recorded) - time.monotonic()))
        at = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        inboxes[0].put(Event(vm, f"instance-{n:08x}", DIED, at, CLOCK.monotonic()))
    wait("all were told", lambda: len(masakari.accepted) >= vms, 120)
    time.sleep(5)
    monitor.stop()
    for domain in domains:
        domain.undefine()
    connection.close()
    told = [vm for vm, _ in masakari.accepted]
    took = sorted(at - killed[vm] for vm, at in masakari.accepted if vm in killed)
    print(
        f"{vms} VMs died within {over_s:g} s ({real} real QEMU, {len(recorded)} recorded): "
        f"{len(set(told))} notifications, {len(told) - len(set(told))} doubles"
    )
    p99 = took[math.ceil(0.99 * len(took)) - 1]
    print(
        f"kill -9 of QEMU to the notification accepted: median {statistics.median(took):.2f} s, "
        f"p99 {p99:.2f} s, the last of all {masakari.accepted[vms - 1][1] - began:.1f} s after "
        "the first kill"
    )


def connected(config):
    """The API of the configuration file."""
    conf = cfg.ConfigOpts()
    conf_.register_monitors(conf)
    conf([], project="masakarimonitors", default_config_files=[str(config)], default_config_dirs=[])
    return report.connect(conf)


class Agents:
    """Of guests 0 to N, the first *hung* of which hang after the first answer."""

    def __init__(self, hung, hangs_s):
        self._hung, self._hangs_s = hung, hangs_s
        self._first = set()

    def ping(self, uuid, *, is_ill):
        """As Agents."""
        if int(uuid) >= self._hung or uuid not in self._first:
            self._first.add(uuid)
            time.sleep(0.002 if self._hangs_s else 0)
            return Answer.GOOD
        time.sleep(self._hangs_s if is_ill else self._hangs_s * 0.4)
        return Answer.MISSING

    def activity(self, _uuid):
        """As Agents."""
        return 0


def pings(guests, hung, seconds):
    """Ask for so long, and print how that went."""
    agents = Agents(hung, 5.0)
    asking, inbox = watching(agents, guests)
    stop = threading.Event()
    thread = threading.Thread(target=asking.run, args=(stop,))
    rounds = []
    ask_all = asking.ask_all

    def timed():
        rounds.append(time.monotonic())
        return ask_all()

    asking.ask_all = timed
    thread.start()
    time.sleep(25)  # those that hang are known by then
    cpu_s, began = time.process_time(), time.monotonic()
    time.sleep(seconds)
    cpu_s, took = time.process_time() - cpu_s, time.monotonic() - began
    stop.set()
    thread.join()
    late = [after - before - 10 for before, after in itertools.pairwise(rounds)]
    print(
        f"{guests} guests, {hung} of which hang, pinged each 10 s: rounds begin at most "
        f"{1000 * max(late):.0f} ms late, {100 * cpu_s / took:.2f} % of a core, "
        f"{len(inbox.take()[0])} guests reported"
    )


def watching(agents, guests):
    """Who asks so many guests, and where it puts those that have failed."""
    inbox = Inbox(lambda: None)
    limits = Limits(interval_s=10, threshold=3, io_silence_s=0)
    found = Guests(agents, inbox, CLOCK, limits=limits, parallel=10, pulse=Pulse(CLOCK))
    found.watch({str(n): Kind.HEARTBEAT_IO for n in range(guests)})
    return found, inbox


def memory(guests, hung, rounds):
    """Ask as fast as possible, and print how much memory that takes."""
    asking, inbox = watching(Agents(hung, 0), guests)
    sizes = []
    for n in range(rounds):
        for future in asking.ask_all():
            future.result()
        inbox.take()
        if n in (rounds // 10, rounds - 1):
            sizes.append(resident_mib())
    print(
        f"memory: {sizes[0]:.1f} MiB after {rounds // 10} rounds, {sizes[1]:.1f} MiB after "
        f"{rounds} ({guests} guests, {hung} silent)"
    )


def resident_mib():
    """Of this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--domains", type=int, default=25)
    parser.add_argument("--vms", type=int, default=200)
    parser.add_argument("--guests", type=int, default=500)
    parser.add_argument("--hung", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=10_000)
    given = parser.parse_args()
    logging.getLogger("masakari").setLevel(logging.CRITICAL)
    if reason := world.missing():
        print(f"no QEMU is killed: {reason}")
    else:
        libvirtd = world.Libvirtd(world.short_directory())
        try:
            libvirtd.start()
            with tempfile.TemporaryDirectory() as directory:
                burst(pathlib.Path(directory), libvirtd, given.domains, given.vms)
        finally:
            libvirtd.stop()
            world.remove(libvirtd.root)
    pings(given.guests, given.hung, given.seconds)
    memory(50, 10, given.rounds)


if __name__ == "__main__":
    main()
