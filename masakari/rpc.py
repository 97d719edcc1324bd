"""The message bus: a hint to the engines that there is work, never the only word.

The database is the truth: a lost message costs one sweep period, a doubled one nothing.  What is
sent leaves through a bounded queue and a thread of its own, because a cast to a bus that is away
blocks for tens of seconds.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_messaging import exceptions as messaging_exceptions
from oslo_messaging import opts as messaging_opts

from masakari.context import admin_context
from masakari.errors import ConfigInvalid

LOG = log.getLogger(__name__)

EXCHANGE = "masakari"
VERSION = "2.0"
"""Version 1 (OpenStack's) carries versioned objects; the two do not understand each other, and
the sweep takes what falls between them during an upgrade."""
QUEUE_LENGTH = 1000


class Engine(Protocol):
    """What the API knows of engines."""

    def recover(self, uuid: str) -> None:
        """Some engine looks at the notification soon; returns at once, never raises."""


IN_PROCESS = "fake://"
"""oslo.messaging's bus within one process."""


def register(conf: cfg.ConfigOpts) -> None:
    """Declare oslo.messaging's options on *conf*; safe to repeat."""
    oslo_messaging.set_transport_defaults(EXCHANGE)
    for group, options in messaging_opts.list_opts():
        conf.register_opts(options, group)


def transport(conf: cfg.ConfigOpts, default_url: str | None = None) -> Any:  # untyped library
    """The connection to the bus of `[DEFAULT] transport_url`; opened when it is first used.

    Raises ConfigInvalid.
    """
    register(conf)
    try:
        if default_url is not None:
            conf.set_default("transport_url", default_url)
        return oslo_messaging.get_rpc_transport(conf)
    except (
        oslo_messaging.InvalidTransportURL,
        messaging_exceptions.MessagingException,
        ValueError,
    ) as e:
        problem = str(e).replace(str(conf.transport_url), "the URL")
        if "invalid literal for int()" in problem:
            problem = "the port in the URL is not a number"
        raise ConfigInvalid(group="DEFAULT", option="transport_url", problem=problem) from None


class EngineClient:
    """Tells the engines.  Its thread starts with the first call, so that it survives a fork."""

    def __init__(self, conf: cfg.ConfigOpts, bus: Any) -> None:
        """Send on *bus*, a `transport`."""
        target = oslo_messaging.Target(topic=conf.masakari_topic, version=VERSION)
        self._client = oslo_messaging.get_rpc_client(bus, target)
        self._queue: queue.Queue[str] = queue.Queue(QUEUE_LENGTH)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def recover(self, uuid: str) -> None:
        """Some engine looks at the notification soon; returns at once, never raises."""
        with self._lock:
            if self._thread is None:
                # daemon: what it has not sent yet, the sweep finds
                self._thread = threading.Thread(target=self._send, name="bus", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(uuid)
        except queue.Full:
            LOG.warning("notification %s: not announced on the bus, the sweep finds it", uuid)

    def _send(self) -> None:
        while True:
            uuid = self._queue.get()
            try:
                self._client.cast(admin_context().to_dict(), "recover", notification_uuid=uuid)
            except Exception as e:  # whatever the bus's driver raises: it is only a hint
                LOG.warning("notification %s: not announced on the bus: %s", uuid, e)


class _Endpoint:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, recover: Callable[[str], None]) -> None:
        self._recover = recover

    def recover(self, ctxt: object, notification_uuid: str) -> None:
        self._recover(notification_uuid)


def server(conf: cfg.ConfigOpts, bus: Any, recover: Callable[[str], None]) -> Any:
    """An RPC server, not started, that hands each announced uuid to *recover*."""
    target = oslo_messaging.Target(topic=conf.masakari_topic, server=conf.DEFAULT.host)
    return oslo_messaging.get_rpc_server(bus, target, [_Endpoint(recover)])
