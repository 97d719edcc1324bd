"""Who may do what, and which states of a VM allow it: Nova's refusals, as its API words them."""

from collections.abc import Collection

from masakari.sim.faults import ApiError
from masakari.sim.records import Vm


def check_state(vm: Vm, action: str, vm_states: Collection[str], *, any_task: bool = False) -> None:
    """Return if the VM is in one of *vm_states* without a task, and was launched once.

    Nova: check_instance_state in compute/api.py, raise_http_conflict_for_instance_invalid_state
    in api/openstack/common.py.
    """
    for attribute, value, right in (
        ("vm_state", vm.vm_state, vm.vm_state in vm_states),
        ("task_state", vm.task_state, any_task or vm.task_state is None),
    ):
        if not right:
            raise ApiError(
                409, f"Cannot '{action}' instance {vm.id} while it is in {attribute} {value}"
            )
    if not vm.launched:
        raise ApiError(409, f"Instance {vm.id} is in an invalid state for '{action}'")


def check_service(is_up: bool) -> None:
    """Return if the service that must take part is up.

    Nova: check_instance_host in compute/api.py, which does not name the host.
    """
    if not is_up:
        raise ApiError(409, "Service is unavailable at this time.")


class Policy:
    """Nova's rules with their defaults; a real one's policy file may say otherwise.

    A request is validated first; then a server is looked up, and hidden from other projects; only
    then the rule decides.  What is no server's is decided before anything is looked up.
    """

    def __init__(self) -> None:
        self.denied: set[str] = set()
        """Rules that nobody fulfils, e.g. os_compute_api:os-evacuate."""

    def check(self, rule: str, is_allowed: bool) -> None:
        """Return if who asks may do it; *rule* without its prefix."""
        name = f"os_compute_api:{rule}"
        if not is_allowed or name in self.denied:
            raise ApiError(403, f"Policy doesn't allow {name} to be performed.")
