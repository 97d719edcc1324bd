"""masakari-standalone: API, engine and host monitor in one process, for a lab or a small cloud."""

import dataclasses
import logging
import threading

from oslo_config import cfg
from oslo_log import log

import masakari.conf
from masakari import db, notifier, nova, rpc
from masakari.api import paste
from masakari.clock import SystemClock
from masakari.cmd import api, common, engine, health, options, server, tls, workers
from masakari.cmd import database as database_
from masakari.cmd.hostmonitor import hosts_check, memory_check
from masakari.cmd.systemd import Systemd
from masakari.engine.service import Engine
from masakari.errors import ConfigInvalid
from masakari.metrics import Program
from masakari.monitors import hostmonitor, report

LOG = log.getLogger(__name__)

HERE = "127.0.0.1"
API = "api"
"""The name of its threads where loops say that they get on."""
DRIVER = "nova"
"""The host monitor needs nothing but what the cloud has anyway."""


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run("masakari-standalone", serve, register=register, description=__doc__)


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options of all three on *conf*."""
    options.register_api(conf)
    masakari.conf.register_monitors(conf)


def serve(conf: cfg.ConfigOpts, systemd: Systemd) -> None:
    """Serve, recover and watch until a signal ends it."""
    common.hold_signals()
    check_hostmonitor(conf)
    logging.getLogger("keystonemiddleware.auth_token").addFilter(is_of_concern)
    # The engine and the monitor wait for Nova on a clock of their own, so that this can be ended;
    # the API has a client who waits, and the monitor looks again soon by itself.
    clock, pauses = SystemClock(), SystemClock()
    vitals = engine.make_vitals(clock)
    watched = health.Watched(conf, vitals, "masakari-standalone", tuple(Program), "engine_port")
    bus = rpc.transport(conf, default_url=rpc.IN_PROCESS)
    bus_outage, outages = rpc.watch(clock), nova.make_outages(clock)
    cloud = nova.connect(
        conf, pauses, meter=vitals.meter, contacts=vitals.contacts, outages=outages
    )
    name_keystone(conf)
    encryption = tls.adapter(conf)
    paste.warn(conf)
    listener = server.listen(
        address(conf), conf.masakari_api_listen_port, keepidle_s=conf.wsgi.tcp_keepidle
    )
    monitor = hostmonitor.build(
        conf,
        clock,
        cloud=nova.connect(
            conf,
            pauses,
            retries=nova.MONITOR_RETRIES,
            threads=1,
            meter=vitals.meter,
            contacts=vitals.contacts,
            outages=outages,
        ),
        masakari=report.connect(conf, endpoint=own_url(conf)),
        driver=DRIVER,
        kept=hostmonitor.state_file(conf),
        pulse=vitals.pulse,
        contacts=vitals.contacts,
        meter=vitals.meter,
    )
    database = db.session.connect(conf, clock)
    events = notifier.connect(conf, vitals.meter)
    world = engine.make_world(conf, clock, database, cloud, events, vitals=vitals)
    engine.warn(conf)
    with common.may_end():
        database_.wait_for(database, clock, systemd)
        db.migration.sync(conf)
    recovery = Engine(world)
    vitals.tell = lambda: [
        engine.held_leases(recovery),
        # the API and the engine do their work without
        dataclasses.replace(hosts_check(monitor), is_needed=False),
        memory_check(monitor),
    ]
    application = api.make_application(
        conf,
        clock,
        database,
        bus,
        events,
        meter=vitals.meter,
        bus_outage=bus_outage,
        outages=outages,
    )
    web = server.Server(
        conf, application, listener, encryption, beat=lambda: vitals.pulse.beat(API)
    )
    hears = engine.BusListener(
        lambda: rpc.server(conf, bus, recovery.recover), clock, bus_outage, vitals.contacts
    )
    stop_monitor = clock.event()
    threads = [
        threading.Thread(target=web.serve_prepared, name="api"),
        threading.Thread(target=monitor.run, args=(stop_monitor,), name="hostmonitor"),
    ]
    recovery.start()
    hears.start()
    web.get_ready()  # before somebody stops it
    for thread in threads:
        thread.start()
    serving = "listening on {} port {}".format(*listener.getsockname()[:2])
    LOG.info("%s", serving)
    vitals.pulse.expect(API, workers.PATIENCE_S)
    systemd.watch(vitals.pulse.stalled)
    common.wait_for_signal(conf, systemd, serving, world.exclusions.reload)
    vitals.pulse.rest(API)
    monitor.end(stop_monitor)
    recovery.let_go()
    pauses.interrupt()
    web.stop()
    hears.stop()
    recovery.stop()
    for thread in threads:
        thread.join()
    world.locks.close()
    notifier.close(events)
    database.dispose()
    watched.close()


def check_hostmonitor(conf: cfg.ConfigOpts) -> None:
    """Raise ConfigInvalid if the configuration wants another driver of the host monitor, or any
    source of pushes.
    """
    if conf.host.push:
        problem = "masakari-standalone only looks; pushes need a masakari-hostmonitor of its own"
        raise ConfigInvalid(group="host", option="push", problem=problem)
    location = conf.get_location("monitoring_driver", "host")
    is_default = location is None or location.location is cfg.Locations.opt_default
    if not is_default and conf.host.monitoring_driver != DRIVER:
        raise ConfigInvalid(
            group="host",
            option="monitoring_driver",
            problem=f"masakari-standalone always uses the driver {DRIVER}; "
            f"{conf.host.monitoring_driver!r} needs a masakari-hostmonitor of its own",
        )


def name_keystone(conf: cfg.ConfigOpts) -> None:
    """Clients without a token are sent to the Keystone that we use, unless to another one."""
    auth_url = getattr(conf.keystone_authtoken, "auth_url", None)  # with most kinds of credentials
    if auth_url:
        conf.set_default("www_authenticate_uri", auth_url, group="keystone_authtoken")


def is_of_concern(record: logging.LogRecord) -> bool:
    """Not that tokens are cached in the process: there is but one."""
    return "in-process token cache" not in str(record.msg)


def address(conf: cfg.ConfigOpts) -> str:
    """Where to listen: without authentication only here, unless the configuration says where."""
    location = conf.get_location("masakari_api_listen")
    is_default = location is None or location.location is cfg.Locations.opt_default
    if is_default and conf.auth_strategy == "noauth2":
        return HERE
    return str(conf.masakari_api_listen)


def own_url(conf: cfg.ConfigOpts) -> str:
    """Where this process's monitor reaches its API."""
    host = address(conf)
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104  compared, not bound
    scheme = "https" if conf.use_ssl else "http"
    return f"{scheme}://{HERE if everywhere else host}:{conf.masakari_api_listen_port}"
