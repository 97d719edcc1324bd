"""The message bus: a hint to the engines that there is work, never the only word.

The database is the truth: a lost message costs one sweep period, a doubled one nothing.  What is
sent leaves in the background, because a cast to a bus that is away blocks for tens of seconds.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_messaging import exceptions as messaging_exceptions
from oslo_messaging import opts as messaging_opts

from masakari import background
from masakari.clock import Clock
from masakari.context import admin_context, current_request_id
from masakari.errors import ConfigInvalid
from masakari.metrics import UNMETERED, Meter
from masakari.outage import Outage

LOG = log.getLogger(__name__)

EXCHANGE = "masakari"
VERSION = "2.0"
OPENSTACKS = "1.1"
"""Version 1 carries versioned objects.  We hear it, but do not speak it: what an engine of
OpenStack does not understand of ours the sweep finds."""
QUEUE_LENGTH = 1000
FLUSH_S = 2.0
"""So long the end of a process waits for what is still to be sent."""


MEANWHILE = "engines look for work themselves, each [engine] sweep_interval seconds"
DRIVER = "oslo.messaging._drivers.impl_rabbit"
"""The logger of the driver for RabbitMQ."""


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
    with naming_url("DEFAULT", conf):
        if default_url is not None:
            conf.set_default("transport_url", default_url)
        return oslo_messaging.get_rpc_transport(conf)


@contextlib.contextmanager
def naming_url(group: str, conf: cfg.ConfigOpts) -> Iterator[None]:
    """What is wrong with the group's transport_url is raised as ConfigInvalid, without the URL."""
    try:
        yield
    except (
        oslo_messaging.InvalidTransportURL,
        messaging_exceptions.MessagingException,
        ValueError,
    ) as e:
        url = conf.transport_url if group == "DEFAULT" else conf[group].transport_url
        problem = str(e).replace(str(url), "the URL")
        if "invalid literal for int()" in problem:
            problem = "the port in the URL is not a number"
        raise ConfigInvalid(group=group, option="transport_url", problem=problem) from None


def watch(clock: Clock, bus: str = "the message bus", meanwhile: str = MEANWHILE) -> Outage:
    """What the log says of the bus, in this process, instead of a line for each try.

    *bus* begins a sentence; *meanwhile* says what happens without it.
    """
    outage = Outage(bus, clock, meanwhile)
    logger = logging.getLogger(DRIVER)
    for earlier in [f for f in logger.filters if isinstance(f, _DriverLog)]:
        logger.removeFilter(earlier)
    logger.addFilter(_DriverLog(outage))
    return outage


class _DriverLog(logging.Filter):
    """The driver retries for ever, and tells nobody but the log: that is where we hear of it."""

    GONE = ("AMQP server on ", "AMQP server ", "Connection failed", "Unable to connect to AMQP")
    BACK = "Reconnected to AMQP"
    NOISE = ("A recoverable connection/channel error", "Unexpected error during heartbeat")

    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self._outage = outage

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is to be seen."""
        text = str(record.msg).removeprefix("[%(connection_id)s] ")
        if text.startswith(self.BACK):
            self._outage.answered(self._outage.now())
            return False
        if text.startswith(self.GONE):
            self._outage.failed(_why(record), is_final=False)
            return False
        return not (text.startswith(self.NOISE) or self._outage.is_told)


def _why(record: logging.LogRecord) -> str:
    """What the driver's line says: (error, pause), or {err_str, hostname, port, …}."""
    told = record.args
    if isinstance(told, Mapping):
        return f"{told['hostname']}:{told['port']}: {told['err_str']}"
    return str(told[0]) if told else record.getMessage()


class EngineClient:
    """Tells the engines, in the background."""

    def __init__(
        self, conf: cfg.ConfigOpts, bus: Any, outage: Outage, meter: Meter = UNMETERED
    ) -> None:
        """Send on *bus*, a `transport`; *outage* comes from `watch`."""
        self._outage = outage
        target = oslo_messaging.Target(topic=conf.masakari_topic, version=VERSION)
        self._client = oslo_messaging.get_rpc_client(bus, target)
        self._sender = background.Sender("bus", self._send, QUEUE_LENGTH, meter)

    def recover(self, uuid: str) -> None:
        """Some engine looks at the notification soon; returns at once, never raises."""
        if not self._sender.put((uuid, current_request_id())):
            LOG.warning("notification %s: not announced on the bus, the sweep finds it", uuid)

    def close(self) -> None:
        """At the end of a process: what waits is sent, if that does not take long."""
        if self._sender.close(FLUSH_S):
            LOG.warning("the bus does not take messages: the sweep finds what they were about")

    def _send(self, what: tuple[str, str | None]) -> None:
        uuid, request_id = what
        try:
            ctxt = admin_context(request_id).to_dict()
            self._client.cast(ctxt, "recover", notification_uuid=uuid)
        except Exception as e:  # whatever the bus's driver raises: it is only a hint
            LOG.debug("notification %s: not announced on the bus: %s", uuid, e)
            self._outage.failed(str(e))
        else:
            self._outage.answered(self._outage.now())


class _Endpoint:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, recover: Callable[[str], None]) -> None:
        self._recover = recover

    def recover(self, ctxt: object, notification_uuid: str) -> None:
        self._recover(notification_uuid)


class _OpenstacksEndpoint:
    """What an API of OpenStack says to its engines, while both are mixed during an upgrade."""

    target = oslo_messaging.Target(version=OPENSTACKS)

    def __init__(self, recover: Callable[[str], None]) -> None:
        self._recover = recover

    def process_notification(self, ctxt: object, notification: Any) -> None:  # of any form
        try:
            uuid = str(notification["masakari_object.data"]["notification_uuid"])
        except (KeyError, TypeError):
            LOG.warning("a message of RPC version 1 names no notification; the sweep finds it")
            return
        LOG.info("notification %s: announced by an API of OpenStack's Masakari", uuid)
        self._recover(uuid)

    def get_notification_recovery_workflow_details(
        self, ctxt: object, notification: object
    ) -> None:
        LOG.warning(
            "an API of OpenStack's Masakari asks for the details of a recovery; only that of this "
            "release has them"
        )
        try:
            raise NotImplementedError("only the API of this release has the details of a recovery")
        except NotImplementedError as e:
            raise oslo_messaging.ExpectedException from e  # answered without a traceback here


def server(conf: cfg.ConfigOpts, bus: Any, recover: Callable[[str], None]) -> Any:
    """An RPC server, not started, that hands each announced uuid to *recover*."""
    target = oslo_messaging.Target(topic=conf.masakari_topic, server=conf.DEFAULT.host)
    endpoints = [_Endpoint(recover), _OpenstacksEndpoint(recover)]
    return oslo_messaging.get_rpc_server(bus, target, endpoints)
