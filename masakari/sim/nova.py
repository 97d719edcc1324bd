"""Nova's compute API v2.1 over HTTP: paths, fields and versions in front of `ComputeApi`."""

import datetime
import re
import uuid
from collections.abc import Callable
from typing import TypeVar

from masakari.sim import nova_actions, nova_rows
from masakari.sim.cloud import SimCloud
from masakari.sim.faults import ApiError
from masakari.sim.guards import Policy
from masakari.sim.keystone import Keystone, Token
from masakari.sim.records import NAMESPACE, Vm
from masakari.sim.wire import Json, Request, Response

T = TypeVar("T")
Version = tuple[int, int]

ERROR_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
    429: "overLimit",
    500: "computeFault",
    503: "serviceUnavailable",
}


class Nova:
    """Answers what stands behind `/compute`."""

    def __init__(self, cloud: SimCloud, keystone: Keystone, base_url: str) -> None:
        self._cloud = cloud
        self._keystone = keystone
        self._direct_url = base_url
        self.policy = Policy()

    @property
    def _base_url(self) -> str:
        return self._keystone.nova_base_url or self._direct_url

    def answer(self, request: Request, path: str) -> Response:
        """Route a request; *path* is what follows `/compute`."""
        try:
            if path in ("/", "/v2.1"):
                return self._versions(path)
            token = self._keystone.holder(request.headers.get("x-auth-token"))
            if token is None:
                return Response(401, {"error": {"code": 401, "message": "Authentication required"}})
            version = self._version(request)
            response = self._route(request, path.removeprefix("/v2.1").strip("/"), token, version)
            stated = f"{version[0]}.{version[1]}"
            return Response(
                response.status,
                response.document,
                {
                    "OpenStack-API-Version": f"compute {stated}",
                    "X-OpenStack-Nova-API-Version": stated,
                    **response.headers,
                },
            )
        except ApiError as error:
            return _fault(error)
        except (KeyError, TypeError, ValueError) as error:
            return _fault(ApiError(400, f"Malformed request: {error!r}"))

    # ---- versions

    def _versions(self, path: str) -> Response:
        settings = self._cloud.settings
        document = {
            "id": "v2.1",
            "status": "CURRENT",
            "version": "{}.{}".format(*settings.max_microversion),
            "min_version": "{}.{}".format(*settings.min_microversion),
            "updated": "2013-07-23T11:33:21Z",
            "links": [{"rel": "self", "href": f"{self._base_url}/compute/v2.1/"}],
        }
        return Response(200, {"versions": [document]} if path == "/" else {"version": document})

    def _version(self, request: Request) -> Version:
        settings = self._cloud.settings
        wanted = request.headers.get("openstack-api-version", "").strip()
        if wanted.startswith("compute "):
            wanted = wanted.split()[-1]
        else:
            wanted = request.headers.get("x-openstack-nova-api-version", "2.1")
        if wanted == "latest":
            return settings.max_microversion
        match = re.fullmatch(r"(\d+)\.(\d+)", wanted)
        if match is None:
            raise ApiError(400, f"API Version String {wanted} is of invalid format.")
        version = int(match[1]), int(match[2])
        if not settings.min_microversion <= version <= settings.max_microversion:
            raise ApiError(406, f"Version {wanted} is not supported by the API.")
        return version

    # ---- routes

    def _route(self, request: Request, path: str, token: Token, version: Version) -> Response:
        parts = path.split("/")
        routes: dict[tuple[str, str], Callable[[], Response]] = {
            ("GET", "os-services"): lambda: self._services(request, token, version),
            ("PUT", "os-services/*"): lambda: self._put_service(request, parts, token, version),
            ("GET", "servers"): lambda: self._servers(request, token, version, _brief),
            ("GET", "servers/*"): lambda: self._server(request, parts, token, version),
            ("POST", "servers/*/action"): lambda: nova_actions.act(
                self._cloud,
                self.policy,
                parts[1],
                request.json(),
                token=token,
                version=version,
            ),
            ("GET", "servers/*/os-instance-actions"): lambda: self._actions(
                request, parts, token, version
            ),
            ("GET", "os-migrations"): lambda: self._migrations(request, token, version),
            ("GET", "os-aggregates"): lambda: self._aggregates(token, version),
            ("POST", "os-aggregates/*/action"): lambda: self._change_aggregate(
                request, parts, token, version
            ),
            ("GET", "os-hypervisors"): self._hypervisors,
            ("GET", "os-hypervisors/*"): self._hypervisors,
        }
        shape = "/".join([parts[0], *["*" for _ in parts[1:2]], *parts[2:]])
        route = routes.get((request.method, shape))
        if route is None:
            raise ApiError(404, "The resource could not be found.")
        return route()

    def _services(self, request: Request, token: Token, version: Version) -> Response:
        self.policy.check("os-services:list", token.is_admin)
        if request.query.get("binary", "nova-compute") != "nova-compute":
            return Response(200, {"services": []})
        rows = self._cloud.api.services(
            lambda host: nova_rows.service(self._cloud, host, version),
            request.query.get("host") or None,
        )
        return Response(200, {"services": rows})

    def _put_service(
        self, request: Request, parts: list[str], token: Token, version: Version
    ) -> Response:
        self.policy.check("os-services:update", token.is_admin)
        if version < (2, 53):
            raise ApiError(404, "Unknown action")
        body = request.json()
        row = self._cloud.api.update_service(
            lambda host: nova_rows.service(self._cloud, host, version),
            parts[1],
            status=body.get("status"),
            reason=body.get("disabled_reason"),
            forced_down=body.get("forced_down"),
        )
        return Response(200, {"service": row})

    def _server(
        self, request: Request, parts: list[str], token: Token, version: Version
    ) -> Response:
        if parts[1] == "detail":
            return self._servers(request, token, version, self._full)
        row = self._cloud.api.server(
            lambda vm: nova_rows.server(self._cloud, vm, version), parts[1]
        )
        if not token.is_admin and row["tenant_id"] != token.project_id:
            raise ApiError(404, f"Instance {parts[1]} could not be found.")
        self.policy.check("servers:show", is_allowed=True)
        return Response(200, {"server": row})

    def _servers(
        self,
        request: Request,
        token: Token,
        version: Version,
        render: Callable[[Vm, Version], Json],
    ) -> Response:
        query = request.query
        everyones = query.get("all_tenants", "0").lower() in ("1", "true", "")
        if everyones:
            self.policy.check("servers:detail:get_all_tenants", token.is_admin)
        may_filter = "os_compute_api:servers:allow_all_filters" not in self.policy.denied
        host = query.get("host") if token.is_admin and may_filter else None
        rows, more = self._cloud.api.servers(
            lambda vm: render(vm, version),
            host=host,
            project=None if everyones else token.project,
            limit=int(query["limit"]) if "limit" in query else None,
            marker=query.get("marker"),
        )
        document = {"servers": rows}
        if more:
            document["servers_links"] = [self._next(request, rows[-1]["id"])]
        return Response(200, document)

    def _actions(
        self, request: Request, parts: list[str], token: Token, version: Version
    ) -> Response:
        server_id = parts[1]
        if not token.is_admin:
            self._server(request, parts[:2], token, version)
        self.policy.check("os-instance-actions:list", is_allowed=True)
        rows = self._cloud.api.actions(
            lambda done: nova_rows.action(done, server_id, version),
            server_id,
            int(request.query["limit"]) if "limit" in request.query else None,
        )
        return Response(200, {"instanceActions": rows})

    def _aggregates(self, token: Token, version: Version) -> Response:
        self.policy.check("os-aggregates:index", token.is_admin)
        rows = self._cloud.api.aggregates(lambda group: nova_rows.aggregate(group, version))
        return Response(200, {"aggregates": rows})

    def _change_aggregate(
        self, request: Request, parts: list[str], token: Token, version: Version
    ) -> Response:
        ((name, argument),) = request.json().items()
        api = self._cloud.api
        verbs = {"add_host": api.add_host, "remove_host": api.remove_host}
        if name not in verbs:
            raise ApiError(400, f"There is no such action: {name}")
        self.policy.check(f"os-aggregates:{name}", token.is_admin)
        row = verbs[name](
            lambda group: nova_rows.aggregate(group, version), int(parts[1]), argument["host"]
        )
        return Response(200, {"aggregate": row})

    def _migrations(self, request: Request, token: Token, version: Version) -> Response:
        self.policy.check("os-migrations:index", token.is_admin or "manager" in token.roles)
        self.policy.check("os-migrations:index:all_projects", token.is_admin)
        query, pages = request.query, version >= (2, 59)
        since = query.get("changes-since") if pages else None
        rows, more = self._cloud.api.migrations(
            lambda move: nova_rows.migration(self._cloud, move, version),
            kind=query.get("migration_type"),
            source=query.get("source_compute"),
            server_id=query.get("instance_uuid"),
            status=query.get("status"),
            since=_utc(since) if since else None,
            limit=int(query["limit"]) if "limit" in query else None,
            marker=query.get("marker"),
            paged=pages,
        )
        document = {"migrations": rows}
        if more and pages:
            document["migrations_links"] = [self._next(request, rows[-1]["uuid"])]
        return Response(200, document)

    def _hypervisors(self) -> Response:
        rows = self._cloud.api.services(
            lambda host: {
                "id": str(uuid.uuid5(NAMESPACE, f"node-{host.node}")),
                "hypervisor_hostname": host.node,
                "hypervisor_type": "QEMU",
                "host_ip": "127.0.0.1",
                "state": "up" if self._cloud.is_up(host) else "down",
                "status": "disabled" if host.disabled else "enabled",
                "service": {
                    "id": host.service_id,
                    "host": host.name,
                    "disabled_reason": host.disabled_reason,
                },
            }
        )
        return Response(200, {"hypervisors": rows})

    def _full(self, vm: Vm, version: Version) -> Json:
        return nova_rows.server(self._cloud, vm, version)

    def _next(self, request: Request, marker: str) -> Json:
        kept = {k: v for k, v in request.query.items() if k != "marker"}
        query = "&".join(f"{k}={v}" for k, v in {**kept, "marker": marker}.items())
        return {"rel": "next", "href": f"{self._base_url}{request.path}?{query}"}


def _brief(vm: Vm, version: Version) -> Json:
    return {"id": vm.id, "name": vm.name, "links": []}


def _fault(error: ApiError) -> Response:
    """An error as Nova words it; code 0 cuts the connection."""
    if error.code == 200:
        return Response(200, text=error.message)
    key = ERROR_KEYS.get(error.code, "computeFault")
    headers = {} if error.retry_after_s is None else {"Retry-After": f"{error.retry_after_s:g}"}
    return Response(error.code, {key: {"code": error.code, "message": error.message}}, headers)


def _utc(text: str) -> datetime.datetime:
    """ISO 8601 as Nova reads it; a time without a zone is UTC."""
    moment = datetime.datetime.fromisoformat(text.replace(" ", "+"))
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)
