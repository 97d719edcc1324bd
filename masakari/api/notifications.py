"""Notifications: what monitors report, and what became of it."""

import functools
import logging

from masakari import db
from masakari.api import correlation, fields, filters, replies
from masakari.api.announcements import announced
from masakari.api.fields import Json
from masakari.api.operation import REPORT, Action, operation
from masakari.api.request import Request
from masakari.db import steps
from masakari.db.models import Notification, Witness
from masakari.errors import (
    DuplicateNotification,
    HostNameUnknown,
    HostOnMaintenance,
    NotificationNotFound,
    WrongStatus,
)
from masakari.states import (
    OPEN_STATUSES,
    ClusterStatus,
    Event,
    HostProof,
    HostStatus,
    NotificationStatus,
    NotificationType,
)

LOG = logging.getLogger(__name__)

RULE = "os_masakari_api:notifications:"

_EVENT = replies.word(Event)


def _payload(properties: dict[str, fields.Schema], *required: str) -> fields.Schema:
    return {"properties": properties, "required": list(required), "additionalProperties": False}


_HOST = {
    "event": _EVENT | {"examples": ["STOPPED"]},
    "host_status": replies.word(HostStatus),
    "cluster_status": replies.word(ClusterStatus) | {"examples": ["OFFLINE"]},
}
PAYLOADS: dict[str, fields.Schema] = {
    NotificationType.COMPUTE_HOST: _payload(_HOST, "event"),
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

_PROVEN = _payload(_HOST | {"proof": replies.word(HostProof)}, "event")


def _create(payloads: dict[str, fields.Schema]) -> fields.Shape:
    return fields.enveloped(
        "notification",
        {
            "type": replies.word(NotificationType),
            "hostname": fields.HOSTNAME | {"examples": ["compute1"]},
            "generated_time": fields.TIME | {"examples": ["2026-11-21T03:05:55.123456"]},
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
        depending=("type", "payload", payloads),
    )


CREATE = {
    (1, 0): _create(PAYLOADS),
    (1, 4): _create(PAYLOADS | {NotificationType.COMPUTE_HOST: _PROVEN}),
}

NOTIFICATION = replies.record(
    "Notification",
    _REPLY := {
        "id": replies.ID,
        "notification_uuid": replies.UUID,
        "generated_time": replies.STAMP,
        "source_host_uuid": replies.UUID,
        "type": replies.word(NotificationType),
        "payload": {"type": "object", "examples": [{"event": "STOPPED"}]},
        "status": replies.word(NotificationStatus),
        "failover_segment_uuid": replies.maybe(replies.UUID),
        "message": replies.maybe(replies.TEXT),
        **replies.ROW,
    },
)
_SAID = replies.record(
    "Progress",
    {
        "timestamp": replies.TEXT | {"examples": ["2026-11-21 03:06:10.842031"]},
        "progress": replies.TEXT | {"examples": ["0.5"]},
        "message": replies.TEXT | {"examples": ["Evacuating 3 of 12 servers"]},
        "request_id": replies.TEXT | {"examples": ["req-5fd9d925-0379-40db-a7f8-786a0b655b2a"]},
    },
    optional=["request_id"],
)
_STEP = replies.record(
    "Step",
    {
        "name": replies.TEXT | {"examples": ["EvacuateInstancesTask"]},
        "state": replies.TEXT | {"examples": ["RUNNING"]},
        "progress": {"type": "number", "examples": [0.5]},
        "progress_details": {"type": "array", "items": _SAID},
    },
)
_WITNESS = replies.record(
    "Witness",
    {
        "reported_by": replies.TEXT
        | {"examples": ["masakari-hostmonitor on controller1 (user 6f1c3d52 from 10.0.0.5)"]},
        "generated_time": replies.STAMP,
        "payload": {"type": "object", "examples": [{"event": "STOPPED"}]},
        "created_at": replies.ROW["created_at"],
    },
)
DETAILED = replies.record(
    "NotificationWithProgress",
    _REPLY
    | {
        "recovery_workflow_details": replies.since((1, 1), {"type": "array", "items": _STEP}),
        "witnesses": replies.since((1, 4), {"type": "array", "items": _WITNESS}),
    },
)
FILTERS = {
    "status": filters.TEXT,
    "source_host_uuid": filters.TEXT,
    "type": filters.TEXT,
    "generated-since": filters.MOMENT,
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


@operation(
    "GET",
    "/notifications",
    rule=RULE + "index",
    filters=FILTERS,
    sort_keys=db.notifications.SORT_KEYS,
    answer=replies.many("notifications", NOTIFICATION),
)
def index(req: Request, wanted: Json) -> Json:
    """List notifications."""
    page = req.page()
    rows = db.notifications.page(req.database, page, **wanted)
    return req.collection("notifications", page, rows)


@operation(
    "POST",
    "/notifications",
    rule=RULE + "create",
    check=REPORT,
    body=CREATE,
    status=202,
    answer=replies.one("notification", NOTIFICATION),
    faults=[HostNameUnknown, HostOnMaintenance, DuplicateNotification],
)
def create(req: Request, body: Json) -> Json:
    """Report the failure (or the return) of a host, a process or an instance."""
    said = body["notification"]
    seen = {
        "type": said["type"],
        "generated_time": fields.time(said["generated_time"]),
        "payload": said["payload"],
    }
    given = {"source_host_uuid": None, "status": NotificationStatus.NEW, **seen}
    with announced(req, "notification.create", given) as change:
        row = db.reports.report(
            req.database,
            hostname=said["hostname"],
            likeness=correlation.likeness(req.world.conf, said["type"], said["payload"]),
            observes=req.world.conf.engine.observe_only,
            request_id=req.ctx.request_id,
            reported_by=correlation.reporter(req),
            **seen,
        )
        change.made(row)
    LOG.info(
        "notification %s accepted: %s of %s: %s",
        row.notification_uuid,
        row.type,
        said["hostname"],
        fields.told(row.payload),
    )
    req.world.engine.recover(row.notification_uuid)
    return {"notification": shape(row)}


@operation(
    "GET",
    "/notifications/{notification_id}",
    rule=RULE + "detail",
    answer=replies.one("notification", DETAILED),
    faults=[NotificationNotFound],
)
def show(req: Request, notification_id: str) -> Json:
    """Show a notification; from version 1.1 on with the progress of its recovery."""
    row, witnesses = db.notifications.with_witnesses(req.database, notification_id)
    answer = shape(row)
    if req.version >= (1, 1):
        answer["recovery_workflow_details"] = steps.recovery_workflow_details(
            req.world.progress, row.notification_uuid
        )
    if req.version >= (1, 4):
        answer["witnesses"] = [_witness(witness) for witness in witnesses]
    return {"notification": answer}


def _witness(witness: Witness) -> Json:
    return {
        "reported_by": witness.reported_by,
        "generated_time": fields.stamp(witness.generated_time),
        "payload": witness.payload,
        "created_at": fields.stamp(witness.created_at),
    }


ACTIONS = {
    "cancel": Action(
        RULE + "cancel",
        "Cancel a recovery: nothing more is begun, and what runs is brought to its end.",
    ),
    "retry": Action(RULE + "retry", "Have a recovery that failed, or was ignored, tried again."),
}


@operation(
    "POST",
    "/notifications/{notification_id}/action",
    since=(1, 4),
    actions=ACTIONS,
    body={(1, 4): fields.choice(*ACTIONS)},
    status=202,
    answer=replies.one("notification", NOTIFICATION),
    faults=[NotificationNotFound, WrongStatus],
)
def act(req: Request, body: Json, notification_id: str) -> Json:
    """Cancel a recovery, or have one that failed tried again."""
    (action,) = body
    do = db.brake.cancel if action == "cancel" else db.brake.retry
    before = functools.partial(db.notifications.get, req.database, notification_id)
    with announced(req, "notification.update", {}, before) as change:
        row = change.made(do(req.database, notification_id))
    LOG.info("notification %s: %s wanted, %s now", row.notification_uuid, action, row.status)
    if row.status in OPEN_STATUSES:
        req.world.engine.recover(row.notification_uuid)
    return {"notification": shape(row)}
