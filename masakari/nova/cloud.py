"""The verbs of `cloud.Cloud` as requests to Nova's compute API 2.53 to 2.94."""

import datetime
import urllib.parse
from collections.abc import Callable, Mapping, Sequence

from masakari import cloud, errors
from masakari.nova import rows
from masakari.nova.client import Client, Json

REASON_LIMIT = 255
"""Characters that Nova takes as a reason."""


class NovaCloud:
    """A cloud.Cloud; safe to share between threads.

    Requests are repeated while Nova or Keystone give no usable answer, up to the client's retries.
    Reading, locking, unlocking, enabling, disabling and resetting the state are idempotent and are
    repeated blindly; evacuating not at all while it is not known what became of the attempt before;
    everything else only after a look at that.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def user_id(self) -> str | None:
        """As Cloud; the first use asks Keystone, unless there is a token already."""
        return self._client.user_id

    @property
    def confirms_by_migrations(self) -> bool:
        """Nova offers microversion 2.59; the first use asks it."""
        return self._client.microversion >= (2, 59)

    # ---- compute services

    def compute_services(self, host: str | None = None) -> Sequence[cloud.ComputeService]:
        """As Cloud."""
        query = {"binary": "nova-compute", **({"host": host} if host else {})}
        return self._client.get(
            "list compute services",
            _path("/os-services", query),
            lambda document: [rows.service(row) for row in document["services"]],
        )

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
        servers = list(self._client.pages(action, path, "servers", rows.server, "id"))
        # Nova leaves a filter out that the user may not use, and tells of the whole cloud
        _require(action, all(s.host == host for s in servers))
        return servers

    def server(self, server_id: str) -> cloud.Server:
        """As Cloud."""
        return self._client.get(
            f"show server {server_id}",
            f"/servers/{server_id}",
            lambda document: rows.server(document["server"]),
        )

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

    def actions(self, server_id: str) -> Sequence[cloud.Action]:
        """As Cloud.  Before 2.58 Nova tells of all."""
        path = f"/servers/{server_id}/os-instance-actions"
        if self._client.microversion >= (2, 58):
            path = _path(path, {"limit": str(cloud.ACTIONS_LIMIT)})
        return self._client.get(
            f"list what was done to server {server_id}",
            path,
            lambda document: [rows.action(row) for row in document["instanceActions"]],
        )

    def reboot(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""
        before = self.server(server_id).vm_state

        def is_done() -> bool:
            return cloud.is_rebooted(before, self.server(server_id))

        self._act("reboot", server_id, leave, {"type": "HARD"}, done=is_done)

    # ---- cold migrations

    def has_unconfirmed_move(self, server_id: str) -> bool:
        """As Cloud."""
        action = f"list the migrations of server {server_id}"
        query = {"instance_uuid": server_id, "status": "finished"}
        migrations = self._migrations(action, query)
        _require(action, all(m.server_id == server_id for m in migrations))
        return any(m.status == "finished" for m in migrations)

    def migrate(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud.

        Where an answer was lost and the server shows no trace of a migration, it is asked for
        again: if the first request is on its way yet, Nova refuses one of the two, because it sets
        task_state in one step with the check that it is null (resize in compute/api.py,
        save(expected_task_state=[None])).
        """
        before = self.server(server_id).host

        def is_done() -> bool:
            return cloud.is_migrated(before, self.server(server_id))

        self._act("migrate", server_id, leave, done=is_done)

    def confirm_resize(self, server_id: str, *, leave: cloud.Leave = cloud.freely) -> None:
        """As Cloud."""

        def is_done() -> bool:
            return self.server(server_id).vm_state != "resized"

        try:
            self._act("confirmResize", server_id, leave, done=is_done)
        except errors.CloudRefused as refused:
            # "Instance has not been resized.": its migration is not `finished`, but `confirming`
            # since an earlier request (confirm_resize in compute/api.py), maybe ours.
            if refused.details["code"] != 400:
                raise

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
        path = _path("/os-migrations", query)
        found = self._client.pages(action, path, "migrations", rows.migration, "uuid")
        return sorted(found, key=lambda m: m.id, reverse=True)

    # ---- aggregates

    def aggregates(self) -> Sequence[cloud.Aggregate]:
        """As Cloud; they come in one answer, however many there are."""
        return self._client.get(
            "list aggregates",
            "/os-aggregates",
            lambda document: [rows.aggregate(row) for row in document["aggregates"]],
        )

    def add_to_aggregate(
        self, aggregate: cloud.Aggregate, host: str, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        self._client.change(
            f"add host {host} to aggregate {aggregate.name}",
            "POST",
            f"/os-aggregates/{aggregate.id}/action",
            {"add_host": {"host": host}},
            done=lambda: self._is_member(aggregate, host),
            leave=leave,
        )

    def remove_from_aggregate(
        self, aggregate: cloud.Aggregate, host: str, *, leave: cloud.Leave = cloud.freely
    ) -> None:
        """As Cloud."""
        try:
            self._client.change(
                f"remove host {host} from aggregate {aggregate.name}",
                "POST",
                f"/os-aggregates/{aggregate.id}/action",
                {"remove_host": {"host": host}},
                done=lambda: not self._is_member(aggregate, host),
                leave=leave,
            )
        except (errors.CloudNotFound, errors.CloudConflict):
            # 404 where it is no member, and even 409 where its VMs are in another zone: that is
            # what Nova checks first (remove_host_from_aggregate in compute/api.py).
            if self._is_member(aggregate, host):
                raise

    def _is_member(self, aggregate: cloud.Aggregate, host: str) -> bool:
        return any(host in a.hosts for a in self.aggregates() if a.id == aggregate.id)

    # ---- within

    def _act(
        self,
        name: str,
        server_id: str,
        leave: cloud.Leave,
        argument: Json = None,
        *,
        done: Callable[[], bool] = lambda: False,
    ) -> None:
        """An action on the server; without *done* one that may be repeated blindly."""
        path = f"/servers/{server_id}/action"
        self._client.change(
            f"{name} server {server_id}", "POST", path, {name: argument}, done=done, leave=leave
        )

    def _change_power(
        self, name: str, server_id: str, leave: cloud.Leave, task_state: str, vm_state: str
    ) -> None:
        def done() -> bool:
            server = self.server(server_id)
            return server.task_state == task_state or server.vm_state == vm_state

        self._act(name, server_id, leave, done=done)


def _require(action: str, is_filtered: bool) -> None:
    """Raise CloudRefused unless Nova has answered what it was asked."""
    if not is_filtered:
        raise errors.CloudRefused(
            action=action, detail="it told of others, too: is our user an admin?", code=403
        )


def _path(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}"
