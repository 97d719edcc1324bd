"""The process of masakari-api that tells of the health of all its workers, and of what they need.

An API at rest asks nobody, so this process does, on its own: `contacts` has what came of it.
"""

import threading
from collections.abc import Callable, Sequence

import cotyledon
from cotyledon.types import WorkerId
from oslo_config import cfg
from oslo_log import log

from masakari import contacts, db, nova, rpc
from masakari.clock import Clock, Event, SystemClock
from masakari.cloud import Cloud
from masakari.cmd import health
from masakari.cmd.readiness import bus
from masakari.errors import CloudUnavailable, MasakariError
from masakari.nova import reach
from masakari.outage import Outage

LOG = log.getLogger(__name__)

DATABASE_S, OTHERS_S = 5.0, 30.0
"""So often each of them is asked."""
FIRST_S = 2.0
"""So long a caller waits for the first answer of the database."""
STALLED_S = 60.0
"""A database that has said nothing for so long does not answer."""

Ask = Callable[[], str | None]
"""Returns what is wrong, or raises MasakariError."""
Stalled = Callable[[], Sequence[str]]
Answering = Callable[[health.Vitals], health.Endpoint]


def make_vitals(clock: Clock) -> health.Vitals:
    """What an API needs; all APIs have the same Keystone, Nova and bus: none is better off."""
    return health.Vitals(
        clock,
        needs=(contacts.DATABASE,),
        likes=(contacts.KEYSTONE, contacts.NOVA, contacts.BUS),
    )


class ApiHealth:
    """A Health: alive while the workers get on, ready while the database is as it should be."""

    def __init__(self, vitals: health.Vitals, stalled: Stalled) -> None:
        """*stalled* names the workers that do not get on."""
        self._vitals = vitals
        self._stalled = stalled

    def stalled(self) -> Sequence[str]:
        """As Health."""
        return self._stalled()

    def checks(self) -> Sequence[health.Check]:
        """As Health."""
        found = [health.Check(name, False, "does not get on") for name in self._stalled()]
        return [*found, *self._vitals.checks()]


def ask_nova(cloud: Cloud, host: str) -> None:
    """Nova has given what the API itself asks for.  Raises CloudUnavailable and CloudRefused.

    It need not know the *host*: the answer is short.
    """
    cloud.compute_services(host)


def look(who: str, ask: Ask, known: contacts.Contacts) -> None:
    """Note whether *who* of `contacts` has answered *ask* as it should."""
    try:
        problem = ask()
    except CloudUnavailable as e:  # Nova is reached through Keystone
        who, problem = str(e.details["service"]), str(e.details["detail"])
    except MasakariError as e:
        problem = str(e.details.get("detail", e))
    except Exception as e:
        problem = f"unexpected {type(e).__name__}, see the log"  # its words may have secrets
        before = known.known().get(who)
        if before is None or before.problem != problem:
            LOG.exception("health: asking %s failed", who)
    if problem is None:
        known.answered(who)
    else:
        known.failed(who, problem)


def ask_bus(conf: cfg.ConfigOpts, outage: Outage) -> str | None:
    """Why RabbitMQ does not let us in; *outage*, which hears of failed tries only, is told too."""
    asked_at = outage.now()
    problem = bus.problem(conf)
    if problem is None:
        outage.answered(asked_at)
    return problem


class HealthService(cotyledon.Service):  # type: ignore[misc]  # cotyledon is untyped
    """Answers `[health] api_port`; everything that it opens, it opens after the fork."""

    name = "masakari-api-health"

    def __init__(self, worker_id: WorkerId, conf: cfg.ConfigOpts, answering: Answering) -> None:
        """Answer with the endpoint that *answering* makes."""
        super().__init__(worker_id)
        self._conf = conf
        self._clock = SystemClock()
        self._stop = self._clock.event()
        self._vitals = make_vitals(self._clock)
        self._endpoint = answering(self._vitals)

    def run(self) -> None:
        """Look and answer, until a signal ends it."""
        conf, clock = self._conf, self._clock
        database = db.session.connect(conf, clock)
        cloud = nova.connect(conf, clock, retries=0, threads=1)
        outage = rpc.watch(clock)
        self._vitals.pulse.expect(contacts.DATABASE, STALLED_S)
        asked = self._repeat(contacts.DATABASE, DATABASE_S, lambda: db.standing.problem(database))
        self._repeat(contacts.KEYSTONE, OTHERS_S, lambda: reach.ask_keystone(conf))
        self._repeat(contacts.NOVA, OTHERS_S, lambda: ask_nova(cloud, conf.DEFAULT.host))
        if bus.can_be_asked(conf):
            self._repeat(contacts.BUS, OTHERS_S, lambda: ask_bus(conf, outage))
        asked.wait(FIRST_S)  # who asks now waits for a true answer
        self._endpoint.run()

    def terminate(self) -> None:
        """Stop; who hangs in a question is not waited for."""
        self._stop.set()
        self._endpoint.close()

    def _repeat(self, who: str, pause_s: float, ask: Ask) -> Event:
        """Ask from now on, in a thread of its own; set when it was asked."""
        asked = self._clock.event()

        def run() -> None:
            while not self._stop.is_set():
                look(who, ask, self._vitals.contacts)
                asked.set()
                self._vitals.pulse.beat(who)
                self._stop.wait(pause_s)

        threading.Thread(target=run, name=f"health-{who}", daemon=True).start()
        return asked
