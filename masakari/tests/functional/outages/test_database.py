"""The database is away, or slow."""

import pytest

from masakari.clock import SystemClock
from masakari.tests.functional.outages.site import AWAY_S, DATABASE, SOON_S, Since
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

THE_DATABASE = "the database"


def is_refused(answer):
    """The client is told soon that, and when, to come again."""
    return answer.status == 503 and answer.retry_after_s > 0 and answer.took_s < SOON_S


def test_away_at_start(starting):
    site = starting
    site.gates[DATABASE].shut()
    for program in (site.api, site.engine):
        program.start()
        program.wait_until_said("the database is not available: ")
    wait("the API refuses", lambda: is_refused(site.list_segments()), 60)
    assert site.call("GET", "/").status == 200
    assert not site.engine.said("started")

    site.gates[DATABASE].open()

    site.register()
    site.engine.wait_until_said("listening on the message bus")
    for program in (site.api, site.engine):
        program.wait_until_said("the database is available again, after ")
    site.kill_host()
    assert site.report().status == 202
    site.wait_until_recovered()


def test_away_in_the_middle(site):
    api, engine = Since(site.api), Since(site.engine)
    with site.away(DATABASE):
        site.kill_host()
        assert is_refused(site.list_segments())
        assert is_refused(site.report())
        assert site.call("GET", "/").status == 200
        engine.wait_for("the database is not available: ")
        SystemClock().sleep(AWAY_S)
        assert not site.ready(site.engine_port)

    site.wait_until_recovered()
    api.wait_until_told(THE_DATABASE)
    engine.wait_until_told(THE_DATABASE)


def test_slow(site):
    with site.slow(DATABASE):
        site.kill_host()
        answer = site.list_segments()
        assert answer.status == 200 or is_refused(answer)
        answer = site.report()
        assert answer.status in (202, 409) or is_refused(answer)

    site.wait_until_recovered()
    assert not site.engine.said("MSK-302")


def test_back_again(site):
    """Connections that the restart has cut cost nobody an answer."""
    for _ in range(3):
        site.gates[DATABASE].cut()
        assert site.list_segments().status == 200
    site.kill_host()
    assert site.report().status in (202, 409)
    site.gates[DATABASE].cut()

    site.wait_until_recovered()
