"""Notifications: what monitors report, and what became of it."""

import logging

from masakari import db
from masakari.api import fields
from masakari.api.fields import Json, Shape
from masakari.api.operation import REPORT, operation
from masakari.api.request import Request
from masakari.db import progress
from masakari.db.models import Notification
from masakari.states import ClusterStatus, Event, HostStatus, NotificationType

LOG = logging.getLogger(__name__)

RULE = "os_masakari_api:notifications:"

_EVENT: fields.Schema = {"type": "string", "enum": [str(event) for event in Event]}

CREATE = {
    (1, 0): fields.enveloped(
        "notification",
        {
            "type": {"type": "string", "enum": [str(kind) for kind in NotificationType]},
            "hostname": fields.HOSTNAME,
            "generated_time": fields.TIME,
            "payload": {
                "type": "object",
                "propertyNames": {"format": "key"},
                "additionalProperties": {
                    "type": "string",
                    "maxLength": 255,
                    "format": "storable",
                },
            },
        },
        required=("type", "hostname", "generated_time", "payload"),
    )
}


def _payload(properties: dict[str, fields.Schema], *required: str) -> Shape:
    return Shape(
        {"properties": properties, "required": list(required), "additionalProperties": False}
    )


PAYLOADS: dict[str, Shape] = {
    NotificationType.COMPUTE_HOST: _payload(
        {
            "event": _EVENT,
            "host_status": {"enum": [str(status) for status in HostStatus]},
            "cluster_status": {"enum": [str(status) for status in ClusterStatus]},
        },
        "event",
    ),
    NotificationType.PROCESS: _payload(
        {"process_name": fields.WORD, "event": _EVENT}, "process_name", "event"
    ),
    NotificationType.VM: _payload(
        {"instance_uuid": fields.UUID, "event": fields.WORD, "vir_domain_event": fields.WORD},
        "instance_uuid",
        "event",
        "vir_domain_event",
    ),
}


def shape(row: Notification) -> Json:
    """A notification as replies show it."""
    return {
        "id": row.id,
        "notification_uuid": row.notification_uuid,
        "generated_time": fields.stamp(row.generated_time),
        "source_host_uuid": row.source_host_uuid,
        "type": row.type,
        "payload": row.payload,
        "status": row.status,
        "failover_segment_uuid": row.failover_segment_uuid,
        "message": row.message,
        "created_at": fields.stamp(row.created_at),
        "updated_at": fields.stamp(row.updated_at),
        "deleted_at": fields.stamp(row.deleted_at),
        "deleted": bool(row.deleted),
    }


@operation("GET", "/notifications", rule=RULE + "index")
def index(req: Request) -> Json:
    """List notifications."""
    rows = req.listed(
        lambda page: db.notifications.page(
            req.database,
            page,
            status=req.text("status"),
            source_host_uuid=req.text("source_host_uuid"),
            type=req.text("type"),
            generated_since=req.moment("generated-since"),
        )
    )
    return req.collection("notifications", [shape(row) for row in rows])


@operation("POST", "/notifications", rule=RULE + "create", check=REPORT, body=CREATE, status=202)
def create(req: Request, body: Json) -> Json:
    """Report the failure (or the return) of a host, a process or an instance."""
    said = body["notification"]
    PAYLOADS[said["type"]].check(said["payload"], at="notification.payload")
    row = db.notifications.report(
        req.database,
        type=said["type"],
        hostname=said["hostname"],
        generated_time=fields.time(said["generated_time"]),
        payload=said["payload"],
        duplicate_window_s=req.world.conf.duplicate_notification_detection_interval,
        request_id=req.ctx.request_id,
    )
    LOG.info(
        "notification %s accepted: %s of %s: %s",
        row.notification_uuid,
        row.type,
        said["hostname"],
        fields.told(row.payload),
    )
    req.world.engine.recover(row.notification_uuid)
    return {"notification": shape(row)}


@operation("GET", "/notifications/{notification_id}", rule=RULE + "detail")
def show(req: Request, notification_id: str) -> Json:
    """Show a notification; from version 1.1 on with the progress of its recovery."""
    row = db.notifications.get(req.database, notification_id)
    answer = shape(row)
    if req.version >= (1, 1):
        answer["recovery_workflow_details"] = progress.recovery_workflow_details(
            req.world.progress, row.notification_uuid
        )
    return {"notification": answer}
