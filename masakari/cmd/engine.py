"""masakari-engine: takes notifications and carries out recoveries."""

import os
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from oslo_config import cfg
from oslo_log import log

from masakari import db, nova, rpc
from masakari.clock import Clock, SystemClock
from masakari.cloud import Cloud
from masakari.cmd import common
from masakari.cmd import database as database_
from masakari.engine.service import Engine
from masakari.engine.world import World

LOG = log.getLogger(__name__)


def pool(threads: int, name: str) -> Executor:
    """Operating-system threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name)


def make_world(conf: cfg.ConfigOpts, clock: Clock, database: Any, cloud: Cloud) -> World:
    """The real surroundings of an engine of this process."""
    return World(
        conf=conf,
        database=database,
        progress=db.progress.connect(conf, clock),
        cloud=cloud,
        clock=clock,
        pool=pool,
        owner=f"{conf.DEFAULT.host}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
    )


class BusListener:
    """Hears what the API announces.  A bus that is away is waited for in the background."""

    def __init__(self, conf: cfg.ConfigOpts, bus: Any, recover: Callable[[str], None]) -> None:
        """Call *recover* with each announced uuid, once started."""
        self._server = rpc.server(conf, bus, recover)
        self._started = threading.Event()

    def start(self) -> None:
        """Return at once."""
        # daemon: with the bus away neither start nor stop return
        threading.Thread(target=self._start, name="bus-listener", daemon=True).start()

    def _start(self) -> None:
        self._server.start()
        self._started.set()
        LOG.info("listening on the message bus")

    def stop(self) -> None:
        """Nothing is heard any more."""
        if self._started.is_set():
            threading.Thread(target=self._server.stop, name="bus-stop", daemon=True).start()


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run("masakari-engine", serve)


def serve(conf: cfg.ConfigOpts) -> None:
    """Work until a signal ends it."""
    clock = SystemClock()
    bus = rpc.transport(conf)
    database = database_.connect(conf, clock)
    pauses = SystemClock()  # Nova's own: at the end nobody waits until it may be asked again
    engine = Engine(make_world(conf, clock, database, nova.connect(conf, pauses)))
    engine.start()
    listener = BusListener(conf, bus, engine.recover)
    listener.start()
    common.wait_for_signal(conf)
    listener.stop()
    engine.let_go()
    pauses.interrupt()
    engine.stop()
    database.dispose()
