"""The backend of locks is away, or slow: only engines ask it."""

import pytest

from masakari.clock import SystemClock
from masakari.tests.functional.outages.site import AWAY_S, LOCKS, Since

pytestmark = pytest.mark.functional

THE_BACKEND = "the lock backend"


def test_away_at_start(starting):
    site = starting
    site.gates[LOCKS].shut()
    site.api.start()
    site.engine.start()
    site.register()
    site.kill_host()
    assert site.report().status == 202
    site.wait_until_recovered()
    site.engine.wait_until_said("the lock backend is not available: ")

    site.gates[LOCKS].open()

    site.engine.wait_until_said("the lock backend is available again, after ")


def test_away_in_the_middle(site):
    engine = Since(site.engine)
    with site.away(LOCKS):
        site.kill_host()
        assert site.report().status in (202, 409)
        SystemClock().sleep(AWAY_S)
        engine.wait_for("the lock backend is not available: no answer (Connection refused)")
        site.wait_until_recovered()

    engine.wait_until_told(THE_BACKEND)


def test_slow(site):
    with site.slow(LOCKS):
        site.kill_host()
        assert site.report().status in (202, 409)
        site.wait_until_recovered()


def test_back_again(site):
    """A connection that a restart has cut is made anew; nobody is told of it."""
    engine = Since(site.engine)
    site.gates[LOCKS].cut()
    site.kill_host()
    assert site.report().status in (202, 409)

    site.wait_until_recovered()
    assert engine.count(f"{THE_BACKEND} is not available") == 0, engine.text()
