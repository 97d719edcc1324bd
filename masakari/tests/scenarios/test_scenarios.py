"""Every scenario, played as its expected log says and with every promise kept."""

import pytest

from masakari.sim import script

SCENARIOS = script.scenarios()


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.name for path in SCENARIOS])
def test_scenario_plays_as_expected_and_keeps_the_promises(path):
    run = script.play(script.parse((path / "script").read_text()))

    assert run.violations == []
    assert run.log == (path / "expected.log").read_text()


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.name for path in SCENARIOS])
def test_scenario_readme_says_what_and_why_in_two_lines(path):
    lines = (path / "README").read_text().splitlines()

    assert len(lines) == 2
    assert all(line.endswith(".") and len(line) <= 130 for line in lines)
