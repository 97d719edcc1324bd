"""`conn.instance_ha` of openstacksdk: every method, at every version that can be asked for."""

import itertools
import uuid

import openstack.exceptions
import pytest
import sqlalchemy
from openstack.instance_ha.v1 import _proxy

from masakari.db import models
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

METHODS = {
    name
    for name, value in vars(_proxy.Proxy).items()
    if callable(value) and not name.startswith("_")
}
NO_SUCH = "00000000-0000-4000-8000-000000000000"
STARTED = {"event": "STARTED", "process_name": "libvirtd"}
PATIENCE = {"interval": 0.2, "wait": 60}
NUMBERS = itertools.count()


@pytest.fixture(
    params=[None, "1", "1.0", "1.1", "1.2", "1.3"],
    ids=lambda version: version or "none",
    scope="module",
)
def ha(deployment, request):
    """The SDK without a default microversion, and with each."""
    return deployment.connect(**({"ha_api_version": request.param} if request.param else {}))


@pytest.fixture
def segment(ha):
    """A new one, which is gone afterwards with its hosts."""
    made = ha.create_segment(
        name=str(uuid.uuid4()), recovery_method="auto", service_type="COMPUTE", description="d"
    )
    yield made
    ha.delete_segment(made.uuid)


@pytest.fixture(scope="module")
def dead(deployment):
    """The notification that compute1 has died, recovered, with vm1 and vm2 moved."""
    ha = deployment.connect()
    segment = ha.create_segment(name="dead", recovery_method="auto", service_type="COMPUTE")
    for host in ("compute1", "compute2"):
        ha.create_host(segment.uuid, name=host, type="COMPUTE", control_attributes="ssh")
    for name in ("vm1", "vm2"):
        deployment.cloud.add_server("compute1", name)
    deployment.power_off("compute1")
    made = ha.create_notification(
        type="COMPUTE_HOST",
        hostname="compute1",
        generated_time="2026-01-01T00:00:00.123456",
        payload={"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"},
    )

    def settled():
        return ha.get_notification(made.notification_uuid)

    wait("the recovery is finished", lambda: settled().status == "finished", 60)
    return settled()


# ---- one check for each method; `ha` is the proxy, `segment` a new segment


def host(ha, segment):
    """A new host of the segment."""
    return ha.create_host(segment.uuid, name="compute3", type="A", control_attributes="b")


def report(ha):
    """A new notification, of something that needs no recovery."""
    return ha.create_notification(
        type="PROCESS",
        hostname="compute2",
        generated_time=f"2026-02-01T00:00:00.{next(NUMBERS):06}",
        payload=STARTED | {"process_name": str(uuid.uuid4())},
    )


def check_segments(ha, segment, dead):
    assert {s.uuid for s in ha.segments()} >= {segment.uuid}
    by_name = ha.segments(service_type="COMPUTE", sort_key="name", sort_dir="asc")
    assert [s.name for s in by_name] == sorted([segment.name, "dead"])
    assert list(ha.segments(service_type="none")) == []
    assert list(ha.segments(recovery_method="rh_priority")) == []
    assert list(ha.segments(is_enabled=False)) == []
    assert [s.uuid for s in ha.segments(marker=segment.id)] == [
        s.uuid for s in ha.segments(marker=segment.uuid)
    ]
    with pytest.raises(openstack.exceptions.BadRequestException):
        list(ha.segments(sort_key="colour"))


def check_get_segment(ha, segment, dead):
    for known in (segment.uuid, segment.id, segment):
        found = ha.get_segment(known)
        assert (found.uuid, found.name, found.is_enabled) == (segment.uuid, segment.name, True)
    with pytest.raises(openstack.exceptions.NotFoundException):
        ha.get_segment(NO_SUCH)


def check_create_segment(ha, segment, dead):
    assert (segment.recovery_method, segment.service_type) == ("auto", "COMPUTE")
    assert (segment.description, segment.is_enabled) == ("d", True)
    assert segment.updated_at is None
    with pytest.raises(openstack.exceptions.ConflictException, match="already exists"):
        ha.create_segment(name=segment.name, recovery_method="auto", service_type="COMPUTE")
    with pytest.raises(openstack.exceptions.BadRequestException, match="recovery_method"):
        ha.create_segment(name="x", recovery_method="none", service_type="COMPUTE")


def check_update_segment(ha, segment, dead):
    changed = ha.update_segment(segment.uuid, description="e", recovery_method="rh_priority")
    assert (changed.description, changed.recovery_method) == ("e", "rh_priority")
    assert changed.updated_at is not None
    assert ha.update_segment(segment, description="f").description == "f"


def check_delete_segment(ha, segment, dead):
    made = [
        ha.create_segment(name=str(uuid.uuid4()), recovery_method="auto", service_type="x")
        for _ in range(2)
    ]
    ha.delete_segment(made[0].uuid, ignore_missing=False)
    ha.delete_segment(made[1], ignore_missing=False)
    assert not {s.uuid for s in made} & {s.uuid for s in ha.segments()}
    ha.delete_segment(NO_SUCH)
    with pytest.raises(openstack.exceptions.NotFoundException):
        ha.delete_segment(NO_SUCH, ignore_missing=False)


def check_hosts(ha, segment, dead):
    made = host(ha, segment)
    for known in (segment.uuid, segment):
        assert [h.uuid for h in ha.hosts(known)] == [made.uuid]
    same = {"type": "A", "reserved": False, "on_maintenance": False}
    assert [h.name for h in ha.hosts(segment.uuid, **same)] == ["compute3"]
    assert [h.name for h in ha.hosts(segment.uuid, failover_segment_id=segment.uuid)] == [
        "compute3"
    ]
    assert list(ha.hosts(segment.uuid, reserved=True)) == []
    assert list(ha.hosts(segment.uuid, on_maintenance=True)) == []


def check_create_host(ha, segment, dead):
    made = host(ha, segment)
    assert (made.name, made.type, made.control_attributes) == ("compute3", "A", "b")
    assert (made.reserved, made.on_maintenance) == (False, False)
    assert made.failover_segment_id == segment.uuid
    with pytest.raises(openstack.exceptions.ConflictException, match="compute3"):
        host(ha, segment)
    with pytest.raises(openstack.exceptions.BadRequestException, match="nowhere"):
        ha.create_host(segment.uuid, name="nowhere", type="A", control_attributes="b")


def check_get_host(ha, segment, dead):
    made = host(ha, segment)
    assert ha.get_host(made.uuid, segment.uuid).name == "compute3"
    assert ha.get_host(made, segment).name == "compute3"
    with pytest.raises(openstack.exceptions.NotFoundException):
        ha.get_host(NO_SUCH, segment.uuid)


def check_update_host(ha, segment, dead):
    made = host(ha, segment)
    changed = ha.update_host(made.uuid, segment.uuid, reserved=True, name="compute4")
    assert (changed.reserved, changed.name) == (True, "compute4")
    assert ha.update_host(made, segment, on_maintenance=True).on_maintenance is True


def check_delete_host(ha, segment, dead):
    ha.delete_host(host(ha, segment).uuid, segment.uuid, ignore_missing=False)
    ha.delete_host(host(ha, segment), segment, ignore_missing=False)
    assert list(ha.hosts(segment.uuid)) == []
    ha.delete_host(NO_SUCH, segment.uuid)


def check_notifications(ha, segment, dead):
    made = report(ha)
    assert {n.notification_uuid for n in ha.notifications()} >= {
        made.notification_uuid,
        dead.notification_uuid,
    }
    wanted = {"type": "COMPUTE_HOST", "status": "finished"}
    assert [n.notification_uuid for n in ha.notifications(**wanted)] == [dead.notification_uuid]
    of_host = ha.notifications(source_host_uuid=made.source_host_uuid, limit=1)
    assert {n.type for n in of_host} == {"PROCESS"}
    since = ha.notifications(generated_since="2026-01-31T00:00:00")
    assert {n.type for n in since} == {"PROCESS"}


def check_get_notification(ha, segment, dead):
    for known in (dead.notification_uuid, dead.id, dead):
        found = ha.get_notification(known)
        assert (found.status, found.payload) == ("finished", dead.payload)
    # not of `dead`, which the SDK fills with what it fetches
    details = ha.get_notification(dead.notification_uuid).recovery_workflow_details
    if ha.default_microversion in (None, "1.0"):  # without one the SDK asks for the first, too
        assert details is None
    else:
        assert [(d.name, d.state, d.progress) for d in details][-1] == (
            "EvacuateInstancesTask",
            "SUCCESS",
            1.0,
        )
        assert details[-1].progress_details[-1].message
    with pytest.raises(openstack.exceptions.NotFoundException):
        ha.get_notification(NO_SUCH)


def check_create_notification(ha, segment, dead):
    made = report(ha)
    assert (made.type, made.status) == ("PROCESS", "new")
    assert made.recovery_workflow_details is None
    with pytest.raises(openstack.exceptions.BadRequestException, match="elsewhere"):
        ha.create_notification(
            type="PROCESS",
            hostname="elsewhere",
            generated_time="2026-01-01T00:00:00",
            payload=STARTED,
        )


def check_vmoves(ha, segment, dead):
    for known in (dead.notification_uuid, dead):
        moves = list(ha.vmoves(known))
        assert {(m.server_name, m.source_host, m.status) for m in moves} == {
            ("vm1", "compute1", "succeeded"),
            ("vm2", "compute1", "succeeded"),
        }
    wanted = {"type": "evacuation", "status": "succeeded", "limit": 1}
    assert len(list(ha.vmoves(dead.notification_uuid, **wanted))) == 2
    assert list(ha.vmoves(dead.notification_uuid, status="failed")) == []


def check_get_vmove(ha, segment, dead):
    move = next(ha.vmoves(dead.notification_uuid))
    for known in ((move.uuid, dead.notification_uuid), (move, dead)):
        found = ha.get_vmove(*known)
        assert (found.server_id, found.dest_host) == (move.server_id, move.dest_host)
        assert found.start_time <= found.end_time
    with pytest.raises(openstack.exceptions.NotFoundException):
        ha.get_vmove(NO_SUCH, dead.notification_uuid)


def check_wait_for_status(ha, segment, dead):
    settled = ha.wait_for_status(report(ha), "finished", ["failed", "error"], **PATIENCE)
    assert settled.status == "finished"


def check_wait_for_delete(ha, segment, dead):
    made = host(ha, segment)
    ha.delete_host(made.uuid, segment.uuid)
    gone = ha.wait_for_delete(ha._get_resource(type(made), made, segment_id=segment.uuid), 0.2, 10)
    assert gone.uuid == made.uuid


CHECKS = {
    name.removeprefix("check_"): check
    for name, check in globals().items()
    if name.startswith("check_")
}


def test_every_method_is_checked():
    assert set(CHECKS) == METHODS


@pytest.mark.parametrize("method", CHECKS)
def test_method(ha, segment, dead, method):
    CHECKS[method](ha, segment, dead)


def test_version_that_the_server_does_not_have_is_noticed_before_any_request(deployment):
    with pytest.raises(openstack.exceptions.ConfigException, match=r"1\.9"):
        deployment.connect(ha_api_version="1.9")


# ---- more rows than fit on a page


COUNT = 2500


@pytest.fixture(scope="module")
def many(deployment):
    """The names of so many segments, as the default order has them."""
    rows = [
        {
            "uuid": str(uuid.uuid4()),
            "name": f"many{n}",
            "service_type": "MANY",
            "recovery_method": "auto",
            "enabled": True,
            "deleted": 0,
        }
        for n in range(COUNT)
    ]
    engine = sqlalchemy.create_engine(deployment.database)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.insert(models.segments), rows)
    yield [row["name"] for row in reversed(rows)]
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.delete(models.segments).where(models.segments.c.service_type == "MANY")
        )
    engine.dispose()


@pytest.mark.parametrize("limit", [None, 7 * 7, 1000, COUNT, 9999])
def test_iteration_is_complete(deployment, many, limit):
    ha = deployment.connect()

    found = ha.segments(service_type="MANY", **({"limit": limit} if limit else {}))

    assert [segment.name for segment in found] == many
