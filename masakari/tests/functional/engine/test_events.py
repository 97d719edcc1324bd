"""Events of a real API and a real engine, heard by a real consumer on RabbitMQ."""

import contextlib
import queue
import time
from dataclasses import dataclass

import oslo_messaging
import pytest
from oslo_config import cfg
from oslo_messaging import conffixture

from masakari import rpc
from masakari.clock import SystemClock
from masakari.sim.cloud import Fault, Outcome
from masakari.tests import servers
from masakari.tests.functional.engine.test_recovery import Deployment
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

EVENTS = """\
[oslo_messaging_notifications]
driver = messagingv2
topics = of_no_effect
"""


@dataclass(frozen=True)
class Heard:
    """An event as a consumer sees it."""

    priority: str
    type: str
    publisher: str
    payload: dict
    context: dict
    at: str

    @property
    def data(self):
        return self.payload["masakari_object.data"]


class Consumer:
    """Hears what is sent from now on, with oslo.messaging's own listener."""

    def __init__(self, url):
        self._heard = queue.SimpleQueue()
        self._all = []
        self._since = str(SystemClock().now())
        self._stack = contextlib.ExitStack()
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        self._stack.enter_context(conffixture.ConfFixture(conf))
        rpc.register(conf)
        conf.set_override("executor_thread_pool_size", 1)  # so their order stays
        self._listener = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(conf, url=url),
            [oslo_messaging.Target(topic="versioned_notifications")],
            [self],
            executor="threading",
        )

    def __enter__(self):
        self._listener.start()
        return self

    def __exit__(self, *_):
        self._listener.stop()
        self._listener.wait()
        self._stack.close()

    def info(self, *told):
        self._hear("INFO", told)

    def error(self, *told):
        self._hear("ERROR", told)

    def _hear(self, priority, told):
        context, publisher, type_, payload, metadata = told
        at = metadata["timestamp"]
        if at >= self._since:  # those of earlier tests may be left
            self._heard.put(Heard(priority, type_, publisher, payload, context, at))

    @property
    def all(self):
        """Everything that was heard, in the order of its happening."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._all.append(self._heard.get_nowait())
        return sorted(self._all, key=lambda heard: heard.at)

    def of(self, prefix):
        return [heard for heard in self.all if heard.type.startswith(prefix)]

    def wait_for(self, type_, count=1):
        wait(f"{count} of {type_}", lambda: len(self.of(type_)) >= count, 60)


def with_events(directory, bus, more=EVENTS):
    """An API and an engine that send events."""
    deployment = Deployment(directory, f"sqlite:///{directory}/masakari.sqlite", bus)
    text = deployment.config.read_text()
    text = text.replace("[DEFAULT]", "[DEFAULT]\nhost = controller\n" + TRY_AGAIN, 1)
    deployment.config.write_text(text + more)
    return deployment


TRY_AGAIN = "process_unfinished_notifications_interval = 1"


@pytest.fixture
def consumer(rabbit_url):
    with Consumer(rabbit_url) as consumer:
        yield consumer


def types(heard):
    return [h.type for h in heard]


def test_recovery_is_told_from_the_report_to_its_final_status(tmp_path, rabbit_url, consumer):
    with with_events(tmp_path, rabbit_url) as deployment:
        deployment.cloud.add_fault(Fault("evacuate", server="vm0", outcome=Outcome.FAIL))
        path = deployment.report()
        wait("it is finished", lambda: is_finished(deployment, path), 90)
        consumer.wait_for("notification.process.end")
        row = deployment.notification(path)
        again = {"name": "rack1", "recovery_method": "auto", "service_type": "compute"}
        assert deployment.api.call("POST", "/segments", {"segment": again})[0] == 409
        consumer.wait_for("segment.create.error")

    check_envelopes(consumer.all)
    assert types(consumer.of("segment")) == [
        "segment.create.start",
        "segment.create.end",
        "segment.create.start",
        "segment.create.error",
    ]
    assert types(consumer.of("host.create")) == ["host.create.start", "host.create.end"]
    assert types(consumer.of("notification.create")) == [
        "notification.create.start",
        "notification.create.end",
    ]
    check_process(consumer.of("notification.process"), row)
    maintained = consumer.of("host.update")
    assert types(maintained) == ["host.update.start", "host.update.end"]
    assert maintained[-1].data["on_maintenance"] is True
    check_tasks(consumer.of("recovery.task"), row)


def is_finished(deployment, path):
    return deployment.notification(path)["status"] == "finished"


OF_THE_ENGINE = ("notification.process", "recovery", "alarm")


def check_envelopes(heard):
    for h in heard:
        service = "engine" if h.type.startswith(OF_THE_ENGINE) else "api"
        assert h.publisher == f"masakari-{service}:controller"
        is_bad = h.type.endswith("error") or h.type == "alarm.raise"
        assert h.priority == ("ERROR" if is_bad else "INFO")
        assert h.payload["masakari_object.namespace"] == "masakari"
        assert h.context["request_id"].startswith("req-")
        assert not h.context.get("auth_token")
        assert (h.data["fault"] is None) == (not h.type.endswith("error"))


def check_process(heard, row):
    assert [(h.type.rpartition(".")[2], h.data["status"]) for h in heard] == [
        ("start", "running"),
        ("error", "error"),
        ("start", "running"),
        ("end", "finished"),
    ]
    for h in heard:
        assert h.payload["masakari_object.name"] == "NotificationApiPayload"
        assert h.data["notification_uuid"] == row["notification_uuid"]
        assert h.data["payload"] == row["payload"]
    fault = heard[1].data["fault"]["masakari_object.data"]
    assert fault["exception"] == "VMsNotRecovered"
    assert fault["module_name"].startswith("masakari.engine")


def check_tasks(heard, row):
    assert {h.payload["masakari_object.name"] for h in heard} == {"RecoveryTaskPayload"}
    first = [(h.type.rpartition(".")[2], h.data["task"]) for h in heard if h.data["attempt"] == 1]
    assert [entry for entry in first if entry[0] != "progress"] == [
        ("begin", "DisableComputeServiceTask"),
        ("end", "DisableComputeServiceTask"),
        ("begin", "PrepareHAEnabledInstancesTask"),
        ("end", "PrepareHAEnabledInstancesTask"),
        ("begin", "EvacuateInstancesTask"),
        ("error", "EvacuateInstancesTask"),
    ]
    assert any(phase == "progress" for phase, _ in first)
    assert heard[-1].type == "recovery.task.end"
    for h in heard:
        assert h.data["notification_uuid"] == row["notification_uuid"]
        assert h.data["source_host_name"] == "compute1"
        assert h.data["failover_segment_name"] == "rack1"
        assert h.data["request_id"] == h.context["request_id"]


@pytest.fixture
def gate(rabbit_url):
    port = int(rabbit_url.rpartition(":")[2].partition("/")[0])
    with servers.Gate(port) as gate:
        yield gate


def behind(gate, rabbit_url):
    """The URL of the bus behind the gate."""
    before, _, after = rabbit_url.rpartition(":")
    return f"{before}:{gate.port}/{after.partition('/')[2]}"


def test_bus_away_nothing_waits_for_it_and_events_come_when_it_is_back(
    tmp_path, rabbit_url, gate, consumer
):
    with with_events(tmp_path, behind(gate, rabbit_url)) as deployment:
        consumer.wait_for("host.create.end")
        gate.shut()

        began = time.monotonic()
        path = deployment.report()
        assert time.monotonic() - began < 5
        deployment.wait_until_finished(path)
        assert consumer.of("notification") == []

        gate.open()
        consumer.wait_for("notification.process.end")
        consumer.wait_for("notification.create.end")
        engine, api = deployment.engine, deployment.server

    process = consumer.of("notification.process")
    assert types(process) == ["notification.process.start", "notification.process.end"]
    assert process[-1].data["status"] == "finished"
    assert process[0].at > consumer.of("host.create.end")[0].at
    assert not engine.said("Traceback")
    assert not api.said("Traceback")
    complaints = [line for line in engine.log.read_text().splitlines() if "ECONNREFUSED" in line]
    assert len(complaints) < 40


def test_bus_away_programs_end_soon_and_say_what_was_not_sent(tmp_path, rabbit_url, gate, consumer):
    with with_events(tmp_path, behind(gate, rabbit_url)) as deployment:
        consumer.wait_for("host.create.end")
        gate.shut()
        deployment.wait_until_finished(deployment.report())

        for program in (deployment.engine, deployment.server):
            began = time.monotonic()
            program.stop()
            assert time.monotonic() - began < 15
            assert program.returncode == 0
            assert program.said("events were not sent")
