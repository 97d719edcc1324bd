"""Keystone is away, or slow."""

import pytest

from masakari.clock import SystemClock
from masakari.tests.functional.outages.site import AWAY_S, KEYSTONE, SLOW_S, SOON_S, Since
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional


def is_refused(answer):
    """The client is told soon that, and when, to come again."""
    said = answer.document.get("serviceUnavailable", {}).get("message", "")
    return (
        answer.status == 503
        and said.startswith("Keystone is not available")
        and answer.retry_after_s > 0
        and answer.took_s < SOON_S
    )


def test_away_at_start(starting):
    site = starting
    site.gates[KEYSTONE].shut()
    for program in (site.api, site.engine, site.monitor):
        program.start()
    wait("the API refuses", lambda: is_refused(site.list_segments()), 60)
    assert site.call("GET", "/").status == 200
    site.monitor.wait_until_said("Keystone is not available: ")
    site.engine.wait_until_said("listening on the message bus")

    site.gates[KEYSTONE].open()

    site.register()
    site.kill_host()
    site.wait_until_recovered()
    site.api.wait_until_said("Keystone is available again, after ")


def test_away_in_the_middle(site):
    known = site.sim.keystone.grant("alice", "admin", project="admin")
    assert site.list_segments(token=known).status == 200
    api = Since(site.api)
    with site.away(KEYSTONE):
        site.kill_host()
        assert is_refused(site.list_segments())
        assert is_refused(site.report())
        assert site.report(token=known).status in (202, 409)
        SystemClock().sleep(AWAY_S)
        assert is_refused(site.list_segments())
        assert site.list_segments(token=known).status == 200

    site.wait_until_recovered()
    assert site.list_segments().status == 200
    api.wait_until_told("Keystone")
    assert api.count("WARNING") == 1, api.text()


def test_slow(site):
    with site.slow(KEYSTONE):
        site.kill_host()
        answer = site.list_segments()
        assert answer.status == 200
        assert SLOW_S <= answer.took_s < SOON_S
        assert site.report().status in (202, 409)

        site.wait_until_recovered()


def test_back_again(site):
    """Connections that a restart has cut cost nobody an answer."""
    api = Since(site.api)
    for _ in range(3):
        site.gates[KEYSTONE].cut()
        assert site.list_segments().status == 200
    site.kill_host()
    site.gates[KEYSTONE].cut()

    site.wait_until_recovered()
    assert api.count("Keystone is not available") == 0, api.text()
