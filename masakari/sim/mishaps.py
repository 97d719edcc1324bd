"""The statements about what happens to the cloud; see `phrases`."""

from masakari.sim import named
from masakari.sim.cloud import ApiError, Fault, Outcome
from masakari.sim.records import Vm
from masakari.sim.system import System

LIFE_S = 5.0
"""A guest that crashes after each start lives so long."""


# ---- hosts


def power(system: System, hosts: list[str], state: str) -> None:
    """Cut or restore the power of hosts."""
    for name in hosts:
        change = system.cloud.power_off if state == "off" else system.cloud.power_on
        change(named.host(system, name))


def network(system: System, host: str, state: str) -> None:
    """Cut or heal a host's network; its VMs go on running."""
    name = named.host(system, host)
    (system.cloud.cut_network if state == "cut" else system.cloud.heal_network)(name)


def compute(system: System, host: str, state: str) -> None:
    """Stop or start nova-compute on a host; its VMs go on running."""
    name = named.host(system, host)
    (system.cloud.stop_compute if state == "stopped" else system.cloud.start_compute)(name)


# ---- guests


def crash(
    system: System, vms: list[str], unnoticed: str | None = None, unreported: str | None = None
) -> None:
    """Guests die where they run; Nova notices it soon, the instance monitor at once."""
    for name in vms:
        _crash(system, named.vm(system, name), noticed=not unnoticed, reported=not unreported)


def crash_loop(system: System, vms: list[str], times: float | None = None) -> None:
    """Guests die now and, 5 s after each start, again; each time it is reported."""
    for name in vms:
        vm = named.vm(system, name)
        _crash(system, vm)

        def loop(vm: Vm = vm, left: float | None = times) -> None:
            while left is None or left > 0:
                _await_start(system, vm)
                system.clock.sleep(LIFE_S)
                if vm.id not in system.cloud.vms:
                    return
                system.story.say("sim", f"guest of {vm.name} crashes")
                _crash(system, vm)
                left = None if left is None else left - 1

        system.clock.spawn(loop, name=f"crashes of {name}", group="sim")


def _crash(system: System, vm: Vm, *, noticed: bool = True, reported: bool = True) -> None:
    host = vm.host
    system.cloud.crash(vm.id, noticed=noticed)
    if reported:
        system.instance_monitors.guest_died(vm.id, vm.name, host)


def _await_start(system: System, vm: Vm) -> None:
    while vm.name not in system.cloud.running() and vm.id in system.cloud.vms:
        system.clock.sleep(1)


# ---- Nova


def answers(system: System, code: float, duration: float, verb: str = "*") -> None:
    """Nova answers every request (or one verb of cloud.Cloud) with an HTTP error."""
    now = system.clock.monotonic()
    system.cloud.add_fault(
        Fault(named.verb(verb), error=int(code), times=None, start=now, until=now + duration)
    )


def answers_times(system: System, code: float, times: float, verb: str) -> None:
    """Nova answers the next requests of one verb of cloud.Cloud with an HTTP error."""
    system.cloud.add_fault(Fault(named.verb(verb), error=int(code), times=int(times)))


def fails(system: System, what: str, vms: list[str], times: float = 1) -> None:
    """The next evacuations, migrations, starts or stops of VMs are accepted, and fail."""
    for name in vms:
        server = named.vm(system, name).name
        fault = Fault(VERBS[what], server=server, times=int(times), outcome=Outcome.FAIL)
        system.cloud.add_fault(fault)


def hangs(system: System, what: str, vms: list[str]) -> None:
    """The next evacuation or migration of each VM never ends."""
    for name in vms:
        server = named.vm(system, name).name
        system.cloud.add_fault(Fault(VERBS[what], server=server, outcome=Outcome.HANG))


def takes(system: System, what: str, vms: list[str], duration: float) -> None:
    """The evacuation, migration, start or stop of VMs takes so many seconds."""
    for name in vms:
        server = named.vm(system, name).name
        system.cloud.add_fault(Fault(VERBS[what], server=server, times=None, duration_s=duration))


VERBS = {"evacuation": "evacuate", "migration": "migrate", "start": "start", "stop": "stop"}


# ---- people


def owner(system: System, action: str, vms: list[str]) -> None:
    """Their owner does something to VMs."""
    for name in vms:
        try:
            system.cloud.owner_action(named.vm(system, name).id, action.removesuffix("s"))
        except ApiError as e:
            system.story.say("nova", f"refuses: {e}")


def evacuated_by_hand(system: System, vms: list[str]) -> None:
    """An operator has Nova evacuate VMs, and answers for the host being dead."""
    for name in vms:
        vm = named.vm(system, name)
        system.cloud.ledger.proof(vm.host, system.clock.now())
        system.cloud.evacuate(vm.id)


def switch_service(system: System, action: str, hosts: list[str]) -> None:
    """An operator disables or enables the compute service of hosts."""
    for name in hosts:
        (service,) = system.cloud.compute_services(named.host(system, name))
        if action == "disables":
            system.cloud.disable_service(service, "by an operator")
        else:
            system.cloud.enable_service(service)
