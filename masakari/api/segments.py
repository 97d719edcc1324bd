"""Failover segments: groups of hosts that share a recovery method."""

import dataclasses
import logging
from collections.abc import Callable

from masakari import db
from masakari.api import fields, filters, replies
from masakari.api.announcements import announced
from masakari.api.fields import Json
from masakari.api.operation import operation
from masakari.api.request import Request
from masakari.api.versions import Version
from masakari.db.models import Segment
from masakari.errors import SegmentExists, SegmentNotFound, SegmentUnderRecovery
from masakari.states import RecoveryMethod

LOG = logging.getLogger(__name__)

RULE = "os_masakari_api:segments:"

_FIELDS: dict[str, fields.Schema] = {
    "name": fields.NAME | {"examples": ["rack1"]},
    "recovery_method": replies.word(RecoveryMethod),
    "service_type": fields.NAME | {"examples": ["COMPUTE"]},
    "description": fields.DESCRIPTION | {"examples": ["The rack at the window"]},
}
_FIELDS_1_2 = _FIELDS | {"enabled": fields.BOOLEAN}
_FIELDS_1_4 = _FIELDS_1_2 | {"observe_only": fields.BOOLEAN}
_FLAGS = ("enabled", "observe_only")
_REQUIRED = ("name", "recovery_method", "service_type")

CREATE = {
    (1, 0): fields.enveloped("segment", _FIELDS, required=_REQUIRED),
    (1, 2): fields.enveloped("segment", _FIELDS_1_2, required=_REQUIRED),
    (1, 4): fields.enveloped("segment", _FIELDS_1_4, required=_REQUIRED),
}
UPDATE = {
    (1, 0): fields.enveloped("segment", _FIELDS, at_least=1),
    (1, 2): fields.enveloped("segment", _FIELDS_1_2, at_least=1),
    (1, 4): fields.enveloped("segment", _FIELDS_1_4, at_least=1),
}

SEGMENT = replies.record(
    "Segment",
    {
        "id": replies.ID,
        "uuid": replies.UUID,
        "name": replies.TEXT | {"examples": ["rack1"]},
        "service_type": replies.TEXT | {"examples": ["COMPUTE"]},
        "enabled": replies.FLAG,
        "description": replies.maybe(replies.TEXT),
        "recovery_method": replies.word(RecoveryMethod),
        "observe_only": replies.since((1, 4), replies.FLAG),
        **replies.ROW,
    },
)
FILTERS = {
    "recovery_method": filters.TEXT,
    "service_type": filters.TEXT,
    "enabled": filters.FLAG,
    "observe_only": dataclasses.replace(filters.FLAG, since=(1, 4)),
}


def shape(row: Segment, version: Version) -> Json:
    """A segment as replies of the version show it."""
    observed = {"observe_only": row.observe_only} if version >= (1, 4) else {}
    return {
        "id": row.id,
        "uuid": row.uuid,
        "name": row.name,
        "service_type": row.service_type,
        "enabled": row.enabled,
        "description": row.description,
        "recovery_method": row.recovery_method,
        **observed,
        "created_at": fields.stamp(row.created_at),
        "updated_at": fields.stamp(row.updated_at),
        "deleted_at": fields.stamp(row.deleted_at),
        "deleted": bool(row.deleted),
    }


@operation(
    "GET",
    "/segments",
    rule=RULE + "index",
    filters=FILTERS,
    sort_keys=db.segments.SORT_KEYS,
    answer=replies.many("segments", SEGMENT),
)
def index(req: Request, wanted: Json) -> Json:
    """List failover segments."""
    page = req.page()
    rows = db.segments.page(req.database, page, **wanted)
    if req.version < (1, 4):
        for row in rows:
            del row["observe_only"]
    return req.collection("segments", page, rows)


@operation(
    "POST",
    "/segments",
    rule=RULE + "create",
    body=CREATE,
    status=201,
    answer=replies.one("segment", SEGMENT),
    faults=[SegmentExists],
)
def create(req: Request, body: Json) -> Json:
    """Create a failover segment."""
    wanted = fields.booleans(body["segment"], *_FLAGS)
    given = {"description": None, "enabled": True, **wanted}
    with announced(req, "segment.create", given) as change:
        row = change.made(db.segments.create(req.database, **wanted))
    LOG.info("segment %s created: %s", row.uuid, fields.told(wanted))
    return {"segment": shape(row, req.version)}


@operation(
    "GET",
    "/segments/{segment_id}",
    rule=RULE + "detail",
    answer=replies.one("segment", SEGMENT),
    faults=[SegmentNotFound],
)
def show(req: Request, segment_id: str) -> Json:
    """Show a failover segment."""
    return {"segment": shape(db.segments.get(req.database, segment_id), req.version)}


@operation(
    "PUT",
    "/segments/{segment_id}",
    rule=RULE + "update",
    body=UPDATE,
    answer=replies.one("segment", SEGMENT),
    faults=[SegmentNotFound, SegmentExists, SegmentUnderRecovery],
)
def update(req: Request, body: Json, segment_id: str) -> Json:
    """Change a failover segment; during a recovery only `enabled` can be set to false.

    From version 1.4 on `observe_only` can be set to true, too.
    """
    changes = fields.booleans(body["segment"], *_FLAGS)
    with announced(req, "segment.update", changes, _getting(req, segment_id)) as change:
        row = change.made(db.segments.update(req.database, segment_id, changes))
    LOG.info("segment %s changed: %s", row.uuid, fields.told(changes))
    return {"segment": shape(row, req.version)}


@operation(
    "DELETE",
    "/segments/{segment_id}",
    rule=RULE + "delete",
    status=204,
    faults=[SegmentNotFound, SegmentUnderRecovery],
)
def delete(req: Request, segment_id: str) -> None:
    """Delete a failover segment and its hosts."""
    with announced(req, "segment.delete", {}, _getting(req, segment_id)):
        db.segments.delete(req.database, segment_id)
    LOG.info("segment %s deleted, with its hosts", segment_id)


def _getting(req: Request, segment_id: str) -> Callable[[], Segment]:
    return lambda: db.segments.get(req.database, segment_id)
