"""Rows of Nova's lists as the records of `cloud`.

Whoever reads a row that is none gets a LookupError, TypeError, ValueError or AttributeError.
"""

import datetime

from masakari import cloud, errors
from masakari.nova.client import Json


def service(row: Json) -> cloud.ComputeService:
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


def server(row: Json) -> cloud.Server:
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
        user_id=row.get("user_id"),
        boots_from_volume=row.get("image") == "",
    )


def action(row: Json) -> cloud.Action:
    """A row of os-instance-actions."""
    return cloud.Action(
        name=row["action"],
        user_id=row["user_id"],
        started_at=_utc(row["start_time"]),
        request_id=row["request_id"],
        message=row["message"],
    )


def aggregate(row: Json) -> cloud.Aggregate:
    """A row of os-aggregates."""
    return cloud.Aggregate(
        id=row["id"],
        name=row["name"],
        hosts=tuple(row["hosts"]),
        availability_zone=row["availability_zone"],
        metadata=row["metadata"],
    )


def migration(row: Json) -> cloud.Migration:
    """A row of os-migrations."""
    return cloud.Migration(
        id=row["id"],
        server_id=row["instance_uuid"],
        source=row["source_compute"],
        dest=row["dest_compute"],
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _utc(text: str) -> datetime.datetime:
    """A time of Nova's as UTC, naive; without a zone it is UTC."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)
