"""The openstacksdk of today, with its discovery, its headers and its paging."""

import openstack
import pytest
from openstack import exceptions

from masakari.sim.http import SimServer
from masakari.tests.http import live


@pytest.fixture(params=["/v1", "/v1/$PROJECT"], ids=["bare", "with project"])
def url(request, conf, cloud, make_client):
    """Keystone's, whose catalogue has our API; both are real servers."""
    conf.set_override("auth_strategy", "noauth2")
    conf.set_override("osapi_max_limit", 3)
    with (
        live.listening(conf, make_client().application) as root,
        SimServer(cloud, ha_url=f"{root}{request.param}") as simulated,
    ):
        yield simulated.auth_url


@pytest.fixture
def connect(url):
    def make(**more):
        return openstack.connect(
            auth_url=url,
            username="admin",
            password="x",
            project_name="admin",
            user_domain_name="Default",
            project_domain_name="Default",
            region_name="RegionOne",
            load_envvars=False,
            load_yaml_config=False,
            **more,
        ).instance_ha

    return make


def test_story(connect):
    ha = connect()
    segment = ha.create_segment(name="a", recovery_method="auto", service_type="COMPUTE")
    host = ha.create_host(segment.uuid, name="compute1", type="x", control_attributes="y")
    ha.update_host(host.uuid, segment.uuid, reserved=True)
    ha.update_segment(segment.uuid, is_enabled=False)
    reported = ha.create_notification(
        type="COMPUTE_HOST",
        hostname="compute1",
        generated_time="2026-01-01T00:00:00.123456",
        payload={"event": "STOPPED"},
    )

    assert [s.uuid for s in ha.segments(is_enabled=False)] == [segment.uuid]
    assert list(ha.segments(is_enabled=True)) == []
    assert [h.name for h in ha.hosts(segment.uuid, reserved=True)] == ["compute1"]
    assert ha.get_notification(reported.notification_uuid).status == "new"
    assert list(ha.vmoves(reported.notification_uuid)) == []
    with pytest.raises(exceptions.ConflictException, match="already exists"):
        ha.create_segment(name="a", recovery_method="auto", service_type="COMPUTE")
    with pytest.raises(exceptions.BadRequestException, match="nowhere"):
        ha.create_host(segment.uuid, name="nowhere", type="x", control_attributes="y")


@pytest.mark.parametrize("limit", [None, 2, 3, 5, 100])
def test_lists_are_complete(connect, limit):
    ha = connect()
    for number in range(7):
        ha.create_segment(name=f"s{number}", recovery_method="auto", service_type="COMPUTE")

    names = [s.name for s in ha.segments(**({"limit": limit} if limit else {}))]

    assert names == [f"s{number}" for number in reversed(range(7))]


@pytest.mark.parametrize(("version", "there"), [("1.0", False), ("1.1", True), ("1.3", True)])
def test_default_version_is_asked_for(connect, version, there):
    ha = connect(ha_api_version=version)
    segment = ha.create_segment(name="a", recovery_method="auto", service_type="COMPUTE")
    ha.create_host(segment.uuid, name="compute1", type="x", control_attributes="y")
    reported = ha.create_notification(
        type="COMPUTE_HOST",
        hostname="compute1",
        generated_time="2026-01-01T00:00:00",
        payload={"event": "STOPPED"},
    )

    shown = ha.get_notification(reported.notification_uuid)

    assert (shown.recovery_workflow_details == []) is there


def test_version_that_does_not_exist_is_noticed_by_discovery(connect):
    with pytest.raises(exceptions.SDKException):
        list(connect(ha_api_version="1.9").segments())
