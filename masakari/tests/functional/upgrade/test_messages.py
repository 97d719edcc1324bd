"""Old and new programs on one message bus, as during a rolling upgrade."""

import threading

import oslo_messaging
import pytest
from oslo_messaging import conffixture

from masakari import rpc
from masakari.clock import SystemClock
from masakari.tests.functional.engine.test_recovery import Deployment
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional


def on_wire(data):
    """A notification as OpenStack's API sends it."""
    return {
        "masakari_object.name": "Notification",
        "masakari_object.namespace": "masakari",
        "masakari_object.version": "1.2",
        "masakari_object.data": data,
    }


@pytest.fixture
def bus(conf, rabbit_url):
    with conffixture.ConfFixture(conf):  # declares what oslo.messaging looks for on cfg.CONF only
        bus = rpc.transport(conf, rabbit_url)
        yield bus
        bus.cleanup()


def test_engine_hears_an_old_api(tmp_path, mariadb_url, rabbit_url, conf, bus):
    target = oslo_messaging.Target(topic=conf.masakari_topic, version="1.0")
    old_api = oslo_messaging.get_rpc_client(bus, target)
    with Deployment(tmp_path, mariadb_url, rabbit_url) as deployment:
        deployment.engine.wait_until_said("listening on the message bus")
        path = deployment.report()
        uuid = path.rpartition("/")[2]

        notification = on_wire({"notification_uuid": uuid, "status": "new"})
        old_api.cast({}, "process_notification", notification=notification)
        old_api.cast({}, "process_notification", notification=on_wire({}))
        asking = old_api.prepare(version="1.1", timeout=30)
        with pytest.raises(NotImplementedError, match="only the API of this release has the"):
            asking.call({}, "get_notification_recovery_workflow_details", notification=notification)

        deployment.wait_until_finished(path)
        for said in (
            f"notification {uuid}: announced by an API of OpenStack's Masakari",
            "a message of RPC version 1 names no notification",
            "only that of this release has them",
        ):
            deployment.engine.wait_until_said(said)
        assert not deployment.engine.said("Traceback")


class OldEngine:
    """Answers as an engine of OpenStack does: versions 1.0 and 1.1 only."""

    target = oslo_messaging.Target(version="1.1")

    def __init__(self):
        self.heard = []
        self.is_called = threading.Event()

    def process_notification(self, _context, notification):
        self.heard.append(notification)
        self.is_called.set()


def test_old_engine_refuses_what_our_api_announces_and_both_go_on(conf, bus, caplog):
    conf.set_override("masakari_topic", "ha_engine_old")
    engine = OldEngine()
    target = oslo_messaging.Target(topic=conf.masakari_topic, server="old")
    server = oslo_messaging.get_rpc_server(bus, target, [engine])
    server.start()
    client = rpc.EngineClient(conf, bus, rpc.watch(SystemClock()))
    try:
        client.recover("00000000-0000-4000-8000-000000000001")
        client.recover("00000000-0000-4000-8000-000000000002")
        old_api = oslo_messaging.get_rpc_client(
            bus, oslo_messaging.Target(topic=conf.masakari_topic, version="1.0")
        )
        refused = "Endpoint does not support RPC version 2.0"
        wait("both are refused", lambda: caplog.text.count(refused) >= 2, 60)
        old_api.cast({}, "process_notification", notification="n")

        assert engine.is_called.wait(60)
    finally:
        server.stop()
        server.wait()

    assert engine.heard == ["n"]
