"""Rows to start a test from."""

import concurrent.futures
import datetime
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from masakari import db
from masakari.db.models import Host, Notification, Segment
from masakari.db.session import Database
from masakari.db.vmoves import NewMove

R = TypeVar("R")

STOPPED = {"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"}
STARTED = {"event": "STARTED"}
T0 = datetime.datetime(2026, 1, 1)


def process(name: str = "nova-compute", event: str = "STOPPED") -> dict[str, str]:
    """What is said of a process."""
    return {"event": event, "process_name": name}


def segment(database: Database, name: str = "rack1", **fields: object) -> Segment:
    given = {"recovery_method": "auto", "service_type": "COMPUTE", **fields}
    return db.segments.create(database, name=name, **given)


def host(
    database: Database, name: str = "compute1", of: Segment | None = None, **fields: object
) -> Host:
    of = of or segment(database)
    given = {"type": "kvm", "control_attributes": "ssh", **fields}
    return db.hosts.create(database, of.uuid, name=name, **given)


def report(
    database: Database,
    hostname: str = "compute1",
    *,
    type: str = "COMPUTE_HOST",
    at: datetime.datetime = T0,
    payload: Mapping[str, str] = STOPPED,
    window_s: float = 180,
    alike_s: float = 0,
    are_alike: Callable[[Mapping[str, str], Mapping[str, str]], bool] = db.reports.differ,
    by: str | None = None,
) -> Notification:
    return db.reports.report(
        database,
        type=type,
        hostname=hostname,
        generated_time=at,
        payload=payload,
        likeness=db.reports.Likeness(
            window_s, alike_s, are_alike, about=payload.get("instance_uuid")
        ),
        reported_by=by,
    )


def in_status(database: Database, status: str, hostname: str = "compute1") -> Notification:
    """A notification of the host that has come to *status*."""
    n = report(database, hostname, by="a monitor")
    if status == "new":
        return n
    db.leases.claim(database, n.notification_uuid, owner="engine-a", lease_s=60)
    if status != "running":
        db.leases.settle(
            database, n.notification_uuid, owner="engine-a", status=status, message="so"
        )
    return db.notifications.get(database, n.notification_uuid)


def claim(database: Database, uuid: str, owner: str = "engine-a") -> Notification | None:
    return db.leases.claim(database, uuid, owner=owner, lease_s=600)


def settle(
    database: Database, uuid: str, status: str = "finished", owner: str = "engine-a"
) -> bool:
    return db.leases.settle(database, uuid, owner=owner, status=status, message="so it is")


def move(number: int = 0, **fields: object) -> NewMove:
    given = {"instance_name": f"vm{number}", "source_host": "compute1", "rank": number, **fields}
    return NewMove(instance_uuid=f"00000000-0000-4000-8000-{number:012d}", **given)


def at_once(call: Callable[[int], R], times: int = 16) -> list[R | Exception]:
    """What each of *times* concurrent calls returned or raised."""
    barrier = threading.Barrier(times)

    def one(number: int) -> R | Exception:
        barrier.wait(30)
        try:
            return call(number)
        except Exception as e:
            return e

    with concurrent.futures.ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))
