import dataclasses

import pytest

from masakari.db.models import Host, Notification, Segment
from masakari.engine import gates
from masakari.states import NotificationStatus, Reason


def record(kind, **fields):
    return kind(**{**dict.fromkeys(kind.__slots__), **fields})


SEGMENT = record(Segment, name="rack1", enabled=True, recovery_method="auto")
HOST = record(Host, name="compute1", deleted=0, on_maintenance=False, failover_segment=SEGMENT)
STOPPED = {"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"}
NOTIFICATION = record(
    Notification, notification_uuid="n1", type="COMPUTE_HOST", payload=STOPPED, status="running"
)


def segment(**changes):
    return dataclasses.replace(HOST, failover_segment=dataclasses.replace(SEGMENT, **changes))


def host(**changes):
    return dataclasses.replace(HOST, **changes)


def notification(**changes):
    return dataclasses.replace(NOTIFICATION, **changes)


IGNORED, FINISHED = NotificationStatus.IGNORED, NotificationStatus.FINISHED


@pytest.mark.parametrize(
    ("n", "host", "status", "reason"),
    [
        (notification(), None, IGNORED, Reason.SEGMENT_GONE),
        (notification(), host(deleted=3), IGNORED, Reason.SEGMENT_GONE),
        (notification(), segment(enabled=False), IGNORED, Reason.SEGMENT_DISABLED),
        (notification(type="VM"), HOST, IGNORED, Reason.NOT_SUPPORTED),
        (notification(type="PROCESS"), HOST, IGNORED, Reason.NOT_SUPPORTED),
        (
            notification(payload={**STOPPED, "host_status": "UNKNOWN"}),
            HOST,
            IGNORED,
            Reason.HOST_STATUS_UNKNOWN,
        ),
        (notification(payload={"event": "STOPPED"}), HOST, IGNORED, Reason.HOST_STATUS_UNKNOWN),
        (notification(payload={"event": "STARTED"}), HOST, IGNORED, Reason.HOST_STATUS_UNKNOWN),
        (
            notification(payload={**STOPPED, "event": "STARTED"}),
            HOST,
            FINISHED,
            Reason.HOST_STARTED,
        ),
        (notification(payload={**STOPPED, "event": "x"}), HOST, IGNORED, Reason.UNKNOWN_EVENT),
        (
            notification(),
            segment(recovery_method="reserved_host"),
            IGNORED,
            Reason.NOT_SUPPORTED,
        ),
        (notification(), host(on_maintenance=True), IGNORED, Reason.MAINTENANCE),
        (
            notification(),
            host(on_maintenance=True, maintenance_by="n0"),
            IGNORED,
            Reason.MAINTENANCE,
        ),
    ],
)
def test_judge_gate_is_shut(n, host, status, reason):
    verdict = gates.judge(n, gates.Facts(host=host))

    assert (verdict.status, verdict.reason) == (status, reason)


@pytest.mark.parametrize("known", [HOST, host(on_maintenance=True, maintenance_by="n1")])
def test_judge_dead_host_of_an_enabled_segment_is_acted_on(known):
    assert gates.judge(NOTIFICATION, gates.Facts(host=known)) is None
