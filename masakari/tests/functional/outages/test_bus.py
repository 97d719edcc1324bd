"""The message bus is away, or slow."""

import pytest

from masakari.clock import SystemClock
from masakari.tests.functional.outages.site import AWAY_S, BUS, Since

pytestmark = pytest.mark.functional

THE_BUS = "the message bus"
AT_ONCE_S = 5.0


def is_accepted(answer):
    return answer.status in (202, 409) and answer.took_s < AT_ONCE_S


def test_away_at_start(starting):
    site = starting
    site.gates[BUS].shut()
    site.api.start()
    site.engine.start()
    site.register()
    site.kill_host()
    answer = site.report()
    assert answer.status == 202
    assert answer.took_s < AT_ONCE_S
    site.wait_until_recovered()
    site.engine.wait_until_said("the message bus is not available: ")
    assert not site.engine.said("listening on the message bus")

    site.gates[BUS].open()

    site.engine.wait_until_said("listening on the message bus")
    site.engine.wait_until_said("the message bus is available again, after ")


def test_away_in_the_middle(site):
    api, engine = Since(site.api), Since(site.engine)
    with site.away(BUS):
        site.kill_host()
        assert is_accepted(site.report())
        assert site.list_segments().status == 200
        SystemClock().sleep(AWAY_S)
        site.wait_until_recovered()
        assert site.ready(site.engine_port)

    api.wait_until_told(THE_BUS)
    engine.wait_until_told(THE_BUS)


def test_slow(site):
    with site.slow(BUS):
        site.kill_host()
        assert is_accepted(site.report())
        assert site.list_segments().status == 200
        site.wait_until_recovered()


def test_back_again(site):
    """A connection that a restart has cut is made anew; nobody is told of it."""
    api, engine = Since(site.api), Since(site.engine)
    site.gates[BUS].cut()
    site.kill_host()
    assert is_accepted(site.report())

    site.wait_until_recovered()
    for said in (api, engine):
        assert said.count(f"{THE_BUS} is not available: ") == 0, said.text()
