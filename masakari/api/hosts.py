"""Hosts: members of failover segments."""

import logging
from collections.abc import Callable

from masakari import db, errors
from masakari.api import fields, filters, replies, segments
from masakari.api.announcements import announced
from masakari.api.fields import Json
from masakari.api.operation import operation
from masakari.api.request import Request
from masakari.api.versions import Version
from masakari.db.models import Host
from masakari.errors import (
    CloudForbidden,
    CloudUnavailable,
    ComputeServiceNotFound,
    HostExists,
    HostNotFound,
    SegmentNotFound,
    SegmentUnderRecovery,
)

LOG = logging.getLogger(__name__)

RULE = "os_masakari_api:os-hosts:"

_COLLECTION = "/segments/{segment_id}/hosts"
_MEMBER = "/segments/{segment_id}/hosts/{host_id}"

_FIELDS: dict[str, fields.Schema] = {
    "name": fields.NAME | {"examples": ["compute1"]},
    "type": fields.HOST_TYPE | {"examples": ["COMPUTE"]},
    "control_attributes": fields.TEXT | {"examples": ["SSH"]},
    "reserved": fields.BOOLEAN,
    "on_maintenance": fields.BOOLEAN,
}
_FLAGS = ("reserved", "on_maintenance")

CREATE = {
    (1, 0): fields.enveloped("host", _FIELDS, required=("name", "type", "control_attributes"))
}
UPDATE = {(1, 0): fields.enveloped("host", _FIELDS, at_least=1)}

HOST = replies.record(
    "Host",
    {
        "id": replies.ID,
        "uuid": replies.UUID,
        "name": replies.TEXT | {"examples": ["compute1"]},
        "failover_segment_id": replies.UUID,
        "failover_segment": segments.SEGMENT,
        "type": replies.TEXT | {"examples": ["COMPUTE"]},
        "reserved": replies.FLAG,
        "control_attributes": replies.TEXT | {"examples": ["SSH"]},
        "on_maintenance": replies.FLAG,
        **replies.ROW,
    },
)
FILTERS = {
    "type": filters.TEXT,
    "on_maintenance": filters.FLAG,
    "reserved": filters.FLAG,
    "name": filters.TEXT,
    "control_attributes": filters.TEXT,
}
_OF_NOVA = (ComputeServiceNotFound, CloudForbidden, CloudUnavailable)


def shape(row: Host, segment: Json) -> Json:
    """A host as replies show it, with its whole segment inside."""
    return {
        "id": row.id,
        "uuid": row.uuid,
        "name": row.name,
        "failover_segment_id": row.failover_segment_id,
        "failover_segment": segment,
        "type": row.type,
        "reserved": row.reserved,
        "control_attributes": row.control_attributes,
        "on_maintenance": row.on_maintenance,
        "created_at": fields.stamp(row.created_at),
        "updated_at": fields.stamp(row.updated_at),
        "deleted_at": fields.stamp(row.deleted_at),
        "deleted": bool(row.deleted),
    }


@operation(
    "GET",
    _COLLECTION,
    rule=RULE + "index",
    filters=FILTERS,
    sort_keys=db.hosts.SORT_KEYS,
    answer=replies.many("hosts", HOST),
    faults=[SegmentNotFound],
)
def index(req: Request, wanted: Json, segment_id: str) -> Json:
    """List the hosts of a segment."""
    page = req.page()
    segment, rows = db.hosts.page(req.database, segment_id, page, **wanted)
    of_all = {"failover_segment": segments.shape(segment, req.version)}
    return req.collection("hosts", page, [row | of_all for row in rows])


@operation(
    "POST",
    _COLLECTION,
    rule=RULE + "create",
    body=CREATE,
    status=201,
    answer=replies.one("host", HOST),
    faults=[SegmentNotFound, HostExists, *_OF_NOVA],
)
def create(req: Request, body: Json, segment_id: str) -> Json:
    """Register a compute host in a segment."""
    wanted = fields.booleans(body["host"], *_FLAGS)
    segment = db.segments.get(req.database, segment_id)  # 404 before Nova is asked
    _require_service(req, wanted["name"])
    given = {**dict.fromkeys(_FLAGS, False), "failover_segment": segment, **wanted}
    with announced(req, "host.create", given) as change:
        row = change.made(db.hosts.create(req.database, segment_id, **wanted))
    LOG.info("host %s created in segment %s: %s", row.uuid, segment_id, fields.told(wanted))
    return {"host": _shape(row, req.version)}


@operation(
    "GET",
    _MEMBER,
    rule=RULE + "detail",
    answer=replies.one("host", HOST),
    faults=[SegmentNotFound, HostNotFound],
)
def show(req: Request, segment_id: str, host_id: str) -> Json:
    """Show a host."""
    return {"host": _shape(db.hosts.get(req.database, segment_id, host_id), req.version)}


@operation(
    "PUT",
    _MEMBER,
    rule=RULE + "update",
    body=UPDATE,
    answer=replies.one("host", HOST),
    faults=[SegmentNotFound, HostNotFound, HostExists, SegmentUnderRecovery, *_OF_NOVA],
)
def update(req: Request, body: Json, segment_id: str, host_id: str) -> Json:
    """Change a host."""
    changes = fields.booleans(body["host"], *_FLAGS)
    if "name" in changes:
        present = db.hosts.get(req.database, segment_id, host_id)
        if changes["name"] != present.name:
            _require_service(req, changes["name"])
    with announced(req, "host.update", changes, _getting(req, segment_id, host_id)) as change:
        row = change.made(db.hosts.update(req.database, segment_id, host_id, changes))
    LOG.info("host %s (%s) changed: %s", row.uuid, row.name, fields.told(changes))
    return {"host": _shape(row, req.version)}


@operation(
    "DELETE",
    _MEMBER,
    rule=RULE + "delete",
    status=204,
    faults=[SegmentNotFound, HostNotFound, SegmentUnderRecovery],
)
def delete(req: Request, segment_id: str, host_id: str) -> None:
    """Take a host out of its segment."""
    with announced(req, "host.delete", {}, _getting(req, segment_id, host_id)):
        db.hosts.delete(req.database, segment_id, host_id)
    LOG.info("host %s deleted from segment %s", host_id, segment_id)


def _shape(row: Host, version: Version) -> Json:
    return shape(row, segments.shape(row.failover_segment, version))


def _getting(req: Request, segment_id: str, host_id: str) -> Callable[[], Host]:
    return lambda: db.hosts.get(req.database, segment_id, host_id)


def _require_service(req: Request, name: str) -> None:
    """Raise ComputeServiceNotFound unless Nova has a nova-compute of that host name."""
    try:
        services = req.world.cloud.compute_services(host=name)
    except errors.CloudForbidden:
        raise
    except errors.CloudRefused as exc:
        # what Nova holds against us (a wrong endpoint, say) is not the client's fault
        raise errors.CloudUnavailable(service="Nova", detail=str(exc)) from exc
    if not any(service.host == name for service in services):
        raise errors.ComputeServiceNotFound(host=name)
