"""Check of the message bus: nothing is sent that anybody receives, no queue or exchange is made."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from masakari import rpc
from masakari.clock import Clock
from masakari.cmd.readiness.findings import Finding, Verdict
from masakari.errors import ConfigInvalid

NAME = "Message bus"
DRIVER = "RabbitDriver"
ONCE = 1
"""Retries of a connection: kombu takes 0 for no limit."""
PATIENCE_S = 10
"""So long each answer of the server is waited for."""


def bus(conf: cfg.ConfigOpts, _clock: Clock) -> list[Finding]:
    """The bus lets us in, has the engines' queue, and takes what the API sends."""
    try:
        transport = rpc.transport(conf)
    except ConfigInvalid as e:
        return [Finding(NAME, Verdict.FAIL, str(e))]
    if not _is_rabbit(transport):
        return [Finding(NAME, Verdict.UNKNOWN, "only RabbitMQ can be looked at.")]
    try:
        with _connected(transport) as connection:
            return [
                Finding(NAME, Verdict.OK),
                _queue(connection, conf.masakari_topic),
                _sending(connection, conf.control_exchange),
            ]
    except Exception as e:  # whatever the bus's libraries raise
        return [
            Finding(
                NAME,
                Verdict.FAIL,
                f"{_words(e)}: look at [DEFAULT] transport_url, [oslo_messaging_rabbit] and at the "
                "server; until then engines find new notifications only by their sweeps.",
            )
        ]
    finally:
        transport.cleanup()


def can_be_asked(conf: cfg.ConfigOpts) -> bool:
    """The bus is RabbitMQ.  Raises ConfigInvalid."""
    transport = rpc.transport(conf)
    try:
        return _is_rabbit(transport)
    finally:
        transport.cleanup()


def problem(conf: cfg.ConfigOpts) -> str | None:
    """Why RabbitMQ does not let us in, None if it does.  Raises ConfigInvalid."""
    transport = rpc.transport(conf)
    try:
        with _connected(transport):
            return None
    except Exception as e:  # whatever the bus's libraries raise
        return _words(e)
    finally:
        transport.cleanup()


def _is_rabbit(transport: Any) -> bool:
    return type(transport._driver).__name__ == DRIVER


@contextlib.contextmanager
def _connected(transport: Any) -> Iterator[Any]:  # untyped library
    """As programs connect, with all options of oslo.messaging, which has no other way to ask for a
    connection without sending anything.
    """
    # one "to listen": no thread of the library reads from it besides us
    connection = transport._driver._connection_pool.create("listen", retry=ONCE)
    with contextlib.closing(connection):
        connection.set_transport_socket_timeout(PATIENCE_S)
        yield connection.connection


def _queue(connection: Any, topic: str) -> Finding:  # untyped library
    name = f"{NAME}: queue {topic}"
    try:
        channel = connection.channel()
        found = channel.queue_declare(queue=topic, passive=True)
    except Exception as e:  # whatever the bus's libraries raise
        if _code(e) == NOT_FOUND:
            return Finding(
                name, Verdict.WARN, "there is none yet: an engine makes it when it starts first."
            )
        return Finding(name, Verdict.FAIL, f"{_words(e)}: {GRANT}")
    if not found.consumer_count:
        return Finding(name, Verdict.WARN, "no engine listens: start one.")
    return Finding(name, Verdict.OK, f"engines that listen: {found.consumer_count}")


def _sending(connection: Any, exchange: str) -> Finding:
    """A message to a topic that nobody has: the server looks at the right, and drops it."""
    name = f"{NAME}: send to exchange {exchange}"
    try:
        channel = connection.channel()
        message = channel.prepare_message("", content_encoding="utf-8")
        topic = f"masakari-check-{uuid.uuid4()}"
        channel.basic_publish_confirm(message, exchange=exchange, routing_key=topic)
    except Exception as e:  # whatever the bus's libraries raise
        if _code(e) == NOT_FOUND:
            return Finding(
                name, Verdict.WARN, "there is none yet: an engine makes it when it starts first."
            )
        return Finding(name, Verdict.FAIL, f"{_words(e)}: {GRANT}")
    return Finding(name, Verdict.OK)


NOT_FOUND = 404
GRANT = "give the user of transport_url configure, write and read permissions in its virtual host."


def _code(error: Exception) -> int | None:
    """AMQP's."""
    return getattr(error, "reply_code", None) or getattr(error, "code", None)


def _words(error: Exception) -> str:
    """What the server or the library says, on one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
