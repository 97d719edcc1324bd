"""The push source nova_notifications: what Nova says of its hosts and VMs on its message bus.

=====================================  =============================================================
Nova says                              that is
=====================================  =============================================================
service.update of a nova-compute       somebody has forced it down or up, disabled or enabled it
libvirt.connect.error                  a host has lost its hypervisor
instance.*.error                       what was to be done to a VM has failed on its host
instance.update: it is in error now    the same
instance.power_off.end, and nobody     Nova has found the guest dead
has asked for it
everything else                        of no concern, what owners do to their VMs above all
=====================================  =============================================================

Each is a reason to look at the hosts, and no more.  Nova is silent when a service has not been
heard of, so nobody can do without looking.  (Nova's versioned notifications, as Nova 34 has them.)
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any, Self

import oslo_messaging
from oslo_config import cfg

from masakari import clock as clock_
from masakari import rpc
from masakari.errors import ConfigInvalid
from masakari.monitors.pushes import Wake

LOG = logging.getLogger(__name__)

NAME = "nova_notifications"
PAUSE_S = 10.0
"""Between two tries to listen."""
OF_CONCERN = (
    r"^(service\.update|libvirt\.connect\.error"
    r"|instance\.(update|power_off\.end|[a-z_]+\.error))$"
)
MEANWHILE = "hosts are looked at each [host] monitoring_interval seconds"


class NovaNotificationDriver:
    """Listens with a queue of its own.  A bus that is away is waited for in the background."""

    def __init__(self, conf: cfg.ConfigOpts, clock: clock_.Clock, wake: Wake) -> None:
        """Nobody listens yet.  Raises ConfigInvalid."""
        url = conf.nova_notifications.transport_url
        if not url:
            raise ConfigInvalid(group=NAME, option="transport_url", problem="it is not set")
        rpc.register(conf)
        with rpc.naming_url(NAME, conf):
            self._transport = oslo_messaging.get_notification_transport(conf, url=url)
        self._exchange = conf.nova_notifications.exchange
        self._topics = conf.nova_notifications.topics
        self._pool = conf.nova_notifications.pool or f"masakari-hostmonitor-{conf.hostname}"
        self._endpoint = _Endpoint(wake)
        self._outage = rpc.watch(clock, "Nova's message bus", MEANWHILE)
        self._stop = clock.event()
        self._listener: Any = None  # untyped library

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, clock: clock_.Clock, wake: Wake) -> Self:
        """The source that [nova_notifications] describes.  Raises ConfigInvalid."""
        return cls(conf, clock, wake)

    def start(self) -> None:
        """As pushes.Source."""
        # daemon: with the bus away neither start nor stop return
        threading.Thread(target=self._listen, name=NAME, daemon=True).start()

    def stop(self) -> None:
        """As pushes.Source."""
        self._stop.set()
        if self._listener is not None:
            threading.Thread(target=self._listener.stop, name=f"{NAME}-stop", daemon=True).start()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                listener = self._connect()
                listener.start()
            except Exception as e:  # whatever the bus's driver raises
                self._outage.failed(f"{type(e).__name__}: {e}")
                self._stop.wait(PAUSE_S)
            else:
                self._listener = listener
                self._outage.answered(self._outage.now())
                LOG.info(
                    "listening to Nova's notifications in the queue %s of the exchange %s",
                    self._pool,
                    self._exchange,
                )
                return

    def _connect(self) -> Any:
        targets = [
            oslo_messaging.Target(exchange=self._exchange, topic=topic) for topic in self._topics
        ]
        return oslo_messaging.get_notification_listener(
            self._transport, targets, [self._endpoint], pool=self._pool
        )


class _Endpoint:
    """As oslo.messaging calls it; anything may come."""

    filter_rule = oslo_messaging.NotificationFilter(event_type=OF_CONCERN)

    def __init__(self, wake: Wake) -> None:
        self._wake = wake

    def info(
        self, _ctxt: object, publisher_id: str, event_type: str, payload: Any, _metadata: object
    ) -> None:
        try:
            why = reason(event_type, publisher_id, payload)
        except (LookupError, TypeError, AttributeError) as e:
            LOG.debug("a notification %s is not as Nova's are: %r", event_type, e)
            return
        if why:
            self._wake(NAME, f"Nova says that {why}")

    error = info


def reason(event_type: str, publisher_id: str, payload: Mapping[str, Any]) -> str | None:
    """Why the notification should have us look; None: it is of no concern.

    Raises LookupError, TypeError or AttributeError where it has another form than Nova's.
    """
    said = payload["nova_object.data"]
    if event_type == "service.update":
        return _of_service(said)
    if event_type == "libvirt.connect.error":
        return f"{publisher_id.rpartition(':')[2]} has lost its hypervisor"
    vm = f"VM {said['uuid']} on {said['host']}"
    if event_type.endswith(".error"):
        return f"{event_type.split('.')[1]} of {vm} has failed"
    if event_type == "instance.power_off.end":
        return None if said["action_initiator_user"] else f"{vm} was found dead"
    change = said["state_update"]["nova_object.data"]
    has_failed = change["state"] == "error" != change["old_state"]
    return f"{vm} is in error" if has_failed else None


def _of_service(said: Mapping[str, Any]) -> str | None:
    if said["binary"] != "nova-compute":
        return None
    if said["forced_down"]:
        is_now = "forced down"
    else:
        is_now = "disabled" if said["disabled"] else "enabled, and not forced down"
    return f"nova-compute on {said['host']} is {is_now}"
