"""The verbs of `cloud.Cloud` as requests to Nova's compute API 2.53 to 2.94."""

import datetime
import urllib.parse
from collections.abc import Mapping, Sequence

from masakari import cloud, errors
from masakari.nova.client import Client, Json

REASON_LIMIT = 255
"""Characters that Nova takes as a reason."""


class NovaCloud:
    """A cloud.Cloud; safe to share between threads.

    Requests are repeated while Nova or Keystone give no usable answer, up to the client's retries.
    Reading, locking, unlocking, enabling, disabling and resetting the state are idempotent and are
    repeated blindly; stopping and starting only after a look at what became of the attempt before;
    evacuating not at all while that is not known.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def confirms_by_migrations(self) -> bool:
        """Nova offers microversion 2.59; the first use asks it."""
        return self._client.microversion >= (2, 59)

    # ---- compute services

    def compute_services(self, host: str | None = None) -> Sequence[cloud.ComputeService]:
        """As Cloud."""
        query = {"binary": "nova-compute", **({"host": host} if host else {})}
        rows = self._client.get("list compute services", _path("/os-services", query))["services"]
        return [_service(row) for row in rows]

    def disable_service(
        self, service: cloud.ComputeService, reason: str, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        self._client.change(
            f"disable the compute service of {service.host}",
            "PUT",
            f"/os-services/{service.id}",
            {"status": "disabled", "disabled_reason": reason[:REASON_LIMIT]},
            leave=leave,
        )

    def enable_service(
        self, service: cloud.ComputeService, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        self._client.change(
            f"enable the compute service of {service.host}",
            "PUT",
            f"/os-services/{service.id}",
            {"status": "enabled"},
            leave=leave,
        )

    # ---- servers

    def servers_on(self, host: str) -> Sequence[cloud.Server]:
        """As Cloud."""
        path = _path("/servers/detail", {"host": host, "all_tenants": "1"})
        action = f"list the servers on {host}"
        rows = self._client.pages(action, path, "servers", lambda row: str(row["id"]))
        servers = [_server(row) for row in rows]
        # Nova leaves a filter out that the user may not use, and tells of the whole cloud
        _require(action, all(s.host == host for s in servers))
        return servers

    def server(self, server_id: str) -> cloud.Server:
        """As Cloud."""
        document = self._client.get(f"show server {server_id}", f"/servers/{server_id}")
        return _server(document["server"])

    def lock(self, server_id: str, reason: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud; the reason is kept from microversion 2.73 on."""
        keeps = self._client.microversion >= (2, 73)
        argument = {"locked_reason": reason[:REASON_LIMIT]} if keeps else None
        self._act("lock", server_id, leave, argument)

    def unlock(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._act("unlock", server_id, leave)

    def reset_state(self, server_id: str, state: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._act("os-resetState", server_id, leave, {"state": state})

    def stop(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._change_power("os-stop", server_id, leave, "powering-off", "stopped")

    def start(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        self._change_power("os-start", server_id, leave, "powering-on", "active")

    # ---- evacuations

    def evacuate(
        self, server_id: str, host: str | None = None, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud: repeated only when Nova certainly has not got the request, or said 429."""

        def is_done() -> bool:
            raise errors.CloudUnavailable(
                service="Nova",
                detail=f"it may or may not evacuate server {server_id} now",
            )

        path = f"/servers/{server_id}/action"
        body = {"evacuate": {"host": host} if host else {}}
        self._client.change(
            f"evacuate server {server_id}", "POST", path, body, done=is_done, leave=leave
        )

    def evacuations(
        self, source: str, since: datetime.datetime | None = None
    ) -> Sequence[cloud.Migration]:
        """As Cloud.  *since* is compared with Nova's clock, which counts whole seconds."""
        query = {"migration_type": "evacuation", "source_compute": source}
        if since is not None:
            if not self.confirms_by_migrations:
                raise errors.CloudRefused(
                    action="list changed evacuations", detail="it needs 2.59", code=400
                )
            query["changes-since"] = since.replace(microsecond=0).isoformat() + "Z"
        action = f"list the evacuations from {source}"
        migrations = self._migrations(action, query)
        _require(action, all(m.source == source for m in migrations))
        return migrations

    def _migrations(self, action: str, query: Mapping[str, str]) -> list[cloud.Migration]:
        rows = self._client.pages(
            action, _path("/os-migrations", query), "migrations", lambda row: str(row["uuid"])
        )
        return sorted((_migration(row) for row in rows), key=lambda m: m.id, reverse=True)

    # ---- within

    def _act(self, name: str, server_id: str, leave: cloud.Leave, argument: Json = None) -> None:
        """One of the actions that may be repeated blindly."""
        path = f"/servers/{server_id}/action"
        self._client.change(
            f"{name} server {server_id}", "POST", path, {name: argument}, leave=leave
        )

    def _change_power(
        self, name: str, server_id: str, leave: cloud.Leave, task_state: str, vm_state: str
    ) -> None:
        def done() -> bool:
            server = self.server(server_id)
            return server.task_state == task_state or server.vm_state == vm_state

        path = f"/servers/{server_id}/action"
        self._client.change(
            f"{name} server {server_id}", "POST", path, {name: None}, done=done, leave=leave
        )


def _require(action: str, is_filtered: bool) -> None:
    """Raise CloudRefused unless Nova has answered what it was asked."""
    if not is_filtered:
        raise errors.CloudRefused(
            action=action, detail="it told of other hosts, too: is our user an admin?", code=403
        )


def _path(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}"


def _service(row: Json) -> cloud.ComputeService:
    """A row of os-services; those of a cell that is down have only a few fields (2.69)."""
    return cloud.ComputeService(
        id=row.get("id", ""),
        host=row["host"],
        status=row["status"],
        state=row.get("state", "unknown"),
        forced_down=row.get("forced_down", False),
        disabled_reason=row.get("disabled_reason"),
        updated_at=row.get("updated_at"),
    )


def _server(row: Json) -> cloud.Server:
    """A row of servers/detail.  Raises CloudUnavailable where Nova could not tell all (2.69)."""
    if "OS-EXT-STS:vm_state" not in row:
        raise errors.CloudUnavailable(
            service="Nova", detail=f"it cannot reach the cell of server {row.get('id')}"
        )
    return cloud.Server(
        id=row["id"],
        name=row["name"],
        host=row.get("OS-EXT-SRV-ATTR:host"),
        vm_state=row["OS-EXT-STS:vm_state"],
        task_state=row["OS-EXT-STS:task_state"],
        power_state=row.get("OS-EXT-STS:power_state") or 0,
        locked=row.get("locked", False),
        locked_reason=row.get("locked_reason"),
        metadata=row.get("metadata") or {},
        project_id=row.get("tenant_id"),
    )


def _migration(row: Json) -> cloud.Migration:
    return cloud.Migration(
        id=row["id"],
        server_id=row["instance_uuid"],
        source=row["source_compute"],
        dest=row["dest_compute"],
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
