"""The instance monitor in front of a real libvirtd with real QEMU processes."""

import contextlib
import signal
import socket
import threading

import pytest
from oslo_config import cfg

from masakari import conf as conf_
from masakari.clock import SystemClock, wait_until
from masakari.monitors import instancemonitor, report
from masakari.monitors.instances.agents import LibvirtAgents
from masakari.monitors.instances.heartbeat import Answer
from masakari.monitors.instances.hypervisor import Hypervisor
from masakari.pulse import Pulse
from masakari.tests.functional.world import libvirtd as world

pytestmark = pytest.mark.functional

CLOCK = SystemClock()


class Masakari:
    """The API: keeps what it hears; `is_up` says whether it answers."""

    def __init__(self):
        self.heard = []
        self.is_up = True

    def watched(self):
        return []

    def notify(self, notification):
        if not self.is_up:
            raise report.Unanswered("connection refused", maybe_heard=False)
        assert notification["type"] == "VM"
        assert notification["hostname"] == "compute1"
        self.heard.append(notification)
        return report.Answer(202)

    def told(self, uuid):
        """[event/detail] that were told of the VM."""
        payloads = [n["payload"] for n in self.heard]
        return [
            f"{p['event']}/{p['vir_domain_event']}" for p in payloads if p["instance_uuid"] == uuid
        ]


class Monitor:
    """The threads of a monitor; `stop` ends them as a program does."""

    def __init__(self, directory, uri, masakari, name=instancemonitor.INSTANCES, **options):
        """*uri* as it stands in a configuration file."""
        conf = cfg.ConfigOpts()
        conf_.register_monitors(conf)
        file = directory / "masakarimonitors.conf"
        file.write_text(f"[libvirt]\nconnection_uri = {uri}\n")
        conf([], default_config_files=[str(file)], default_config_dirs=[])
        for path, value in {
            "hostname": "compute1",
            "state_path": str(directory),
            "callback.retry_interval": 0.2,
            **options,
        }.items():
            group, _, option = path.rpartition(".")
            conf.set_override(option, value, group or None)
        self.pulse = Pulse(CLOCK)
        self._built = instancemonitor.build(conf, CLOCK, masakari, name=name, pulse=self.pulse)
        self._running = []
        for loop_name, loop in self._built.loops:
            stop = CLOCK.event()
            thread = threading.Thread(target=loop, args=(stop,), name=loop_name)
            thread.start()
            self._running.append((thread, stop))

    def stop(self):
        for thread, stop in self._running:
            stop.set()
            self._built.wake()
            thread.join(30)
            assert not thread.is_alive(), thread.name


def wait(what, predicate, timeout_s=30):
    assert wait_until(CLOCK, predicate, timeout_s, 0.05), f"timed out: {what}"


def wait_for_log(caplog, text):
    wait(f"log: {text}", lambda: any(text in r.getMessage() for r in list(caplog.records)))


@pytest.fixture
def start(libvirtd, tmp_path):
    """Starts monitors that are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(masakari, **options):
            monitor = Monitor(tmp_path, libvirtd.uri, masakari, **options)
            stack.callback(monitor.stop)
            return monitor

        yield start


# ---- what is done to guests, and what is told of each


def hmp(command):
    """What the guest, or its devices, do: a port is written through QEMU's monitor."""

    def act(_libvirtd, domain):
        import libvirt
        import libvirt_qemu

        with contextlib.suppress(libvirt.libvirtError):  # it may end before it has answered
            libvirt_qemu.qemuMonitorCommand(
                domain, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
            )

    return act


def kill(number):
    return lambda libvirtd, domain: libvirtd.qemu(domain.UUIDString()).send_signal(number)


def reset_often(_libvirtd, domain):
    for _ in range(30):
        domain.reset()


def look_at_screen(libvirtd, _domain):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(libvirtd.root / "vnc"))
        greeting = client.recv(12)
        assert greeting.startswith(b"RFB")
        client.sendall(greeting)


def shut_down(_libvirtd, domain):
    """As its owner does; a guest that still boots does not hear it."""
    import libvirt

    def is_off():
        with contextlib.suppress(libvirt.libvirtError):  # it is off already
            domain.shutdown()
        return not domain.isActive()

    wait("it obeys", is_off, 60)


PANIC, HUNG, OFF = hmp("o /b 0x505 1"), hmp("o /b 0x443 0xf"), hmp("o /w 0x604 0x2000")
RESET = hmp("o /b 0xcf9 6")
CD = '<disk type="file" device="cdrom"><source file="/nonexistent.iso" startupPolicy="optional"/>'
CD += '<target dev="hdc" bus="ide"/></disk>'
SCREEN = '<graphics type="vnc" socket="{root}/vnc"/>'
MATRIX = {
    "killed": ({}, kill(signal.SIGKILL), ["LIFECYCLE/STOPPED_FAILED"]),
    "segmentation fault": ({}, kill(signal.SIGSEGV), ["LIFECYCLE/STOPPED_FAILED"]),
    "terminated": ({}, kill(signal.SIGTERM), []),
    "frozen": ({}, kill(signal.SIGSTOP), []),
    "destroyed": ({}, lambda _, domain: domain.destroy(), []),
    "switched off inside": ({}, OFF, []),
    "asked to shut down": ({}, lambda _, domain: domain.shutdown(), []),
    "reset often": ({}, reset_often, []),
    "reset inside": ({}, RESET, []),
    "reset inside, destroyed": ({"on_reboot": "destroy"}, RESET, []),
    "paused and resumed": ({}, lambda _, domain: (domain.suspend(), domain.resume()), []),
    "panic, destroyed": ({}, PANIC, ["LIFECYCLE/CRASHED_PANICKED"]),
    "panic, restarted": ({"on_crash": "restart"}, PANIC, []),
    "panic, preserved": ({"on_crash": "preserve"}, PANIC, ["LIFECYCLE/CRASHED_PANICKED"]),
    "watchdog none": ({"watchdog": "none"}, HUNG, []),
    "watchdog inject-nmi": ({"watchdog": "inject-nmi"}, HUNG, []),
    "watchdog reset": ({"watchdog": "reset"}, HUNG, []),
    "watchdog pause": ({"watchdog": "pause"}, HUNG, ["WATCHDOG/WATCHDOG_PAUSE"]),
    "watchdog poweroff": ({"watchdog": "poweroff"}, HUNG, ["WATCHDOG/WATCHDOG_POWEROFF"]),
    "watchdog shutdown": ({"watchdog": "shutdown"}, HUNG, ["WATCHDOG/WATCHDOG_SHUTDOWN"]),
    "not Nova's": ({"nova": False}, kill(signal.SIGKILL), []),
    "CD not there": ({"more": CD}, lambda _libvirtd, _domain: None, []),
    "watched": ({"more": SCREEN}, look_at_screen, []),
    "disk full": ({"full": "write"}, lambda _libvirtd, _domain: None, []),
    "disk full, guest told": (
        {"full": "write", "error_policy": "report"},
        lambda _libvirtd, _domain: None,
        ["IO_ERROR/IO_ERROR_REPORT"],
    ),
    "asked to shut down, obeys": ({"disk": "obey"}, shut_down, []),
}
# libvirt may meet the end of QEMU before it has read what QEMU said
OTHERWISE = {"watchdog poweroff": ["LIFECYCLE/STOPPED_FAILED"]}
AFTERWARDS_S = 6.0
"""libvirt tells of an end up to 2 s late, of a terminated one a bit later."""


@pytest.fixture
def told(libvirtd, tmp_path_factory):
    """{case: what was told}; all at once, so that what goes wrong in one may harm another."""
    masakari = Masakari()
    monitor = Monitor(tmp_path_factory.mktemp("monitor"), libvirtd.uri, masakari)
    connection = libvirtd.connect()
    domains = {}
    try:
        for n, (case, (options, _, _)) in enumerate(MATRIX.items()):
            text = world.xml(f"instance-{n:08x}", **prepared(libvirtd, **options))
            domains[case] = connection.defineXML(text)
        for domain in domains.values():  # all disks are there before one is full
            domain.create()
        for case, (_, act, _) in MATRIX.items():
            act(libvirtd, domains[case])
        failed = [domains[case].UUIDString() for case, (_, _, events) in MATRIX.items() if events]
        wait_until(CLOCK, lambda: all(map(masakari.told, failed)), 60, 0.1)
        acted_at = CLOCK.monotonic()
        wait("all is over", lambda: CLOCK.monotonic() - acted_at > AFTERWARDS_S)
        found = {case: masakari.told(domain.UUIDString()) for case, domain in domains.items()}
        assert monitor.pulse.stalled() == []
    finally:
        monitor.stop()
        libvirtd.qemu(domains["frozen"].UUIDString()).kill()
        for domain in domains.values():
            with contextlib.suppress(Exception):
                domain.destroy()
            domain.undefine()
        connection.close()
    return found


def prepared(libvirtd, *, disk="", full="", more="", **options):
    """Options of a guest, its disk made: *full* after 64 KiB or not."""
    if disk:
        options["disk"] = libvirtd.image(disk)
    if full:
        options["disk"] = libvirtd.image_on_full_disk(full)
    return {**options, "more": more.format(root=libvirtd.root)}


def test_what_ends_a_guest_is_told_once_and_what_people_do_is_not(told):
    # one test, as its fixture is dear and each worker would have one
    wrong = {
        case: events
        for case, events in told.items()
        if events not in (MATRIX[case][2], OTHERWISE.get(case))
    }

    assert wrong == {}
    assert told.keys() == MATRIX.keys()


def test_reset_is_told_once_where_resets_are_told(libvirtd, start, guest, caplog):
    caplog.set_level("INFO")
    masakari = Masakari()
    domain = guest()
    start(masakari, **{"instance.report_also": ["REBOOT/UNKNOWN"]})
    wait_for_log(caplog, "all domains are compared with what was known")

    RESET(libvirtd, domain)
    wait("the reset is told", lambda: masakari.told(domain.UUIDString()))
    libvirtd.qemu(domain.UUIDString()).kill()

    wait("the death is told", lambda: len(masakari.told(domain.UUIDString())) > 1)
    events = ["REBOOT/UNKNOWN", "LIFECYCLE/STOPPED_FAILED"]
    assert masakari.told(domain.UUIDString()) == events


# ---- libvirtd, or we, away


def test_deaths_while_libvirtd_was_away_are_told(libvirtd, start, guest, caplog):
    caplog.set_level("INFO")
    masakari = Masakari()
    dies, lives, again = guest(), guest(), guest()
    start(masakari)
    wait_for_log(caplog, "all domains are compared with what was known")

    libvirtd.kill_daemon()
    libvirtd.qemu(dies.UUIDString()).kill()
    wait_for_log(caplog, "libvirt is away")
    libvirtd.start_daemon()

    wait("the death is told", lambda: masakari.told(dies.UUIDString()))
    libvirtd.qemu(again.UUIDString()).kill()
    wait("events are heard again", lambda: masakari.told(again.UUIDString()))
    assert masakari.told(dies.UUIDString()) == ["LIFECYCLE/STOPPED_FAILED"]
    assert masakari.told(lives.UUIDString()) == []


def test_deaths_while_the_monitor_was_away_are_told_once(libvirtd, start, guest, caplog):
    caplog.set_level("INFO")
    masakari = Masakari()
    early, late, owners = guest(), guest(), guest()
    first = start(masakari)
    wait_for_log(caplog, "all domains are compared with what was known")
    libvirtd.qemu(early.UUIDString()).kill()
    wait("it is told", lambda: masakari.told(early.UUIDString()))

    first.stop()
    libvirtd.qemu(late.UUIDString()).kill()
    owners.destroy()
    wait("libvirt knows", lambda: not late.isActive())
    start(masakari)

    wait("the death is told", lambda: masakari.told(late.UUIDString()))
    assert len(masakari.heard) == 2


def test_libvirtd_that_hangs_wedges_nobody(libvirtd, start, guest, caplog):
    caplog.set_level("INFO")
    masakari = Masakari()
    domain = guest()
    monitor = start(
        masakari,
        **{"libvirt.timeout": 0.5, "libvirt.reconcile_interval": 1, "alarms.silent_age": 1},
    )
    wait_for_log(caplog, "all domains are compared with what was known")
    qemu = libvirtd.qemu(domain.UUIDString())

    libvirtd.signal_daemon(signal.SIGSTOP)
    try:
        wait_for_log(caplog, "no answer within 0.5 s")
        wait_for_log(caplog, "libvirt is still away (connecting to")
        wait_for_log(caplog, "MSK-411 libvirt has not answered")
        qemu.kill()
    finally:
        libvirtd.signal_daemon(signal.SIGCONT)

    wait("the death is told", lambda: masakari.told(domain.UUIDString()))
    assert masakari.told(domain.UUIDString()) == ["LIFECYCLE/STOPPED_FAILED"]
    wait_for_log(caplog, "MSK-411 is over")
    assert monitor.pulse.stalled() == []


def test_qemu_that_is_frozen_hides_no_other(libvirtd, guest):
    frozen, lives = guest().UUIDString(), guest().UUIDString()
    ways = [Hypervisor(libvirtd.uri, CLOCK, timeout_s=1, is_read_only=False) for _ in range(3)]
    agents = LibvirtAgents(*ways, timeout_s=1)
    for way in ways:
        way.connect()
    qemu = libvirtd.qemu(frozen)
    qemu.suspend()
    try:
        for _ in range(8):
            assert agents.activity(frozen) is None

        # libvirt itself gives up after 30 s
        wait("another is told of", lambda: agents.activity(lives) is not None, 10)
        assert agents.ping(lives, is_ill=True) is Answer.ABSENT
    finally:
        qemu.resume()
        for way in ways:
            way.disconnect()


def test_what_masakari_did_not_hear_is_told_in_order_by_the_next_monitor(
    libvirtd, start, guest, caplog
):
    caplog.set_level("INFO")
    masakari = Masakari()
    masakari.is_up = False
    domain = guest()
    first = start(masakari)
    wait_for_log(caplog, "all domains are compared with what was known")
    for n in (1, 2, 3):
        libvirtd.qemu(domain.UUIDString()).kill()
        wait("it died", lambda n=n: len(deaths(caplog, domain)) == n)
        domain.create()
    first.stop()

    masakari.is_up = True
    start(masakari)

    wait("all are told", lambda: len(masakari.heard) == 3)
    times = [notification["generated_time"] for notification in masakari.heard]
    assert times == sorted(times)


def deaths(caplog, domain):
    text = f"{domain.UUIDString()} ({domain.name()}): LIFECYCLE STOPPED_FAILED (told by libvirt)"
    return [r for r in list(caplog.records) if r.getMessage() == text]
