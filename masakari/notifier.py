"""How events leave the process: the drivers of oslo.messaging's notifications, in the background.

The message is built when something happens, and so has its time; it may be sent much later.  That
is why the drivers are called here, and not oslo.messaging's Notifier, which does both at once.
"""

import threading
from collections.abc import Iterable
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_utils import uuidutils
from stevedore import named

from masakari import background, rpc
from masakari.errors import ConfigInvalid
from masakari.events import SILENCE, Event, Events, Json
from masakari.metrics import UNMETERED, Meter

LOG = log.getLogger(__name__)

TOPIC = "versioned_notifications"
"""As in OpenStack, whatever `topics` says."""
GROUP = "oslo_messaging_notifications"
DRIVERS = "oslo.messaging.notify.drivers"
QUEUE_LENGTH = 1000
"""So many groups of events wait for a bus that is away: some 3 MB."""
FLUSH_S = 2.0
"""So long the end of a process waits for what is still to be sent."""


class Notifier:
    """Sends events.  Owns `_dropped`, under one lock."""

    is_on = True

    def __init__(
        self, drivers: Iterable[Any], *, host: str, retry: int, meter: Meter = UNMETERED
    ) -> None:
        """Hand messages to *drivers* (oslo.messaging's: untyped); *retry* as its option."""
        self._drivers = list(drivers)
        self._host = host
        # by its words -1 and None both mean for ever, but with -1 the rabbit driver gives up at
        # once if a new connection is refused
        self._retry = None if retry < 0 else retry
        self._sender = background.Sender("events", self._send, QUEUE_LENGTH, meter)
        self._dropped = 0
        self._lock = threading.Lock()

    def send(self, *events: Event) -> None:
        """They leave soon, in this order; returns at once, never raises."""
        is_taken = self._sender.put(events)
        with self._lock:
            before, self._dropped = self._dropped, 0 if is_taken else self._dropped + len(events)
        if not is_taken and before == 0:
            LOG.warning("events are dropped: %d wait for the message bus already", QUEUE_LENGTH)
        if is_taken and before:
            LOG.warning("events are sent again; %d were dropped", before)

    def close(self) -> None:
        """What waits is sent, if that does not take long; nothing is sent any more."""
        left = self._sender.close(FLUSH_S)
        if left + self._dropped:
            LOG.warning(
                "events were not sent, the message bus does not take them: %d were waiting, "
                "%d were dropped before",
                left,
                self._dropped,
            )

    def _send(self, events: tuple[Event, ...]) -> None:
        for event in events:
            message = self._message(event)
            for driver in self._drivers:
                try:
                    driver.notify(event.context, message, event.priority, self._retry)
                except Exception as e:  # whatever a driver raises
                    LOG.warning("event %s: not sent: %s: %s", event.type, type(e).__name__, e)

    def _message(self, event: Event) -> Json:
        return {
            "message_id": uuidutils.generate_uuid(),
            "publisher_id": f"{event.publisher}:{self._host}",
            "event_type": event.type,
            "priority": event.priority,
            "payload": event.payload,
            "timestamp": str(event.at),
        }


def connect(conf: cfg.ConfigOpts, meter: Meter = UNMETERED) -> Events:
    """As `[oslo_messaging_notifications]` says; without a driver nothing is sent.

    The connection is opened when the first event is sent.  Raises ConfigInvalid.
    """
    rpc.register(conf)
    names = _names(conf)
    if not names:
        return SILENCE
    with rpc.naming_url(GROUP if conf[GROUP].transport_url else "DEFAULT", conf):
        transport = oslo_messaging.get_notification_transport(conf)
    manager: Any = named.NamedExtensionManager(
        DRIVERS,
        names=names,
        invoke_on_load=True,
        invoke_args=(conf,),
        invoke_kwds={"topics": [TOPIC], "transport": transport},
        on_missing_entrypoints_callback=_refuse,
        on_load_failure_callback=_fail,
    )
    LOG.info("events are sent to topic %s by %s", TOPIC, ", ".join(names))
    return Notifier(
        (extension.obj for extension in manager),
        host=conf.DEFAULT.host,
        retry=conf[GROUP].retry,
        meter=meter,
    )


def close(events: Events) -> None:
    """At the end of a process: what waits is sent, if that does not take long."""
    if isinstance(events, Notifier):
        events.close()


def _names(conf: cfg.ConfigOpts) -> list[str]:
    """The drivers that send something."""
    names = list(dict.fromkeys(n for n in conf[GROUP].driver if n not in ("", "noop")))
    url = conf[GROUP].transport_url or conf.transport_url
    if str(url).startswith("fake:"):
        unheard = [name for name in names if name.startswith("messaging")]
        if unheard:
            # what nobody takes would pile up in the process
            LOG.warning(
                "[%s] driver %s has no effect: the bus within this process has no consumers",
                GROUP,
                ", ".join(unheard),
            )
        names = [name for name in names if name not in unheard]
    return names


def _refuse(missing: Iterable[str]) -> None:
    raise ConfigInvalid(
        group=GROUP,
        option="driver",
        problem=f"there is no driver {', '.join(sorted(missing))} (oslo.messaging has messagingv2, "
        "messaging, routing, log, noop)",
    )


def _fail(_manager: object, entry_point: Any, error: BaseException) -> None:
    raise ConfigInvalid(
        group=GROUP,
        option="driver",
        problem=f"{entry_point.name} cannot be loaded: {type(error).__name__}: {error}",
    )
