"""POST /servers/{id}/action: bodies, versions and rights in front of `ComputeApi`."""

from collections.abc import Callable

from masakari.sim.cloud import SimCloud
from masakari.sim.faults import ApiError
from masakari.sim.guards import Policy
from masakari.sim.keystone import Token
from masakari.sim.wire import Json, Response

Version = tuple[int, int]

RULES = {
    "confirmResize": ("servers:confirm_resize", "member"),
    "evacuate": ("os-evacuate", "admin"),
    "lock": ("os-lock-server:lock", "member"),
    "migrate": ("os-migrate-server:migrate", "manager"),
    "os-resetState": ("os-admin-actions:reset_state", "admin"),
    "os-start": ("servers:start", "member"),
    "os-stop": ("servers:stop", "member"),
    "reboot": ("servers:reboot", "member"),
    "unlock": ("os-lock-server:unlock", "member"),
}
"""{action: (its rule, role in the server's project by default)}; an admin may do everything."""


def act(
    cloud: SimCloud,
    policy: Policy,
    server_id: str,
    body: Json,
    *,
    token: Token,
    version: Version,
) -> Response:
    """The action that *body* names is accepted."""
    ((name, argument),) = body.items()
    api, asked, user = cloud.api, argument or {}, token.user
    if name not in RULES:
        raise ApiError(400, f"There is no such action: {name}")
    _check_properties(name, asked, version)
    _check_rights(cloud, policy, server_id, name, token)
    acts: dict[str, Callable[[], None]] = {
        "confirmResize": lambda: api.confirm_resize(server_id, user),
        "evacuate": lambda: api.evacuate(server_id, asked.get("host"), version, user),
        "lock": lambda: api.lock(server_id, asked.get("locked_reason"), user),
        "migrate": lambda: api.migrate(server_id, user),
        "os-resetState": lambda: api.reset_state(server_id, asked["state"], user),
        "os-start": lambda: api.start(server_id, user),
        "os-stop": lambda: api.stop(server_id, user),
        "reboot": lambda: api.reboot(server_id, user),
        "unlock": lambda: api.unlock(server_id, user),
    }
    acts[name]()
    if name == "confirmResize":
        return Response(204)
    if name == "evacuate":
        return Response(200, None if version >= (2, 14) else {"adminPass": "x"})
    return Response(202)


def _check_rights(cloud: SimCloud, policy: Policy, server_id: str, name: str, token: Token) -> None:
    """Return if the token's user may do that, or there is no such server, which is told later."""
    vm = cloud.vms.get(server_id)
    if vm is None:
        return
    if not token.is_admin and vm.project != token.project:
        raise ApiError(404, f"Instance {server_id} could not be found.")
    rule, role = RULES[name]
    policy.check(rule, token.is_admin or role in token.roles)


def _check_properties(name: str, asked: Json, version: Version) -> None:
    """Return if Nova knows what is asked for; it does nothing by halves."""
    known = {
        "evacuate": {"host", "adminPass"}
        | (set() if version >= (2, 14) else {"onSharedStorage"})
        | ({"force"} if (2, 29) <= version < (2, 68) else set()),
        "lock": {"locked_reason"} if version >= (2, 73) else set(),
        "os-resetState": {"state"},
        "reboot": {"type"},
    }
    unknown = set(asked) - known.get(name, set())
    if name == "reboot" and asked.get("type") != "HARD":
        raise ApiError(400, "Only hard reboots are simulated.")
    if unknown:
        raise ApiError(400, f"Additional properties are not allowed: {sorted(unknown)}")
