"""Guest heartbeats with a real Linux guest and its real agent."""

import contextlib
import signal

import pytest

from masakari.monitors import instancemonitor
from masakari.tests.functional.monitors.test_instances import CLOCK, Masakari, Monitor, wait
from masakari.tests.functional.world import libvirtd as world
from masakari.tests.functional.world import linux_guest

pytestmark = pytest.mark.functional

AGENT_ERROR = ["QEMU_GUEST_AGENT_ERROR/STOPPED_FAILED"]
PANIC = "echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger"


FREEZE = "kill -STOP $(pidof qemu-ga)"
OURS = "agent says garbage, and megabytes"
WRITE = "while :; do dd if=/dev/zero of=/dev/vda bs=4096 count=1 conv=fsync; sleep 0.5; done"


def inside(command):
    return lambda _libvirtd, domain: linux_guest.execute(domain, command)


def go_bad(_libvirtd, domain):
    linux_guest.go_bad(domain)


MATRIX = {
    "panicked": ("heartbeat-io", inside(PANIC), AGENT_ERROR),
    "agent frozen": ("heartbeat", inside(FREEZE), AGENT_ERROR),
    "agent frozen, not watched": ("off", inside(FREEZE), []),
    "agent frozen, guest writes": ("heartbeat-io", inside(f"{WRITE} & {FREEZE}"), []),
    OURS: ("heartbeat", go_bad, AGENT_ERROR),
    "agent stopped": ("heartbeat", inside("kill $(pidof qemu-ga)"), []),
    "reboots": ("heartbeat-io", inside("reboot -f"), []),
    "paused": ("heartbeat", lambda _, domain: domain.suspend(), []),
    "QEMU frozen": (
        "heartbeat-io",
        lambda libvirtd, domain: libvirtd.qemu(domain.UUIDString()).send_signal(signal.SIGSTOP),
        AGENT_ERROR,
    ),
    "lives": ("heartbeat", lambda _libvirtd, _domain: None, []),
}
OPTIONS = {
    "introspectiveinstancemonitor.guest_monitoring_interval": 1,
    "introspectiveinstancemonitor.guest_monitoring_timeout": 2,
    "introspectiveinstancemonitor.guest_monitoring_failure_threshold": 2,
    "introspectiveinstancemonitor.io_silence": 15,
    "introspectiveinstancemonitor.most_silent": 1,
    "libvirt.timeout": 5,
    "libvirt.reconcile_interval": 2,
}
MONITORS = {
    "introspective": (instancemonitor.GUESTS, False),
    "instances, guests asked": (instancemonitor.INSTANCES, True),
    "instances": (instancemonitor.INSTANCES, False),
}
"""{case: (program, [instance] guest_heartbeats)}"""
ASK = ("introspective", "instances, guests asked")
REPORTED_WITHIN_S = 90
QUIET_S = 6.0


@pytest.fixture
def told(libvirtd, tmp_path_factory):
    """{monitor: {case: what was told}}, all at once, of the same guests, as they are dear."""
    if reason := linux_guest.missing():
        pytest.skip(reason)
    kernel, initrd = linux_guest.build(tmp_path_factory.mktemp("guest"))
    told_by = {monitor: Masakari() for monitor in MONITORS}
    connection = libvirtd.connect()
    domains = {}
    monitors = []
    try:
        for n, (case, (kind, _, _)) in enumerate(MATRIX.items()):
            domains[case] = connection.defineXML(
                world.xml(
                    f"instance-{n:08x}",
                    mem=linux_guest.MEMORY_MIB,
                    kernel=(kernel, initrd, "quiet agent=ours" if case == OURS else "quiet"),
                    disk=libvirtd.image("halt"),
                    agent=True,
                    panic=False,
                    kind=kind,
                )
            )
            domains[case].create()
        for monitor, (name, are_asked) in MONITORS.items():
            directory = tmp_path_factory.mktemp("monitor")
            options = {**OPTIONS, "instance.guest_heartbeats": are_asked}
            monitors.append(
                Monitor(directory, libvirtd.uri, told_by[monitor], name=name, **options)
            )
        for domain in domains.values():
            wait("its agent answers", lambda domain=domain: answers(domain), 120)
        asked_at = CLOCK.monotonic()
        wait("all were asked", lambda: CLOCK.monotonic() - asked_at > 5)
        for case, (_, act, _) in MATRIX.items():
            act(libvirtd, domains[case])
        expected = sum(bool(events) for _, _, events in MATRIX.values())
        wait(
            "the dead are told",
            lambda: all(len(told_by[monitor].heard) >= expected for monitor in ASK),
            REPORTED_WITHIN_S,
        )
        told_at = CLOCK.monotonic()
        wait("nobody else is", lambda: CLOCK.monotonic() - told_at > QUIET_S)
        found = {
            name: {case: masakari.told(domain.UUIDString()) for case, domain in domains.items()}
            for name, masakari in told_by.items()
        }
        assert [monitor.pulse.stalled() for monitor in monitors] == [[]] * len(monitors)
    finally:
        end(libvirtd, monitors, domains.values())
        connection.close()
    return found


def end(libvirtd, monitors, domains):
    for monitor in monitors:
        monitor.stop()
    for domain in domains:
        with contextlib.suppress(AssertionError):
            libvirtd.qemu(domain.UUIDString()).kill()
    for domain in domains:
        domain.undefine()


def answers(domain):
    import libvirt
    import libvirt_qemu

    with contextlib.suppress(libvirt.libvirtError):
        libvirt_qemu.qemuAgentCommand(domain, '{"execute": "guest-ping"}', 2, 0)
        return True
    return False


def test_guest_that_is_dead_is_told_and_no_other(told):
    expected = {case: events for case, (_, _, events) in MATRIX.items()}
    silent = {case: [] for case in MATRIX}
    assert told == {"instances": silent, **dict.fromkeys(ASK, expected)}
