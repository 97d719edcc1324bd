"""How fast, and how exactly, the instance monitor tells of VMs that die, and what asking costs.

python bench/instances.py [--domains N] [--vms N] [--guests N] [--hung N] [--seconds N]

1. N real QEMU processes (25) are killed, one a second; then again, all within a second, while so
   many more VMs (to make 200) die as recorded events, which take the same way from libvirt's
   callback on.  The reports go through the outbox over HTTP to our API, with our engine, MariaDB,
   RabbitMQ and a simulated Nova behind it.  All of that shares the machine; the engine, which would
   be on another one, is stopped until all were told.  Counted: notifications, the time from
   kill -9 to the answer 202, and how often each VM was started again.
2. N guests (500) are pinged each 10 s, some of them (100) hang: real threads, simulated agents that
   need 2 ms, or hold their caller for 5 s and do not answer.  Printed: how late rounds are, the CPU
   of a core, and how the memory grows over 10,000 rounds in a row.

Needs root, libvirtd, QEMU and libvirt-python; without them only the second part is done.
"""

import argparse
import collections
import datetime
import itertools
import logging
import math
import pathlib
import statistics
import tempfile
import threading
import time

from oslo_config import cfg
from stack import Stack

from masakari import conf as conf_
from masakari.clock import SystemClock
from masakari.monitors import report
from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.guests import Guests
from masakari.monitors.instances.heartbeat import Answer, Limits
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Event
from masakari.pulse import Pulse
from masakari.tests.functional.monitors.test_instances import Monitor
from masakari.tests.functional.program import wait
from masakari.tests.functional.world import libvirtd as world

CLOCK = SystemClock()
DIED = ("LIFECYCLE", "STOPPED_FAILED")
OPTIONS = {"instance_failure": {"process_all_instances": True}}
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


def bursts(real, vms):
    """The first part, where it can be done."""
    if reason := world.missing():
        print(f"no QEMU is killed: {reason}")
        return
    libvirtd = world.Libvirtd(world.short_directory())
    try:
        libvirtd.start()
        recover(libvirtd, real, vms)
    finally:
        libvirtd.stop()
        world.remove(libvirtd.root)


def recover(libvirtd, real, vms):
    """Kill them, and print what was told and what was done about it."""
    with Stack(database="mariadb", bus="rabbitmq", standalone=False, sim_port=0) as stack:
        for number, over_s in ((real, float(real)), (vms, 1.0)):
            cloud = {"hosts": 1, "instances": number, "prefix": f"compute{number}"}
            stack.simulation.call("POST", "reset", cloud)
            with stack.masakari(OPTIONS) as masakari:
                burst = Burst(stack.simulation, libvirtd, real)
                register(masakari, burst.host)
                masakari.engine.suspend()
                told = kill(masakari, burst, over_s=over_s)
                masakari.engine.resume()
                print_told(burst, told, over_s)
                print_done(burst, masakari)
                burst.end()


def register(masakari, host):
    """The host is in a segment."""
    body = {"name": host, "recovery_method": "auto", "service_type": "compute"}
    uuid = masakari.call("POST", "/segments", {"segment": body})["segment"]["uuid"]
    body = {"name": host, "type": "COMPUTE", "control_attributes": "SSH"}
    masakari.call("POST", f"/segments/{uuid}/hosts", {"host": body})


class Burst:
    """The VMs of the simulated cloud, which libvirt knows, too; the first *real* of them run."""

    def __init__(self, simulation, libvirtd, real):
        self.libvirtd, self._simulation = libvirtd, simulation
        self._connection = libvirtd.connect()
        state = simulation.call("GET", "state")
        self.host = state["hosts"][0]["name"]
        self.vms = [server["id"] for server in state["servers"]]
        self.domains = {
            vm: self._connection.defineXML(world.xml(f"instance-{n:08x}", uuid=vm))
            for n, vm in enumerate(self.vms)
        }
        self.real, self.recorded = self.vms[:real], self.vms[real:]
        for vm in self.real:
            self.domains[vm].create()
        self.killed = {}
        """{VM: when it died, monotonic}; a recorded one so long before libvirt tells"""

    def die(self, over_s, inbox):
        """All die within so many seconds."""
        processes = {vm: self.libvirtd.qemu(vm) for vm in self.real}
        began = time.monotonic()
        deaths = [(over_s * n / len(self.real), vm) for n, vm in enumerate(self.real)]
        deaths += [
            (LIBVIRT_S + over_s * n / len(self.recorded), vm) for n, vm in enumerate(self.recorded)
        ]
        for after_s, vm in sorted(deaths):
            time.sleep(max(0.0, began + after_s - time.monotonic()))
            if vm in processes:
                self.killed[vm] = time.monotonic()
                processes[vm].kill()
            else:
                self.killed[vm] = time.monotonic() - LIBVIRT_S
                at = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
                inbox.put(Event(vm, "", DIED, at, CLOCK.monotonic()))
            # Nova hears of it, too
            self._simulation.call("POST", f"servers/{vm}/crash", {})

    def starts(self):
        """{VM: how often it was started again}, and what the cloud's ledger objects to."""
        names = {s["name"]: s["id"] for s in self._simulation.call("GET", "state")["servers"]}
        ledger = self._simulation.call("GET", "ledger")
        runs = collections.Counter(names[run["server"]] for run in ledger["runs"])
        return {vm: runs[vm] - 1 for vm in self.vms}, ledger["violations"]

    def end(self):
        """libvirt does not know them any more."""
        for domain in self.domains.values():
            domain.undefine()
        self._connection.close()


def kill(masakari, burst, *, over_s):
    """[(VM, when its notification was accepted)]"""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        timed, inboxes = Timed(connected(masakari.url)), []
        keep = Inbox.__init__

        def kept(inbox, *arguments):
            keep(inbox, *arguments)
            inboxes.append(inbox)

        Inbox.__init__ = kept
        monitor = Monitor(directory, burst.libvirtd.uri, timed, hostname=burst.host)
        Inbox.__init__ = keep
        memory = directory / "instancemonitor.json"
        wait(
            "all are known",
            lambda: memory.exists() and all(vm in memory.read_text() for vm in burst.vms),
            60,
        )
        used_s = time.process_time()
        burst.die(over_s, inboxes[0])
        wait("all were told", lambda: len(timed.accepted) >= len(burst.vms), 120)
        used_s = time.process_time() - used_s
        time.sleep(5)
        monitor.stop()
    print(f"the monitor used {1000 * used_s / len(burst.vms):.1f} ms of a core for each VM")
    return timed.accepted


def print_told(burst, told, over_s):
    """How many notifications there were, and how late."""
    vms = [vm for vm, _ in told]
    print(
        f"{len(burst.vms)} VMs died within {over_s:g} s ({len(burst.real)} real QEMU, "
        f"{len(burst.recorded)} recorded): {len(set(vms))} notifications, "
        f"{len(vms) - len(set(vms))} doubles"
    )
    for who, which in (("the real ones", set(burst.real)), ("all", set(burst.vms))):
        took = sorted(at - burst.killed[vm] for vm, at in told if vm in which)
        print(
            f"kill -9 of QEMU to the notification accepted, {who}: "
            f"median {statistics.median(took):.2f} s, p99 {percentile(took, 99):.2f} s, "
            f"most {took[-1]:.2f} s"
        )


def percentile(sorted_values, percent):
    """The value that so many percent do not exceed."""
    return sorted_values[math.ceil(percent / 100 * len(sorted_values)) - 1]


def print_done(burst, masakari):
    """How often each VM was started again, as the cloud's ledger has it."""
    began = min(burst.killed.values())

    def is_over():
        rows = masakari.call("GET", "/notifications")["notifications"]
        return all(row["status"] in ("finished", "failed", "ignored") for row in rows)

    wait("all recoveries have ended", is_over, 600)
    took = time.monotonic() - began
    starts, violations = burst.starts()
    print(
        f"{sum(map(bool, starts.values()))} VMs were recovered, "
        f"{sum(n > 1 for n in starts.values())} of them more than once; all is over {took:.0f} s "
        f"after the first kill; the ledger objects to {len(violations)}"
    )


def connected(url):
    """The API at *url*."""
    conf = cfg.ConfigOpts()
    conf_.register_monitors(conf)
    conf([], project="masakarimonitors", default_config_files=[], default_config_dirs=[])
    conf.set_override("auth_type", "none", "api")
    conf.set_override("endpoint_override", url, "api")
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
    watched = {str(n): (Kind.HEARTBEAT_IO, 1) for n in range(guests)}
    found.watch(watched, watched)
    return found, inbox


def memory(guests, hung, rounds):
    """Ask as fast as possible, and print how much memory that takes."""
    asking, inbox = watching(Agents(hung, 0), guests)
    sizes = []
    used_s = time.process_time()
    for n in range(rounds):
        for future in asking.ask_all():
            future.result()
        inbox.take()
        if n in (rounds // 100, rounds // 2, rounds - 1):
            sizes.append(f"{resident_mib():.1f} MiB after {n + 1} rounds")
    used_s = time.process_time() - used_s
    print(
        f"memory, {guests} guests, {hung} of which hang: {', '.join(sizes)}; "
        f"{1000 * used_s / rounds:.0f} ms of a core for a round"
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
    parser.add_argument("--only", choices=["burst", "pings", "memory"])
    given = parser.parse_args()
    logging.getLogger("masakari").setLevel(logging.CRITICAL)
    if given.only in (None, "burst"):
        bursts(given.domains, given.vms)
    if given.only in (None, "pings"):
        pings(given.guests, given.hung, given.seconds)
    if given.only in (None, "memory"):
        memory(given.guests, given.hung, given.rounds)


if __name__ == "__main__":
    main()
