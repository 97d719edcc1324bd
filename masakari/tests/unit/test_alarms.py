"""The table of alarms, and that the runbook has each of them."""

import pathlib
import re

import pytest

from masakari.alarms import ALARMS

RUNBOOK = pathlib.Path(__file__).parents[3] / "doc" / "source" / "admin" / "runbook.rst"


def test_codes_and_names_are_unique_and_well_formed():
    assert len({alarm.code for alarm in ALARMS}) == len({a.name for a in ALARMS}) == len(ALARMS)
    for alarm in ALARMS:
        assert re.fullmatch(r"MSK-\d{3}", alarm.code)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", alarm.name)
        assert alarm.summary.endswith(".")
        assert alarm.cleared.endswith(".")


@pytest.mark.skipif(not RUNBOOK.exists(), reason="this test reads the source tree")
def test_runbook_has_a_section_for_each_alarm_and_for_no_other():
    text = RUNBOOK.read_text()
    sections = re.findall(r"^(MSK-\d{3}) (\S+)\n=+\n((?:(?!^\.\. _|^Other).*\n)*)", text, re.M)

    assert [(code, name) for code, name, _ in sections] == [(a.code, a.name) for a in ALARMS]
    for code, _, section in sections:
        assert "*Do:*" in section, code
