"""How events leave: drivers, messages, and what happens when they do not get away."""

import datetime
import logging
import queue
import threading

import pytest
from oslo_config import cfg
from oslo_messaging import conffixture

from masakari import conf as conf_
from masakari import events, notifier
from masakari.errors import ConfigInvalid
from masakari.events import Event
from masakari.notifier import Notifier

AT = datetime.datetime(2026, 1, 1, 0, 0, 1, 500000)
LONG_S = 30.0


@pytest.fixture
def conf():
    conf = cfg.ConfigOpts()
    conf_.register(conf)
    conf([], default_config_files=[])
    with conffixture.ConfFixture(conf):  # declares what oslo.messaging looks for on cfg.CONF only
        notifier.rpc.register(conf)
        yield conf


class Driver:
    """As one of oslo.messaging's."""

    def __init__(self, error=None, opened=None):
        self.sent = []
        self.done = queue.Queue()
        self.reached = threading.Event()
        self._error, self._opened = error, opened

    def notify(self, ctxt, msg, priority, retry):
        self.reached.set()
        if self._opened is not None:
            assert self._opened.wait(LONG_S)
        if self._error:
            raise self._error
        self.sent.append((ctxt, msg, priority, retry))
        self.done.put(msg)


def event(type_="segment.create.end", **payload):
    return Event(type_, events.API, payload, {"request_id": "req-1"}, AT)


def test_message_is_as_oslo_messaging_writes_it():
    driver = Driver()
    sender = Notifier([driver], host="controller", retry=-1)

    sender.send(event("host.create.start", a=1), event("host.create.error"))
    sender.close()

    (ctxt, message, priority, retry), (_, _, other_priority, _) = driver.sent
    assert len(message.pop("message_id")) == 36
    assert message == {
        "publisher_id": "masakari-api:controller",
        "event_type": "host.create.start",
        "priority": "INFO",
        "payload": {"a": 1},
        "timestamp": "2026-01-01 00:00:01.500000",
    }
    assert (ctxt, priority, retry) == ({"request_id": "req-1"}, "INFO", None)
    assert other_priority == "ERROR"


def test_driver_that_raises_does_not_keep_the_others_from_sending(caplog):
    driver = Driver()
    sender = Notifier([Driver(OSError("no route")), driver], host="controller", retry=0)

    sender.send(event())
    sender.close()

    assert len(driver.sent) == 1
    assert "event segment.create.end: not sent: OSError: no route" in caplog.text


def test_bus_away_what_does_not_fit_is_dropped_and_said_once_and_at_the_end(monkeypatch, caplog):
    monkeypatch.setattr(notifier, "QUEUE_LENGTH", 2)
    caplog.set_level(logging.WARNING)
    opened = threading.Event()
    driver = Driver(opened=opened)
    sender = Notifier([driver], host="controller", retry=-1)
    sender.send(event("in.flight"))
    assert driver.reached.wait(LONG_S)

    for n in range(5):
        sender.send(event(f"waits.{n}"), event("with.it"))
    opened.set()
    for _ in range(5):
        driver.done.get(timeout=LONG_S)
    sender.send(event("after.it"))
    sender.close()

    assert [m["event_type"] for _, m, _, _ in driver.sent] == [
        *("in.flight", "waits.0", "with.it", "waits.1", "with.it", "after.it")
    ]
    assert [r.getMessage() for r in caplog.records] == [
        "events are dropped: 2 wait for the message bus already",
        "events are sent again; 6 were dropped",
    ]


@pytest.mark.parametrize("drivers", [[], [""], ["noop"]], ids=str)
def test_no_driver_nothing_is_sent(conf, drivers):
    conf.set_override("driver", drivers, notifier.GROUP)

    assert notifier.connect(conf) is events.SILENCE


def test_driver_log_writes_to_the_log(conf, caplog):
    caplog.set_level(logging.INFO)
    conf.set_override("driver", ["log"], notifier.GROUP)
    conf.set_override("transport_url", "fake://")
    sender = notifier.connect(conf)

    sender.send(event(uuid="some-uuid"))
    notifier.close(sender)

    assert "some-uuid" in caplog.text


def test_bus_without_consumers_nothing_piles_up(conf, caplog):
    conf.set_override("driver", ["messagingv2"], notifier.GROUP)
    conf.set_override("transport_url", "fake://")

    assert notifier.connect(conf) is events.SILENCE
    assert "driver messagingv2 has no effect" in caplog.text


def test_unknown_driver_is_refused(conf):
    conf.set_override("driver", ["mesagingv2"], notifier.GROUP)

    with pytest.raises(ConfigInvalid, match=r"driver: there is no driver mesagingv2 \(oslo"):
        notifier.connect(conf)


@pytest.mark.parametrize("group", ["DEFAULT", notifier.GROUP])
def test_malformed_url_names_the_option_and_not_the_password(conf, group):
    conf.set_override("driver", ["messagingv2"], notifier.GROUP)
    conf.set_override(
        "transport_url", "rabbit://u:secret@h:port/", None if group == "DEFAULT" else group
    )

    with pytest.raises(ConfigInvalid) as error:
        notifier.connect(conf)

    assert str(error.value) == f"[{group}] transport_url: the port in the URL is not a number"
