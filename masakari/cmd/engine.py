"""masakari-engine: takes notifications and carries out recoveries."""

import os
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from oslo_config import cfg
from oslo_log import log

from masakari import contacts, db, locks, notifier, nova, rpc
from masakari.clock import Clock, SystemClock
from masakari.cloud import Cloud
from masakari.cmd import common, health, options
from masakari.cmd import database as database_
from masakari.cmd.systemd import Systemd
from masakari.engine import exclusions, flows
from masakari.engine.service import Engine
from masakari.engine.world import World
from masakari.events import Events
from masakari.metrics import Program
from masakari.outage import Outage

LOG = log.getLogger(__name__)

BUS_PAUSE_S = 10.0


def pool(threads: int, name: str) -> Executor:
    """Operating-system threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name)


def make_world(
    conf: cfg.ConfigOpts,
    clock: Clock,
    database: Any,
    cloud: Cloud,
    events: Events,
    *,
    vitals: health.Vitals,
) -> World:
    """The real surroundings of an engine of this process.  Raises ConfigInvalid.

    Who ends the process closes `locks` and `events`.
    """
    return World(
        conf=conf,
        database=database,
        progress=db.progress.connect(conf, clock, database),
        cloud=cloud,
        clock=clock,
        pool=pool,
        owner=f"{conf.DEFAULT.host}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
        exclusions=exclusions.load(conf.engine.exclusions_file),
        flows=flows.load(conf),
        pulse=vitals.pulse,
        contacts=vitals.contacts,
        meter=vitals.meter,
        locks=locks.connect(conf, clock),
        events=events,
    )


def make_vitals(clock: Clock) -> health.Vitals:
    """What an engine is asked about its health; it finds its work without the bus, too."""
    return health.Vitals(
        clock,
        needs=(contacts.DATABASE,),
        uses=(contacts.KEYSTONE, contacts.NOVA),
        likes=(contacts.BUS,),
    )


def held_leases(engine: Engine) -> health.Check:
    """How many notifications the engine works on."""
    return health.Check("leases", True, f"{engine.held_leases()} held")


def warn(conf: cfg.ConfigOpts) -> None:
    """Say which choice that may lose a VM's disk the operator has not made."""
    if conf.host_failure.ephemeral_storage is None:
        LOG.warning(
            "[host_failure] ephemeral_storage is not set: every host is taken to reach the disks "
            "of all VMs; where that is not so, evacuated VMs that do not boot from a volume lose "
            "their data: set it to shared or local"
        )


class BusListener:
    """Hears what the API announces.  A bus that is away is waited for in the background."""

    def __init__(
        self,
        make_server: Callable[[], Any],
        clock: Clock,
        outage: Outage,
        known: contacts.Contacts | None = None,
    ) -> None:
        """Hear with what *make_server* returns, an `rpc.server`, once started."""
        self._contacts = known or contacts.Contacts(clock)
        self._make_server = make_server
        self._outage = outage
        self._server: Any = None  # untyped library
        self._stop = clock.event()

    def start(self) -> None:
        """Return at once."""
        # daemon: with the bus away neither start nor stop return
        threading.Thread(target=self._start, name="bus-listener", daemon=True).start()

    def _start(self) -> None:
        while not self._stop.is_set():
            try:
                server = self._make_server()
                server.start()
            except Exception as e:  # whatever the bus's driver raises: the sweep finds the work
                self._contacts.failed(contacts.BUS, type(e).__name__)
                self._outage.failed(f"{type(e).__name__}: {e}")
                self._stop.wait(BUS_PAUSE_S)
            else:
                self._server = server
                self._contacts.answered(contacts.BUS)
                self._outage.answered(self._outage.now())
                LOG.info("listening on the message bus")
                return

    def stop(self) -> None:
        """Nothing is heard any more."""
        self._stop.set()
        if self._server is not None:
            threading.Thread(target=self._server.stop, name="bus-stop", daemon=True).start()


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run(
        "masakari-engine", serve, register=options.register_engine, description=__doc__
    )


def serve(conf: cfg.ConfigOpts, systemd: Systemd) -> None:
    """Work until a signal ends it."""
    common.hold_signals()
    clock = SystemClock()
    vitals = make_vitals(clock)
    watched = health.Watched(
        conf, vitals, "masakari-engine", (Program.ENGINE,), option="engine_port"
    )
    bus = rpc.transport(conf)
    pauses = SystemClock()  # Nova's own: at the end nobody waits until it may be asked again
    cloud = nova.connect(conf, pauses, meter=vitals.meter, contacts=vitals.contacts)
    database = db.session.connect(conf, clock)
    events = notifier.connect(conf, vitals.meter)
    world = make_world(conf, clock, database, cloud, events, vitals=vitals)
    warn(conf)
    with common.may_end():
        database_.wait_for(database, clock, systemd)
    engine = Engine(world)
    vitals.tell = lambda: [held_leases(engine)]
    engine.start()
    listener = BusListener(
        lambda: rpc.server(conf, bus, engine.recover), clock, rpc.watch(clock), vitals.contacts
    )
    listener.start()
    systemd.watch(vitals.pulse.stalled)
    common.wait_for_signal(conf, systemd, "recovering what fails", world.exclusions.reload)
    listener.stop()
    engine.let_go()
    pauses.interrupt()
    engine.stop()
    world.locks.close()
    notifier.close(world.events)
    database.dispose()
    watched.close()
