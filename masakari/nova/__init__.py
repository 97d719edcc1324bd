"""Access to Nova through openstacksdk: `NovaCloud` implements `cloud.Cloud`.

`connect` uses the credentials of the server programs, `connect_monitor` those of the monitors.
Both return at once; Keystone and Nova are first asked by the first verb.
"""

from collections.abc import Mapping

from oslo_config import cfg

from masakari import clock as clock_
from masakari.contacts import Contacts
from masakari.metrics import UNMETERED, Meter
from masakari.nova import auth
from masakari.nova.client import Client
from masakari.nova.cloud import NovaCloud
from masakari.outage import Outage

Outages = Mapping[str, Outage]
"""By the name of the service: Keystone, Nova."""

__all__ = ["NovaCloud", "connect", "connect_monitor", "make_outages"]

MONITOR_RETRIES = 2
"""A monitor looks again soon by itself."""


def connect(
    conf: cfg.ConfigOpts,
    clock: clock_.Clock,
    *,
    retries: int | None = None,
    threads: int | None = None,
    meter: Meter = UNMETERED,
    contacts: Contacts | None = None,
    outages: Outages | None = None,
) -> NovaCloud:
    """Nova with the credentials of os_privileged_user_* or [keystone_authtoken].

    *retries* replaces [nova] retries; *threads* is the number of threads that will use it at a
    time (by default as many as an engine has).  *meter* and *contacts* hear of each request;
    *outages* are those of this process, if it has some already.  Raises ConfigInvalid.
    """
    if threads is None:
        threads = (
            conf.host_failure_recovery_threads
            + conf.engine.recovery_threads
            + conf.instance_failure.recovery_threads
        )
    access = auth.server_access(conf, threads)
    if retries is None:
        retries = conf.nova.retries
    told = make_outages(clock) if outages is None else outages
    return NovaCloud(Client(access, clock, retries, meter, contacts, outages=told))


def make_outages(clock: clock_.Clock) -> Outages:
    """What the log says of Keystone and Nova."""
    return {
        "Keystone": Outage("Keystone", clock, "see [keystone_authtoken]"),
        "Nova": Outage("Nova", clock),
    }


def connect_monitor(
    conf: cfg.ConfigOpts,
    clock: clock_.Clock,
    *,
    retries: int = MONITOR_RETRIES,
    meter: Meter = UNMETERED,
    contacts: Contacts | None = None,
) -> NovaCloud:
    """Nova with the credentials of [api], or where it has none, of [keystone_authtoken].

    What it sees of Nova the monitor itself tells the log.  Raises ConfigInvalid.
    """
    return NovaCloud(Client(auth.monitor_access(conf), clock, retries, meter, contacts))
