"""Nova's notifications on a real RabbitMQ: heard, and not taken from others who listen."""

import logging
import threading
import uuid

import oslo_messaging
import pytest
from oslo_config import cfg

from masakari import rpc
from masakari.clock import SystemClock
from masakari.monitors.hosts.nova_notifications import NovaNotificationDriver
from masakari.tests.functional.program import wait
from masakari.tests.servers import Gate
from masakari.tests.unit.monitors.drivers import configured
from masakari.tests.unit.monitors.test_nova_notifications import EXPECTED, MESSAGES

pytestmark = pytest.mark.functional

TOPIC = "versioned_notifications"


class Nova:
    """Sends as Nova does, in an exchange of this test."""

    def __init__(self, url):
        self.exchange = f"nova-{uuid.uuid4().hex}"
        conf = cfg.ConfigOpts()
        rpc.register(conf)
        conf.set_override("control_exchange", self.exchange)
        self.transport = oslo_messaging.get_notification_transport(conf, url=url)
        self._notifier = oslo_messaging.Notifier(
            self.transport, driver="messagingv2", topics=[TOPIC], publisher_id="nova"
        )

    def send(self, messages):
        for message in messages:
            notifier = self._notifier.prepare(publisher_id=message["publisher_id"])
            level = getattr(notifier, message["priority"].lower())
            level({}, message["event_type"], message["payload"])

    def hear(self):
        """What another service hears, in the queue that Nova itself has made."""
        heard = []

        class Endpoint:
            def info(self, _ctxt, _publisher, event_type, _payload, _metadata):
                heard.append(event_type)

            error = info

        target = oslo_messaging.Target(exchange=self.exchange, topic=TOPIC)
        listener = oslo_messaging.get_notification_listener(
            self.transport, [target], [Endpoint()], executor="threading"
        )
        listener.start()
        return heard, listener


@pytest.fixture
def gate(rabbit_url):
    port = int(rabbit_url.rpartition(":")[2].partition("/")[0])
    with Gate(port) as gate:
        yield gate


def test_hosts_are_looked_at_and_nothing_is_taken_from_others(rabbit_url, gate, caplog):
    caplog.set_level(logging.INFO)
    nova = Nova(rabbit_url)
    url = rabbit_url.replace(rabbit_url.rpartition(":")[2].partition("/")[0], str(gate.port))
    conf = configured(
        "nova_notifications", transport_url=url, exchange=nova.exchange, pool=nova.exchange
    )
    told, lock = [], threading.Lock()

    def wake(source, why):
        with lock:
            told.append((source, why))

    driver = NovaNotificationDriver.from_conf(conf, SystemClock(), wake)
    gate.shut()
    driver.start()  # and does not wait for a bus that is away
    heard, other = nova.hear()
    try:
        gate.open()
        wait("it listens", lambda: "listening to Nova's notifications" in caplog.text, 60)
        nova.send(MESSAGES)
        expected = sorted(
            ("nova_notifications", f"Nova says that {why}") for why in EXPECTED if why
        )
        wait("all is told", lambda: len(told) >= len(expected), 60)
        assert sorted(told) == expected

        gate.cut()
        nova.send(MESSAGES[:1])
        wait("it is told after a cut", lambda: len(told) > len(expected), 60)
        wait("the other has heard all", lambda: len(heard) == len(MESSAGES) + 1, 60)
    finally:
        driver.stop()
        other.stop()
        other.wait()
