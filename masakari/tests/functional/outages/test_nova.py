"""Nova is away, or slow."""

import pytest

from masakari.clock import SystemClock
from masakari.tests.functional.outages.site import AWAY_S, NOVA, SLOW_S, SOON_S, Since

pytestmark = pytest.mark.functional


def is_refused(answer):
    """The client is told soon that, and when, to come again."""
    said = answer.document.get("serviceUnavailable", {}).get("message", "")
    return (
        answer.status == 503
        and said.startswith("Nova is not available")
        and answer.retry_after_s > 0
        and answer.took_s < SOON_S
    )


def test_away_at_start(starting):
    site = starting
    site.api.start()
    site.register()
    site.gates[NOVA].shut()
    site.engine.start()
    site.monitor.start()
    site.kill_host()
    assert site.report().status == 202
    for program in (site.engine, site.monitor):
        program.wait_until_said("Nova is not available: ")
    assert is_refused(site.register_host("compute99"))

    site.gates[NOVA].open()

    site.wait_until_recovered()
    for program in (site.api, site.engine):
        site.register_host("compute99")
        program.wait_until_said("Nova is available again, after ")


def test_away_in_the_middle(site):
    api, engine, monitor = (Since(p) for p in (site.api, site.engine, site.monitor))
    with site.away(NOVA):
        site.kill_host()
        assert site.report().status == 202
        assert site.list_segments().status == 200
        assert is_refused(site.register_host("compute99"))
        monitor.wait_for("nobody is judged: Nova is not available")
        engine.wait_for("Nova is not available: ")
        SystemClock().sleep(AWAY_S)
        assert site.cloud.running()

    site.wait_until_recovered()
    assert site.register_host("compute99").status == 400
    monitor.wait_for("the observer can see again")
    api.wait_until_told("Nova")
    engine.wait_until_told("Nova")


def test_slow(site):
    with site.slow(NOVA):
        site.kill_host()
        assert site.report().status in (202, 409)
        answer = site.register_host("compute99")
        assert answer.status == 400
        assert SLOW_S <= answer.took_s < SOON_S

        site.wait_until_recovered(timeout_s=180)


def test_back_again(site):
    """Connections that a restart has cut cost nobody an answer."""
    logs = [Since(program) for program in (site.api, site.engine)]
    for _ in range(3):
        assert site.register_host("compute99").status == 400
        site.gates[NOVA].cut()
    site.kill_host()
    assert site.report().status in (202, 409)
    site.gates[NOVA].cut()

    site.wait_until_recovered()
    for said in logs:
        assert said.count("Nova is not available") == 0, said.text()
