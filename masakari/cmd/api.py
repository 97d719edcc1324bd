"""masakari-api: the REST API, several worker processes that accept from one socket."""

import contextlib
import gc
import multiprocessing
import os
import pathlib
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import cotyledon
from cotyledon.types import WorkerId
from oslo_config import cfg
from oslo_log import log

from masakari import db, exposition, notifier, nova, rpc, tally
from masakari.api import app, paste
from masakari.api.middleware import Application
from masakari.clock import Clock, SystemClock
from masakari.cmd import api_health, checks, common, health, options, server, tls, workers
from masakari.cmd import database as database_
from masakari.cmd.systemd import Systemd
from masakari.events import SILENCE, Events
from masakari.metrics import UNMETERED, Meter, Program
from masakari.outage import Outage

LOG = log.getLogger(__name__)

NOVA_RETRIES = 2
"""A client waits for the answer; it can ask again."""


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    return common.run("masakari-api", serve, register=options.register_api, description=__doc__)


def serve(conf: cfg.ConfigOpts, systemd: Systemd) -> None:
    """Supervise worker processes until a signal ends it."""
    end_gently_on_ctrl_c()
    # what the workers will do is tried here, so that a bad configuration ends the program
    make_application(conf, SystemClock(), events=notifier.connect(conf))
    encryption = tls.adapter(conf)
    paste.warn(conf)
    host, port = conf.masakari_api_listen, conf.masakari_api_listen_port
    listener = server.listen(host, port, keepidle_s=conf.wsgi.tcp_keepidle)
    count = conf.masakari_api_workers or os.cpu_count() or 1
    clock = SystemClock()
    beats = workers.Beats(count, clock)
    overseer = workers.Overseer(
        beats, systemd, clock, f"listening on {host} port {port} with {count} workers"
    )
    manager = cotyledon.ServiceManager(
        graceful_shutdown_timeout=conf.graceful_shutdown_timeout,
        mp_context=multiprocessing.get_context("fork"),
    )
    manager.add(Worker, count, args=(conf, listener, encryption, beats))
    manager.register_hooks(on_terminate=systemd.stopping)
    manager.register_hooks(on_terminate=listener.close)
    # the workers end themselves gently at SIGHUP, and new ones are forked
    manager.register_hooks(on_reload=lambda: overseer.reload(lambda: common.read_again(conf)))
    with contextlib.ExitStack() as stack:
        if conf.health.api_port is not None:
            stack.enter_context(shown_health(conf, manager, overseer))
        LOG.info("listening on %s port %d with %d workers", host, port, count)
        overseer.start()
        manager.run()


@contextlib.contextmanager
def shown_health(
    conf: cfg.ConfigOpts, manager: cotyledon.ServiceManager, overseer: workers.Overseer
) -> Iterator[None]:
    """One more process shows health and metrics of all workers.  Raises ConfigInvalid."""
    where, port = conf.health.listen, conf.health.api_port
    token = health.read_token(conf)
    listener = server.listen(where, port, option=("health", "api_port"))
    with common_directory() as directory:
        render = exposition.of_all_workers(directory, "masakari-api", health.version())

        def answering(vitals: health.Vitals) -> health.Endpoint:
            shown = api_health.ApiHealth(vitals, overseer.stalled)
            return health.Endpoint(listener, shown, render, token)

        manager.add(api_health.HealthService, 1, args=(conf, answering))
        # workers that finish what is in flight have the socket, too: it would take callers in
        manager.register_hooks(on_terminate=lambda: listener.shutdown(socket.SHUT_RDWR))
        LOG.info("health and metrics: listening on %s port %d", where, port)
        yield


def end_gently_on_ctrl_c() -> None:
    """SIGINT is SIGTERM from now on: cotyledon's would end requests in flight, with status 1.

    It is blocked, so that the workers, which a terminal sends it too, leave it to their parent.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def pass_on() -> None:
        signal.sigwait({signal.SIGINT})
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=pass_on, name="ctrl-c", daemon=True).start()


def make_application(
    conf: cfg.ConfigOpts,
    clock: Clock,
    database: db.session.Database | None = None,
    bus: Any = None,  # untyped library
    events: Events = SILENCE,
    *,
    meter: Meter = UNMETERED,
    bus_outage: Outage | None = None,
    outages: nova.Outages | None = None,
) -> Application:
    """The API; connections that are not given are its own, each opened when it is first used."""
    outages = outages or nova.make_outages(clock)
    database = database or db.session.connect(conf, clock)
    application = app.make_app(
        conf,
        database=database,
        progress=db.steps.connect(conf, clock, database),
        cloud=nova.connect(
            conf,
            clock,
            retries=NOVA_RETRIES,
            threads=conf.masakari_api_threads,
            meter=meter,
            outages=outages,
        ),
        engine=rpc.EngineClient(
            conf, bus or rpc.transport(conf), bus_outage or rpc.watch(clock), meter
        ),
        events=events,
        meter=meter,
        keystone=outages["Keystone"],
    )
    checks.check(conf)  # also what the middleware has declared only now
    return application


def spare_what_start_up_made() -> None:
    """Let the garbage collector never look at it again, and look less often at the rest.

    It takes 45 ms each time, in which no request goes on; a list of 1000 rows makes it look.
    Requests and connections leave it nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def stay_on_one_cpu(number: int) -> None:
    """This thread, and those that it starts, run on the *number*th CPU, counted around.

    Python runs one of them at a time anyway, and on another CPU each is slow at first.
    """
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[number % len(cpus)]})


def worker_meter() -> Meter:
    """Counts for all workers together, where they have a directory for that."""
    if not os.environ.get(exposition.MULTIPROC_DIR):
        return UNMETERED
    return exposition.of_worker((Program.API,))


@contextlib.contextmanager
def common_directory() -> Iterator[pathlib.Path]:
    """The directory in which the workers' metrics meet, empty; one of our own is removed again."""
    given = os.environ.get(exposition.MULTIPROC_DIR)
    if given:
        directory = pathlib.Path(given)
        for path in directory.glob(tally.FILES):
            path.unlink()  # of an earlier start
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="masakari-api-metrics-") as made:
        os.environ[exposition.MULTIPROC_DIR] = made
        yield pathlib.Path(made)


class Worker(cotyledon.Service):  # type: ignore[misc]  # cotyledon is untyped
    """One process; everything that it opens, it opens after the fork."""

    name = "masakari-api"

    def __init__(
        self,
        worker_id: WorkerId,
        conf: cfg.ConfigOpts,
        listener: socket.socket,
        encryption: tls.Adapter | None,
        beats: workers.Beats,
    ) -> None:
        """Accept from *listener*."""
        super().__init__(worker_id)
        clock = SystemClock()
        self._database = db.session.connect(conf, clock)
        meter = worker_meter()
        self._events = notifier.connect(conf, meter)
        application = make_application(
            conf, clock, self._database, events=self._events, meter=meter
        )
        self._beats, self._number = beats, int(worker_id)
        self._is_pinned = conf.masakari_api_pin_workers
        self._server = server.Server(
            conf, application, listener, encryption, beat=lambda: beats.beat(self._number)
        )

    def run(self) -> None:
        """Serve; while the database is away requests are answered with 503."""
        database_.is_answering(self._database)
        spare_what_start_up_made()
        if self._is_pinned:
            stay_on_one_cpu(self._number)
        self._server.get_ready()
        self._beats.begin(self._number)
        self._server.serve_prepared()

    def terminate(self) -> None:
        """Finish what is in flight, accept nothing new."""
        self._beats.rest(self._number)
        self._server.stop()
        notifier.close(self._events)
        self._database.dispose()
