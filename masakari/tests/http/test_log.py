"""What the log of the API tells: who changed what."""

import io
import logging

import pytest
from oslo_config import cfg
from oslo_log import formatters, log


@pytest.fixture
def said():
    """Lines of our loggers at INFO, as the programs write them."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf([], project="masakari", default_config_files=[], default_config_dirs=[])
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatters.ContextFormatter(config=conf, project="masakari"))
    logger = logging.getLogger("masakari.api")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: stream.getvalue().splitlines()
    logger.setLevel(before)
    logger.removeHandler(handler)


def test_changes_of_segments_are_told(api, said):
    uuid = api.segment(description="secret")["uuid"]
    path = f"/segments/{uuid}"
    api.put(path, {"segment": {"enabled": "no", "description": "secret"}}, version="1.2")
    api.delete(path)

    created, changed, deleted = said()
    assert f"segment {uuid} created: description, name='rack1', recovery_method='auto'" in created
    assert f"segment {uuid} changed: description, enabled=False" in changed
    assert f"segment {uuid} deleted" in deleted
    assert "secret" not in created + changed


def test_changes_of_hosts_are_told(api, said):
    rack = api.segment()
    uuid = api.host(rack, control_attributes="secret")["uuid"]
    path = f"/segments/{rack['uuid']}/hosts/{uuid}"
    api.put(path, {"host": {"on_maintenance": True}})
    api.delete(path)

    created, changed, deleted = said()[1:]
    assert f"host {uuid} created in segment {rack['uuid']}: control_attributes, name=" in created
    assert f"host {uuid} (compute1) changed: on_maintenance=True" in changed
    assert f"host {uuid} deleted from segment {rack['uuid']}" in deleted
    assert "secret" not in created


def test_accepted_notification_is_told(api, said):
    api.host(api.segment())
    uuid = api.notify().json["notification"]["notification_uuid"]

    assert f"notification {uuid} accepted: COMPUTE_HOST of compute1: " in said()[-1]
    assert "event='STOPPED'" in said()[-1]


def test_lines_tell_who_asked(api, said):
    answer = api.post(
        "/segments",
        {"segment": {"name": "a", "recovery_method": "auto", "service_type": "x"}},
        headers={"X-Auth-Token": "alice:0123456789abcdef0123456789abcdef"},
    )

    (line,) = said()
    assert " INFO " in line
    assert f"{answer.headers['X-Openstack-Request-Id']} alice 0123456789abcdef" in line


def test_what_changes_nothing_is_not_told(api, said):
    host = api.host(api.segment())
    api.notify()
    before = said()

    api.notify()  # a duplicate
    api.post("/segments", {"segment": {}})
    api.get("/segments")
    api.delete(f"/segments/{host['failover_segment_id']}")  # under recovery

    assert said() == before
