"""VM moves: which VM of a dead host went where, read only."""

from masakari import db
from masakari.api import fields
from masakari.api.fields import Json
from masakari.api.operation import operation
from masakari.api.request import Request
from masakari.db.models import VMove

RULE = "os_masakari_api:vmoves:"


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


@operation("GET", "/notifications/{notification_id}/vmoves", rule=RULE + "index")
def index(req: Request, notification_id: str) -> Json:
    """List the VM moves of a COMPUTE_HOST notification."""
    rows = req.listed(
        lambda page: db.vmoves.page(
            req.database,
            notification_id,
            page,
            status=req.text("status"),
            type=req.text("type"),
        )
    )
    return req.collection("vmoves", [shape(row) for row in rows])


@operation("GET", "/notifications/{notification_id}/vmoves/{vmove_id}", rule=RULE + "detail")
def show(req: Request, notification_id: str, vmove_id: str) -> Json:
    """Show a VM move."""
    return {"vmove": shape(db.vmoves.get(req.database, notification_id, vmove_id))}
