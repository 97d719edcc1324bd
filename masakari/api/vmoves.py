"""VM moves: which VM of a dead host went where, read only."""

from masakari import db
from masakari.api import fields, filters, replies
from masakari.api.fields import Json
from masakari.api.operation import operation
from masakari.api.request import Request
from masakari.db.models import VMove
from masakari.errors import NotificationNotFound, VMoveNotFound
from masakari.states import VMoveStatus, VMoveType

RULE = "os_masakari_api:vmoves:"

VMOVE = replies.record(
    "VMove",
    {
        "id": replies.ID,
        "uuid": replies.UUID,
        "notification_uuid": replies.UUID,
        "instance_uuid": replies.UUID,
        "instance_name": replies.TEXT | {"examples": ["web1"]},
        "source_host": replies.maybe(replies.TEXT) | {"examples": ["compute1"]},
        "dest_host": replies.maybe(replies.TEXT) | {"examples": ["compute2"]},
        "start_time": replies.maybe(replies.STAMP),
        "end_time": replies.maybe(replies.STAMP),
        "type": replies.maybe(replies.word(VMoveType)) | {"examples": ["evacuation"]},
        "status": replies.maybe(replies.word(VMoveStatus)) | {"examples": ["succeeded"]},
        "message": replies.maybe(replies.TEXT),
        **replies.ROW,
    },
)
FILTERS = {"status": filters.TEXT, "type": filters.TEXT}


def shape(row: VMove) -> Json:
    """A VM move as replies show it."""
    return {
        "id": row.id,
        "uuid": row.uuid,
        "notification_uuid": row.notification_uuid,
        "instance_uuid": row.instance_uuid,
        "instance_name": row.instance_name,
        "source_host": row.source_host,
        "dest_host": row.dest_host,
        "start_time": fields.stamp(row.start_time),
        "end_time": fields.stamp(row.end_time),
        "type": row.type,
        "status": row.status,
        "message": row.message,
        "created_at": fields.stamp(row.created_at),
        "updated_at": fields.stamp(row.updated_at),
        "deleted_at": fields.stamp(row.deleted_at),
        "deleted": bool(row.deleted),
    }


@operation(
    "GET",
    "/notifications/{notification_id}/vmoves",
    rule=RULE + "index",
    filters=FILTERS,
    sort_keys=db.vmoves.SORT_KEYS,
    answer=replies.many("vmoves", VMOVE),
    faults=[NotificationNotFound],
)
def index(req: Request, wanted: Json, notification_id: str) -> Json:
    """List the VM moves of a COMPUTE_HOST notification."""
    page = req.page()
    rows = db.vmoves.page(req.database, notification_id, page, **wanted)
    return req.collection("vmoves", page, rows)


@operation(
    "GET",
    "/notifications/{notification_id}/vmoves/{vmove_id}",
    rule=RULE + "detail",
    answer=replies.one("vmove", VMOVE),
    faults=[NotificationNotFound, VMoveNotFound],
)
def show(req: Request, notification_id: str, vmove_id: str) -> Json:
    """Show a VM move."""
    return {"vmove": shape(db.vmoves.get(req.database, notification_id, vmove_id))}
