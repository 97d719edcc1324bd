"""Scenario scripts: how they are read, played and compared."""

import pytest

from masakari.sim import script
from masakari.sim.language import ScriptError
from masakari.sim.phrases import PHRASES

STAGE = """
segment rack1 auto      # the stage
host compute1..3 ; vm web1 on compute1
"""


def test_parse_tells_stage_acts_and_reactions_apart():
    found = script.parse(
        STAGE
        + """
        at 60 power compute1 off ; kill engine-a
        when "notification 1: claimed" kill engine-a
        until idle
        """
    )

    assert [s.text for s in found.stage] == [
        "segment rack1 auto",
        "host compute1..3",
        "vm web1 on compute1",
    ]
    assert [(at, s.text) for at, s in found.acts] == [
        (60, "power compute1 off"),
        (60, "kill engine-a"),
    ]
    assert [(p, s.text) for p, s in found.reactions] == [
        ("notification 1: claimed", "kill engine-a")
    ]
    assert found.until is None


def test_parse_until_a_time():
    assert script.parse("until 90.5").until == 90.5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("segment rack1 auto", "does not end with until"),
        ("until idle\npower c1 off", "line 2: nothing comes after until"),
        ("until idle please", "line 1: nothing comes after until idle"),
        ("at noon power c1 off", "line 1: 'noon' is not a number of seconds"),
        ("at 5 ; power c1 off", "line 1: a statement is missing"),
        ("# a comment\n\npower c1 sideways", "line 3: 'power c1 sideways' is not understood"),
    ],
)
def test_parse_nonsense_names_the_line(text, complaint):
    with pytest.raises(ScriptError, match=complaint):
        script.parse(text)


def test_every_phrase_has_a_meaning():
    assert all(phrase.meaning.endswith(".") for phrase in PHRASES)


def test_play_twice_gives_the_same_log():
    text = STAGE + "at 60 power compute1 off\nuntil idle"

    one, other = script.play(script.parse(text)), script.play(script.parse(text))

    assert one.log == other.log
    assert "notification 1: running -> finished" in one.log
    assert one.violations == []


def test_play_unknown_host_is_reported_to_the_author():
    with pytest.raises(KeyError, match="compute9"):
        script.play(script.parse(STAGE + "at 60 power compute9 off\nuntil idle"))


def test_play_wrong_option_is_reported_to_the_author():
    with pytest.raises(ScriptError, match=r"option engine\.leese"):
        script.play(script.parse("option engine.leese 5\nuntil 1"))


def test_difference_is_empty_for_equal_logs_and_shows_changes():
    assert script.difference("x", "a\n", "a\n") == ""
    assert "+b" in script.difference("x", "a\n", "b\n")


def test_every_scenario_that_is_there_is_played():
    assert len(script.scenarios()) >= 15
